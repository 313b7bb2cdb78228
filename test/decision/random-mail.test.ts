// Random settings and random mail: whatever the decision says, the oracle says too. Settings change, tables lag behind and
// the service is started anew in the middle of messages. `CASES=` sets the number of requests, `SEED=` repeats a run.

import { deepStrictEqual, fail } from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Answer,
  type Context,
  normalAddress,
  OracleService,
  type RawSettings,
  type Session,
  sameAnswer,
  type TablesHold,
  unsatisfiedReceipts,
} from '../oracle/oracle.ts';
import { casesOfThisRun, Random, seedOfThisRun } from '../oracle/prng.ts';
import { changedSettings, paperWorld, randomAddress, randomSettings } from '../oracle/scenario.ts';
import { Core, readReply } from './core.ts';

const cases = casesOfThisRun('CASES', 40_000);
const seed = seedOfThisRun();

/** A message under way. */
interface Message {
  readonly instance: string;
  readonly sender: string;
  readonly session: Session;
  readonly context: Context;
  /** Recipients that were answered with neither 4xx nor 5xx. */
  readonly accepted: string[];
  /** How many of them by a service that has ended since; undefined: none has. */
  earlier: number | undefined;
}

/** One service's life with random mail, until so many requests are answered. Returns how often it gave which answer. */
class Run {
  readonly #random: Random;
  readonly #core: Core;
  #oracle = new OracleService();
  #settings: RawSettings;
  #tablesHold: TablesHold;
  /** One object as long as nothing changes. */
  #knowledge: { readonly settings: RawSettings; readonly tablesHold: TablesHold };
  readonly #messages: Message[] = [];
  readonly #story: string[] = [];
  #sequence = 0;
  readonly counts: Map<string, number>;

  constructor(random: Random, counts: Map<string, number>) {
    this.#random = random;
    this.counts = counts;
    this.#settings = randomSettings(random, paperWorld);
    this.#tablesHold = this.#randomTables();
    this.#knowledge = { settings: this.#settings, tablesHold: this.#tablesHold };
    this.#core = new Core(this.#settings, { tablesHold: this.#tablesHold });
    this.#tell('settings', this.#settings);
  }

  step(): void {
    this.#core.now += this.#random.integer(2, 3000);
    const kind = this.#random.integer(1, 100);
    if (kind <= 2) {
      this.#restart();
    } else if (kind <= 5) {
      this.#change();
    } else if (this.#messages.length === 0 || kind <= 25) {
      this.#begin();
    } else {
      const message = this.#random.pick(this.#messages);
      if (message.accepted.length > 0 && this.#random.percent(30)) {
        this.#data(message);
      } else {
        this.#rcpt(message);
      }
    }
  }

