// Messages with 2 to 20 recipients over domains that ask for different things: every recipient gets one copy, where it
// belongs and how it must, whoever sends the message. Half of the destinations learn TLS only in the middle of each test.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority, type Certificate } from '../harness/certificates.ts';
import { type Delivery, deliveriesAt, wordDeliveries } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { NameServer } from '../harness/name-server.ts';
import { Postfix } from '../harness/postfix.ts';
import { sendMessage } from '../harness/send-message.ts';
import { sendSplitting } from '../harness/send-splitting.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';

const senders = ['ceo@partner.example', 'clerk@bank.example', 'someone@elsewhere.example', 'boss@strict.example'];

/** What a domain's server can do at first: in the end all of them show the right certificate. */
type Ability = 'right' | 'wrong name' | 'none';

interface Place {
  readonly ability: Ability;
  readonly hosted: boolean;
  /** By MX; else by an explicit next hop. */
  readonly byMx?: boolean;
  /** The settings besides the next hop. */
  readonly settings?: string;
  /** What these settings ask of mail from this sender to this local part; strict.example asks for itself. */
  readonly asks?: (sender: string, local: string) => 'encrypt' | 'verify' | undefined;
}

/** Every domain has a server of its own, which is named by the domain. */
const places: Readonly<Record<string, Place>> = {
  'clear.example': { ability: 'none', hosted: true },
  'open.example': { ability: 'right', hosted: true, byMx: true },
  'always.example': {
    ability: 'right',
    hosted: true,
    settings: 'incoming.delivery = { require_tls = "always" }',
    asks: () => 'encrypt',
  },
  'listed.example': {
    ability: 'none',
    hosted: true,
    settings: `incoming.delivery = { require_tls = "specific", recipients = "payroll", senders = "ceo@partner.example" }`,
    asks: (sender, local) => (local === 'payroll' || sender === senders[0] ? 'encrypt' : undefined),
  },
  'exchange.example': {
    ability: 'none',
    hosted: true,
    byMx: true,
    settings: 'incoming.delivery = { require_tls = "specific", senders = "*@bank.example" }',
    asks: (sender) => (sender === senders[1] ? 'encrypt' : undefined),
  },
  'policy.example': {
    ability: 'none',
    hosted: true,
    byMx: true,
    settings: 'incoming.delivery = { require_tls = "always", protocols = ">=TLSv1.3" }',
    asks: () => 'encrypt',
  },
  'certified.example': {
    ability: 'right',
    hosted: true,
    settings: `incoming.delivery = { require_tls = "always", level = "verify", certificate_names = ["certified.example"] }`,
    asks: () => 'verify',
  },
  'broken.example': {
    ability: 'wrong name',
    hosted: true,
    settings: `[domains."broken.example".incoming.delivery]
      require_tls = "specific"
      senders = "ceo@partner.example"
      level = "verify"
      certificate_names = ["broken.example"]`,
    asks: (sender) => (sender === senders[0] ? 'verify' : undefined),
  },
  'far.example': { ability: 'none', hosted: false, byMx: true },
  'away.example': { ability: 'right', hosted: false, byMx: true },
};

const pool = Object.keys(places).flatMap((domain) =>
  ['payroll', 'clerk', 'info', 'Sales+east'].map((local) => `${local}@${domain}`),
);

function placeOf(recipient: string): Place & { readonly domain: string; readonly local: string } {
  const [local = '', domain = ''] = recipient.split('@');
  return { ...(places[domain] as Place), domain, local };
}

/** Whether this recipient's mail has to wait until its server has learnt TLS. */
function hasToWait(sender: string, recipient: string): boolean {
  const { asks, ability, local } = placeOf(recipient);
  const levels = [asks?.(sender, local), sender === senders[3] ? 'encrypt' : undefined];
  if (ability === 'none') return levels.some((level) => level !== undefined);
  return ability === 'wrong name' && levels.includes('verify');
}

interface Message {
  readonly id: string;
  readonly from: string;
  readonly to: readonly string[];
}

function randomMessages(random: Random, name: string, number: number): readonly Message[] {
  return Array.from({ length: number }, (_, i) => ({
    id: `${name}-${i}`,
    from: random.pick(senders),
    to: random.shuffled(pool).slice(0, random.integer(2, 20)),
  }));
}

function expected(messages: readonly Message[], fact: (from: string, to: string) => boolean): readonly Delivery[] {
  return messages.flatMap(({ id, from, to }) =>
    to
      .filter((recipient) => fact(from, recipient))
      .map((recipient) => {
        const { domain, ability } = placeOf(recipient);
        return { id, to: recipient, at: domain, overTls: ability !== 'none' || hasToWait(from, recipient) };
      }),
  );
}

