// The campaign: random settings and random mail through a real Postfix, set up by the program's own commands, against the
// slow and obvious statement of the rules. Each message is followed to its end: every recipient has one copy at the right
// server, over TLS where that is required, or was refused with the right code, or waits or bounced because its server has
// not what is required. The service is killed at random. `CAMPAIGN=5000` sends so many messages, `SEED=` repeats a run.

import { test } from 'node:test';
import { domainToUnicode } from 'node:url';
import { run } from '../harness/command.ts';
import type { ReceivedMessage } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import {
  type Address,
  deliveryAsked,
  deliveryByTables,
  normalAddress,
  normalDomain,
  type RawSettings,
  type Session,
  type Terms,
} from '../oracle/oracle.ts';
import { casesOfThisRun, Random, seedOfThisRun } from '../oracle/prng.ts';
import { changedSettings, randomAddress, randomSettings, toToml } from '../oracle/scenario.ts';
import {
  CampaignError,
  type CampaignMessage,
  Chaos,
  eachOf,
  exemptAddress,
  type Foresight,
  type SentMessage,
  sendCampaignMessage,
  settle,
  wordMessage,
} from './campaign-client.ts';
import { CampaignWorld, type Ending } from './campaign-world.ts';

const messages = casesOfThisRun('CAMPAIGN', 320);
const seed = seedOfThisRun();
/** Messages between two changes. */
const batch = 24;
const clients = 4;

interface Tally {
  readonly counts: Map<string, number>;
}

class Campaign {
  readonly #random: Random;
  readonly #world: CampaignWorld;
  readonly #gateway: Gateway;
  readonly #chaos: Chaos;
  readonly #tables: boolean;
  readonly #defaults: RawSettings['defaults'];
  readonly #tally: Tally;
  #settings: RawSettings = { domains: {} };
  #sequence = 0;
  #logStart = 0;

  private constructor(
    random: Random,
    world: CampaignWorld,
    gateway: Gateway,
    tables: boolean,
    defaults: RawSettings['defaults'],
    tally: Tally,
  ) {
    this.#random = random;
    this.#world = world;
    this.#gateway = gateway;
    this.#chaos = new Chaos(gateway);
    this.#tables = tables;
    this.#defaults = defaults;
    this.#tally = tally;
  }

  static async start(
    workspace: Workspace,
    random: Random,
    options: { readonly relayhost: boolean; readonly tables: boolean },
    tally: Tally,
  ): Promise<Campaign> {
    const world = await CampaignWorld.start(workspace, random, options);
    const { defaults } = randomSettings(random, world.world);
    const gateway = await Gateway.start(workspace, {
      name: 'gateway',
      settings: { all: '' },
      tables: options.tables,
      nameServer: world.nameServer.address,
      certificate: await world.authority.issue(['gateway.test']),
      exemptClients: [exemptAddress],
      ...(options.relayhost ? { relayhost: world.relayhost } : {}),
      ...(defaults === undefined ? {} : { main: toToml({ defaults }) }),
      parameters: {
        mynetworks: '192.0.2.0/24',
        recipient_delimiter: '+',
        smtp_tls_CAfile: world.authority.caFile,
        // Deferred mail stays where it is until the queue is flushed, and one failure says nothing of the next message.
        minimal_backoff_time: '1000s',
        maximal_backoff_time: '1000s',
        default_destination_concurrency_failed_cohort_limit: '0',
      },
    });
    return new Campaign(random, world, gateway, options.tables, defaults, tally);
  }

  /** Fresh settings, mail; then settings changed while everything runs, mail before the tables follow, and after. */
  async round(): Promise<void> {
    this.#settings = this.#fresh();
    await this.#putInForce(this.#settings);
    await this.#deploy();
    await this.#mail();
    const before = this.#settings;
    this.#settings = this.#changed();
    await this.#putInForce(this.#settings);
    await this.#mail(before);
    await this.#mail();
  }