  #tell(what: string, thing: unknown): void {
    this.#story.push(`${what} ${JSON.stringify(thing)}`);
  }

  #randomTables(): TablesHold {
    const kind = this.#random.integer(1, 3);
    const held = new Set(Object.keys(this.#settings.domains).filter(() => this.#random.percent(50)));
    return kind === 1 ? () => false : kind === 2 ? () => true : (domain) => held.has(domain);
  }

  #restart(): void {
    this.#core.restart();
    this.#oracle = new OracleService();
    for (const message of this.#messages) {
      message.earlier = message.accepted.length;
    }
    this.#tell('restart', {});
    this.#count('restart');
  }

  #change(): void {
    if (this.#random.percent(60)) {
      this.#settings = changedSettings(this.#random, paperWorld, this.#settings);
      this.#core.change(this.#settings);
      this.#count('change');
    }
    this.#tablesHold = this.#randomTables();
    this.#core.deploy(this.#tablesHold);
    this.#knowledge = { settings: this.#settings, tablesHold: this.#tablesHold };
    const held = Object.keys(this.#settings.domains).filter(this.#tablesHold);
    this.#tell('settings', { ...this.#settings, heldByTables: held });
  }

  #begin(): void {
    const random = this.#random;
    const session: Session = {
      ...(random.percent(50)
        ? {}
        : {
            tls: {
              protocol: random.pick(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3'] as const),
              bits: random.pick([112, 128, 128, 256, 256]),
            },
          }),
      ...(random.percent(10) ? { exempt: true } : {}),
      ...(random.percent(30) ? { login: 'ann' } : {}),
    };
    this.#sequence += 1;
    const message: Message = {
      instance: this.#core.instance(this.#sequence),
      sender: random.percent(8) ? '' : randomAddress(random, paperWorld, this.#settings, random.percent(50)),
      session,
      context: random.pick([undefined, undefined, undefined, 'delivery', 'receipt'] as const),
      accepted: [],
      earlier: undefined,
    };
    this.#messages.push(message);
    if (this.#messages.length > 4) {
      this.#messages.shift();
    }
    this.#tell('begin', message);
  }

  #rcpt(message: Message): void {
    const random = this.#random;
    const recipient = randomAddress(random, paperWorld, this.#settings, random.percent(75));
    const { instance, sender, session, context } = message;
    const envelope = {
      message: instance,
      sender,
      recipient,
      session,
      ...(context === undefined ? {} : { context }),
    };
    const right = this.#oracle.rcpt(this.#knowledge, envelope);
    const reply = this.#core.reply({
      sender,
      recipient,
      instance,
      context,
      ...(session.tls === undefined ? {} : session.tls),
      ...(session.exempt === true ? { exempt: true } : {}),
      ...(session.login === undefined ? {} : { login: session.login }),
    });
    const answer = this.#judge('RCPT', { message, recipient }, reply, right);
    if (answer.kind === 'refuse' || answer.kind === 'warn') {
      this.#judgeWords(reply, sender, recipient, session);
    }
    if (answer.kind !== 'refuse' && answer.kind !== 'separately') {
      message.accepted.push(recipient);
      if (context !== 'receipt') {
        this.#oracle.accepted(this.#knowledge, envelope);
      }
    }
  }

  /** A refusal names a hosted domain of which a requirement is not satisfied, and nothing else that the client said. */
  #judgeWords(reply: string, from: string, to: string, session: Session): void {
    const sender = normalAddress(this.#settings, from);
    const recipient = normalAddress(this.#settings, to);
    const names = unsatisfiedReceipts(this.#settings, sender, recipient, session).flatMap(({ domain }) => domain.names);
    if (!names.some((name) => reply.includes(` ${name} `)) || reply.includes('@')) {
      this.#fail(`the reply to ${from} → ${to} names the wrong things: ${reply}`);
    }
  }

  #data(message: Message): void {
    const { instance, sender, session, context, accepted, earlier } = message;
    const [first = ''] = accepted;
    const recipient = accepted.length === 1 ? first : '';
    const envelope = { message: instance, sender, recipient, session, ...(context === undefined ? {} : { context }) };
    const right = this.#oracle.data(this.#knowledge, envelope, accepted.length, earlier);
    const reply = this.#core.reply({
      state: 'DATA',
      sender,
      recipient,
      count: accepted.length,
      instance,
      context,
      ...(session.tls === undefined ? {} : session.tls),
      ...(session.login === undefined ? {} : { login: session.login }),
    });
    this.#judge('DATA', { message }, reply, right);
    this.#messages.splice(this.#messages.indexOf(message), 1);
  }

  #judge(state: string, what: unknown, reply: string, right: readonly Answer[]): Answer {
    this.#tell(`${state} answered ${reply}:`, what);
    const answer = readReply(reply);
    if (answer === undefined || !right.some((one) => sameAnswer(one, answer))) {
      this.#fail(
        `answered ${reply}\n  right were ${right.map((one) => JSON.stringify(one)).join(' or ')}\n` +
          `  read as ${JSON.stringify(answer)}`,
      );
    }
    this.#count(`${state} ${answer.kind}${answer.kind === 'refuse' ? ` ${answer.code}` : ''}`);
    return answer;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #fail(what: string): never {
    return fail(`SEED=${seed}: ${what}\n${this.#story.join('\n')}`);
  }
}

test(`the decision is what the contract says, in ${cases} requests of random mail (SEED=${seed})`, (t) => {
  const random = new Random(seed);
  const counts = new Map<string, number>();
  for (let done = 0; done < cases; ) {
    const run = new Run(new Random(random.seed()), counts);
    const length = random.integer(20, 120);
    for (let step = 0; step < length; step += 1) {
      run.step();
    }
    done = [...counts].reduce((sum, [what, count]) => (/^(RCPT|DATA)/.test(what) ? sum + count : sum), 0);
  }
  t.diagnostic(
    [...counts]
      .sort()
      .map(([what, count]) => `${what}: ${count}`)
      .join(', '),
  );
  // A generator that never gets somewhere tests nothing there.
  if (cases >= 20_000) {
    const missing = [
      ...['RCPT dunno', 'RCPT warn', 'RCPT refuse 550', 'RCPT refuse 450', 'RCPT filter', 'RCPT separately'],
      ...['DATA dunno', 'DATA filter', 'DATA again'],
    ].filter((what) => (counts.get(what) ?? 0) < cases / 1000);
    deepStrictEqual(missing, []);
  }
});