for (const settled of [false, true]) {
  describe(`with ${settled ? 'static requirements in tables' : 'every requirement by FILTER'}`, () => {
    let workspace: Workspace;
    let names: NameServer;
    let authority: Authority;
    let right: Certificate;
    let gateway: Gateway;
    const destinations = new Map<string, Destination>();
    const seed = seedOfThisRun();
    const random = new Random(seed);

    before(async () => {
      workspace = await Workspace.create();
      names = await NameServer.start(workspace);
      authority = await Authority.create(workspace);
      right = await authority.issue(Object.keys(places));
      const wrong = await authority.issue(['elsewhere.example']);
      for (const [domain, { ability }] of Object.entries(places)) {
        const destination = await Destination.start(workspace, {
          name: domain,
          certificate: ability === 'wrong name' ? wrong : right,
        });
        destinations.set(domain, destination);
        names.setMailHost(domain, `mx.${domain}`, destination.address);
      }
      const nexthop = (domain: string): string => destinations.get(domain)?.nexthop ?? '';
      const hosted = Object.entries(places).filter(([, { hosted }]) => hosted);
      gateway = await Gateway.start(workspace, {
        name: 'gateway',
        nameServer: names.address,
        settled,
        parameters: {
          relay_domains: [...hosted.map(([domain]) => domain), 'strict.example'].join(' '),
          transport_maps: `inline:{ ${hosted
            .filter(([, { byMx }]) => byMx !== true)
            .map(([domain]) => `${domain}=smtp:${nexthop(domain)}`)
            .join(', ')} }`,
          smtp_tls_CAfile: authority.caFile,
        },
        settings: {
          hosted: hosted
            .map(([domain, { byMx, settings }]) =>
              [`[domains."${domain}"]`, byMx === true ? '' : `nexthop = "${nexthop(domain)}"`, settings ?? ''].join(
                '\n',
              ),
            )
            .join('\n'),
          strict: '[domains."strict.example"]\noutgoing.delivery = { require_tls = "always" }',
        },
      });
    });
    after(() => workspace.dispose());

    /** What is to happen to the messages once the gateway has taken them all. */
    async function promise(messages: readonly Message[]): Promise<void> {
      const now = wordDeliveries(expected(messages, (from, to) => !hasToWait(from, to)));
      const later = expected(messages, hasToWait)
        .map(({ to }) => to.toLowerCase())
        .sort();
      const seen = (): readonly string[] => wordDeliveries(deliveriesAt(destinations.values()));
      const seedText = `SEED=${seed}`;
      await waitFor(
        () => seen().length >= now.length,
        () => `deliveries: ${seen().join('\n')}`,
        30_000,
      );
      await waitFor(
        async () => {
          const waiting = (await gateway.postfix.queue()).filter(({ queue_name }) => queue_name === 'deferred');
          return waiting.flatMap(({ recipients }) => recipients).length === later.length;
        },
        async () => `${later.length} recipients wait; ${JSON.stringify(await gateway.postfix.queue(), undefined, 1)}`,
        30_000,
      );
      assert.deepEqual(seen(), now, seedText);

      for (const destination of destinations.values()) {
        destination.certificate = right;
        destination.starttls = true;
      }
      const all = wordDeliveries(expected(messages, () => true));
      await waitFor(
        async () => {
          await gateway.postfix.flush();
          return (await gateway.postfix.queue()).length === 0;
        },
        async () => `nobody waits; ${JSON.stringify(await gateway.postfix.queue(), undefined, 1)}`,
        30_000,
      );
      assert.deepEqual(seen(), all, seedText);
    }

    async function unlearn(): Promise<void> {
      const wrong = await authority.issue(['elsewhere.example']);
      for (const [domain, destination] of destinations) {
        const ability = places[domain]?.ability;
        destination.starttls = ability !== 'none';
        destination.certificate = ability === 'wrong name' ? wrong : right;
        destination.messages.length = 0;
      }
    }

    test('each recipient of a server that sends the refused ones again gets one copy, where and how it must', async () => {
      await unlearn();
      const messages = randomMessages(random, 'scripted', 24);
      await Promise.all(
        [0, 1, 2].map(async (worker) => {
          for (const message of messages.filter((_, i) => i % 3 === worker))
            await sendSplitting(gateway.postfix, message);
        }),
      );
      // Else these were messages that needed no lanes.
      assert.match(gateway.log, /"decision":"separate"/);
      await promise(messages);
    });

    test('each recipient of a Postfix client gets one copy, where and how it must', async () => {
      await unlearn();
      const client = await Postfix.start(workspace, {
        name: 'client',
        parameters: { relayhost: gateway.postfix.nexthop, smtp_tls_security_level: 'none' },
      });
      const messages = randomMessages(random, 'postfix', 10);
      for (const message of messages) await sendMessage(client, message);
      await waitFor(
        async () => {
          await client.flush();
          return (await client.queue()).length === 0;
        },
        async () => `the client has sent all; ${JSON.stringify(await client.queue(), undefined, 1)}`,
        60_000,
      );
      await promise(messages);
      await client.stop();
    });
  });
}