  /** Settings for this campaign's one main file. */
  #forMainFile(settings: RawSettings): RawSettings {
    const { domains } = settings;
    const { relayhost } = this.#world;
    return {
      domains,
      ...(this.#defaults === undefined ? {} : { defaults: this.#defaults }),
      ...(relayhost === '' ? {} : { postfix: { relayhost } }),
    };
  }

  #fresh(): RawSettings {
    return this.#forMainFile(randomSettings(this.#random, this.#world.world));
  }

  /** Domains and next hops stay: when Postfix learns of another one is not what is told of here. */
  #changed(): RawSettings {
    let { domains } = this.#settings;
    for (let changes = this.#random.integer(1, 3); changes > 0; changes -= 1) {
      const changed = changedSettings(this.#random, this.#world.world, { domains }).domains;
      const unmoved = Object.entries(domains).every(
        ([key, { nexthop }]) => changed[key] !== undefined && changed[key].nexthop === nexthop,
      );
      domains = unmoved ? changed : domains;
    }
    return this.#forMainFile({ domains });
  }

  async #putInForce(settings: RawSettings): Promise<void> {
    await this.#chaos.settled();
    await this.#gateway.changeSettings('all', toToml({ domains: settings.domains }));
  }

  /** Writes the tables and tells Postfix, as `postfix show` says; returns when all of it goes by them. */
  async #deploy(): Promise<void> {
    const { postfix } = this.#gateway;
    const domains = Object.entries(this.#settings.domains);
    const routes = domains.flatMap(([key, domain]) =>
      namesOf(key, domain.aliases).flatMap((name) => {
        if (domain.nexthop !== undefined) {
          return [`{ ${name} = smtp:${domain.nexthop} }`];
        }
        // By MX, whatever relayhost says.
        return this.#world.relayhost === '' ? [] : [`{ ${name} = smtp:${name} }`];
      }),
    );
    await postfix.set({
      relay_domains: domains.flatMap(([key, { aliases }]) => namesOf(key, aliases)).join(', '),
      transport_maps: routes.length === 0 ? '' : `inline:{ ${routes.join(', ')} }`,
    });
    if (this.#tables) {
      await this.#gateway.run('maps');
    }
    await this.#gateway.configure();
    await postfix.reload();
    if (this.#tables) {
      // Postfix was started anew with these tables: nothing of it goes by others.
      await this.#gateway.settle();
    }
    await this.#chaos.kill();
  }

  /**
   * Sends a batch of mail, waits for its end, and compares.
   *
   * @param before - what the tables still hold: they are written when Postfix has tried to deliver the batch
   */
  async #mail(before?: RawSettings): Promise<void> {
    const { postfix } = this.#gateway;
    this.#logStart = (await postfix.logLines()).length;
    const tablesHold = (): boolean => this.#tables;
    const foresight: Foresight = {
      knowledge: { settings: this.#settings, tablesHold },
      lanes: before === undefined ? 'foretold' : 'open',
      before,
    };
    const sent: SentMessage[] = [];
    const kills = this.#chaos.kills;
    try {
      await eachOf(
        Array.from({ length: batch }, () => this.#randomMessage()),
        clients,
        async (message) => {
          sent.push(await sendCampaignMessage(this.#gateway, this.#chaos, foresight, message));
        },
      );
      await this.#chaos.settled();
      this.#count('kills', this.#chaos.kills - kills);
      if (before !== undefined) {
        await settle(this.#gateway);
        await this.#deploy();
        await postfix.flush();
      }
      await settle(this.#gateway);
      await this.#judge(sent, before);
    } catch (error) {
      throw await this.#explained(error, sent);
    }
    await this.#clear();
  }

  #randomMessage(): CampaignMessage {
    const random = this.#random;
    const { world } = this.#world;
    this.#sequence += 1;
    const address = (hosted: boolean): string => {
      for (;;) {
        const text = randomAddress(random, world, this.#settings, hosted);
        const { domain } = normalAddress(this.#settings, text) ?? { domain: '' };
        // Only domains for which there is a server; names below them have none.
        if ([...world.hosted, ...world.unhosted].includes(domain)) {
          return text;
        }
      }
    };
    const recipients = new Map<string, string>();
    const wanted = random.pick([1, 1, 2, 2, 3, 4, 5, 8, 12, 20]);
    for (let tries = 0; recipients.size < wanted && tries < 60; tries += 1) {
      const text = address(random.percent(75));
      recipients.set(keyOf(normalAddress(this.#settings, text)), text);
    }
    const commands = recipients.size + 1;
    const session: Session = {
      ...(random.percent(35)
        ? {}
        : {
            tls: random.pick([
              { protocol: 'TLSv1.2', bits: 128 },
              { protocol: 'TLSv1.2', bits: 256 },
              { protocol: 'TLSv1.3', bits: 128 },
              { protocol: 'TLSv1.3', bits: 256 },
              { protocol: 'TLSv1.3', bits: 256 },
            ] as const),
          }),
      ...(random.percent(10) ? { exempt: true } : {}),
      ...(random.percent(30) ? { login: 'ann' } : {}),
    };
    return {
      id: `m${this.#sequence}`,
      sender: random.percent(10) ? '' : address(random.percent(55)),
      recipients: [...recipients.values()],
      session,
      kills: random.percent(8) ? [{ before: random.integer(1, commands), waits: random.percent(60) }] : [],
    };
  }

  async #judge(sent: readonly SentMessage[], before: RawSettings | undefined): Promise<void> {
    const { postfix } = this.#gateway;
    const normal = (text: string): string => keyOf(normalAddress(this.#settings, text));
    const waiting = new Set<string>();
    for (const { queue_id, recipients } of await postfix.queue()) {
      for (const { address } of recipients) {
        waiting.add(`${queue_id} ${normal(address)}`);
      }
    }
    const bounced = new Set<string>();
    for (const line of (await postfix.logLines()).slice(this.#logStart)) {
      const [, queueId, to] = / ([0-9A-Za-z]+): to=<([^>]*)>,.* status=bounced /.exec(line) ?? [];
      if (queueId !== undefined && to !== undefined) {
        bounced.add(`${queueId} ${normal(to)}`);
      }
    }
    const arrived = new Map<string, { host: string; received: ReceivedMessage }[]>();
    for (const { host, destination } of this.#world.servers) {
      for (const received of destination.messages) {
        for (const to of received.to) {
          const key = `${received.id} ${normal(to)}`;
          arrived.set(key, [...(arrived.get(key) ?? []), { host, received }]);
        }
      }
    }
    for (const message of sent) {
      this.#judgeMessage(message, before, waiting, bounced, arrived);
    }
  }

  #judgeMessage(
    sent: SentMessage,
    before: RawSettings | undefined,
    waiting: ReadonlySet<string>,
    bounced: ReadonlySet<string>,
    arrived: ReadonlyMap<string, readonly { readonly host: string; readonly received: ReceivedMessage }[]>,
  ): void {
    const { message, refused, transactions } = sent;
    const settings = this.#settings;
    const sender = normalAddress(settings, message.sender);
    for (const text of message.recipients) {
      const recipient = normalAddress(settings, text);
      const here = arrived.get(`${message.id} ${keyOf(recipient)}`) ?? [];
      const wrong = (what: string): never => {
        const where = here.map(({ host, received }) => `${host} ${received.tls?.version ?? 'plaintext'}`);
        throw new CampaignError(
          `${message.sender} → ${text}: ${what}; arrived at [${where}]\n${wordMessage(message)}\n` +
            `${sent.transcript.join('\n')}`,
        );
      };
      if (refused.has(text)) {
        if (here.length > 0) {
          wrong('was refused, and arrived');
        }
        this.#count('refused', 1);
        continue;
      }
      const mine = transactions.filter((transaction) => transaction.recipients.includes(text));
      const [transaction] = mine;
      if (transaction === undefined || mine.length !== 1) {
        wrong(`was accepted ${mine.length} times`);
        continue;
      }
      const key = `${transaction.queueId} ${keyOf(recipient)}`;
      const terms = deliveryAsked(settings, sender, recipient);
      // In a lane that it joined it may be held to more than it asks for itself.
      const joined = message.session.login === undefined ? [] : this.#termsOf(sender, transaction.recipients);
      // What arrived before the tables were written, arrived without what their entries say of the next hop.
      const ending = this.#ending(recipient, terms, before === undefined || here.length === 0);
      if (terms === undefined && bounced.has(key) && this.#bouncedBefore(before, sender, recipient)) {
        continue;
      }
      // Tables that were still in force may have asked more at the next hop, which a bouncing lane comes back from at once.
      const bouncesBefore = terms !== undefined && this.#bouncesAt(before, recipient, terms);
      const states = [here.length > 0, waiting.has(key), bounced.has(key)].filter(Boolean).length;
      if (states !== 1 || here.length > 1) {
        wrong(
          `should be "${wordEnding(ending)}", and is at ${states} places: ${[here.length, waiting.has(key), bounced.has(key)]}`,
        );
      }
      const isBounced = bouncesBefore && bounced.has(key) && states === 1;
      this.#judgeEnding(
        recipient,
        terms,
        isBounced ? { kind: 'bounces' } : ending,
        joined,
        here[0],
        waiting.has(key),
        wrong,
      );
    }
  }

  #judgeEnding(
    recipient: Address,
    terms: Terms | undefined,
    ending: Ending,
    joined: readonly Terms[],
    here: { readonly host: string; readonly received: ReceivedMessage } | undefined,
    isWaiting: boolean,
    wrong: (what: string) => never,
  ): void {
    const { host } = this.#world.serverFor(this.#settings, recipient);
    if (here === undefined) {
      const is = isWaiting ? 'waits' : 'bounces';
      const others = joined.map((terms) => this.#ending(recipient, terms, true).kind);
      const open = ending.kind === 'waits' || ending.kind === 'bounces' ? ['waits', 'bounces'] : [];
      if (ending.kind !== is && !others.includes(is) && !(joined.length > 0 && open.includes(is))) {
        wrong(`should be "${wordEnding(ending)}", and ${is}`);
      }
      this.#count(`${is} for ${terms?.level ?? 'its lane'}`, 1);
      return;
    }
    if (here.host !== host) {
      wrong(`belongs at ${host}`);
    }
    const version = here.received.tls?.version;
    switch (ending.kind) {
      case 'required TLS':
        if (version === undefined || (ending.minimum === 'TLSv1.3' && version !== 'TLSv1.3')) {
          wrong(`should be "${wordEnding(ending)}"`);
        }
        this.#count(`over TLS by ${terms?.level}`, 1);
        return;
      case 'arrives':
        if ((version !== undefined) !== ending.tls) {
          wrong(`should be "${wordEnding(ending)}"`);
        }
        this.#count(version === undefined ? 'in plaintext' : 'over TLS as possible', 1);
        return;
      case 'waits':
      case 'bounces':
        wrong(`should be "${wordEnding(ending)}"`);
    }
  }

  /** Whether the tables that were still in force made mail bounce that need not have TLS any more. */
  #bouncedBefore(before: RawSettings | undefined, sender: Address, recipient: Address): boolean {
    const given = before === undefined ? undefined : deliveryByTables(before, () => true, sender, recipient);
    return this.#bouncesAt(before, recipient, given);
  }

  /** Whether mail on these terms bounces by what tables of settings before say of the next hop. */
  #bouncesAt(before: RawSettings | undefined, recipient: Address, terms: Terms | undefined): boolean {
    return before !== undefined && this.#world.ending(before, recipient, terms, true).kind === 'bounces';
  }

  /** How it ends; without tables there is none that makes mail bounce. */
  #ending(recipient: Address, terms: Terms | undefined, entries: boolean): Ending {
    const ending = this.#world.ending(this.#settings, recipient, terms, entries && this.#tables);
    return ending.kind === 'bounces' && !this.#tables ? { kind: 'waits' } : ending;
  }

  #termsOf(sender: Address, recipients: readonly string[]): readonly Terms[] {
    return recipients
      .map((text) => deliveryAsked(this.#settings, sender, normalAddress(this.#settings, text)))
      .filter((terms) => terms !== undefined);
  }

  /** Takes away all mail, so that the next batch begins with nothing. */
  async #clear(): Promise<void> {
    const { postfix } = this.#gateway;
    await run('postsuper', ['-c', postfix.configDirectory, '-d', 'ALL']);
    await waitFor(async () => (await postfix.queue()).length === 0, 'the queue is empty');
    for (const { destination } of this.#world.servers) {
      destination.messages.length = 0;
    }
  }

  async #explained(error: unknown, sent: readonly SentMessage[]): Promise<Error> {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const id = /"id":"(m\d+)"/.exec(text)?.[1];
    const queueIds = sent
      .filter(({ message }) => message.id === id)
      .flatMap(({ transactions }) => transactions.map(({ queueId }) => queueId));
    const log = (await this.#gateway.postfix.logLines()).slice(this.#logStart);
    const about =
      queueIds.length > 0 ? log.filter((line) => queueIds.some((queueId) => line.includes(queueId))) : log.slice(-60);
    const servers = this.#world.servers.map(
      ({ host, kind, destination }) => `${host} ${destination.nexthop} is ${kind}`,
    );
    return new CampaignError(
      [
        `SEED=${seed} CAMPAIGN=${messages}: ${text}`,
        toToml({ ...this.#settings }),
        ...servers,
        ...log.filter((line) => /fatal|panic|warning/.test(line)).slice(0, 20),
        ...about,
        this.#gateway.log.slice(-3000),
      ].join('\n'),
    );
  }

  #count(what: string, much: number): void {
    this.#tally.counts.set(what, (this.#tally.counts.get(what) ?? 0) + much);
  }
}

/** All names of a domain in the forms in which Postfix may look them up. */
function namesOf(key: string, aliases: readonly string[] = []): readonly string[] {
  const names = [key, ...aliases].map(normalDomain);
  return [...new Set([...names, ...names.map(domainToUnicode)])];
}

function keyOf(address: Address): string {
  return address === null ? '<>' : `${address.local}@${address.domain}`;
}

function wordEnding(ending: Ending): string {
  switch (ending.kind) {
    case 'required TLS':
      return `arrives over ${ending.minimum} or later`;
    case 'arrives':
      return ending.tls ? 'arrives over TLS' : 'arrives in plaintext';
    case 'waits':
    case 'bounces':
      return ending.kind;
  }
}

/** Rounds that this many hundredths of the messages make. */
function roundsFor(hundredths: number): number {
  return Math.max(1, Math.round((messages * hundredths) / 100 / (3 * batch)));
}

for (const [name, options, hundredths, salt] of [
  ['with tables', { tables: true, relayhost: false }, 60, 1],
  ['with tables and a relayhost', { tables: true, relayhost: true }, 20, 2],
  ['without tables', { tables: false, relayhost: false }, 20, 3],
] as const) {
  test(`random mail through a real Postfix ${name} arrives as it must, or not at all (SEED=${seed})`, async (t) => {
    const tally: Tally = { counts: new Map() };
    const workspace = await Workspace.of(t);
    const campaign = await Campaign.start(workspace, new Random(seed + salt), options, tally);
    for (let rounds = roundsFor(hundredths); rounds > 0; rounds -= 1) {
      await campaign.round();
    }
    t.diagnostic(
      [...tally.counts]
        .sort()
        .map(([what, count]) => `${what}: ${count}`)
        .join(', '),
    );
  });
}
