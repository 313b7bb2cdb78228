// Anything at all, sent to the running service: bytes in, and out comes what the protocol and the decision, each stated a
// second time, say of these bytes, and nothing else. Nothing ends it, nothing makes it grow, and whoever asks properly
// meanwhile is answered. `FUZZ=1000000` sends that many mutants, `SEED=` repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type DecisionContext, decide } from '../../src/decision/decide.ts';
import { NO_TABLES } from '../../src/decision/delivery.ts';
import { Lanes } from '../../src/decision/lanes.ts';
import { compileExemptClients } from '../../src/settings/exempt-clients.ts';
import { compile, readReply } from '../decision/core.ts';
import { OracleService, type RawSettings, type Session, sameAnswer } from '../oracle/oracle.ts';
import { casesOfThisRun, Random, seedOfThisRun } from '../oracle/prng.ts';
import { paperWorld, randomAddress, randomSettings } from '../oracle/scenario.ts';
import { readSlowly, type SlowRequest } from '../oracle/slow-protocol.ts';
import { type Ask, askOf, disguised, mutant } from './mutants.ts';
import { RunningService } from './running-service.ts';

const mutants = casesOfThisRun('FUZZ', 20_000);
const seed = seedOfThisRun();

/** Mutants that one service gets, with settings of its own. */
const A_ROUND = 20_000;
/** Requests on one connection, as long as it lives. */
const A_CONNECTION = 40;
const AT_ONCE = 8;
/** What a service may keep of all that, at most: far less than what is sent. */
const GROWTH_BYTES = 64 << 20;
const EXEMPT = '192.0.2.99';

/** What the service is meant to answer: settings, the real decision and the oracle, in this process. */
class Meaning {
  readonly settings: RawSettings;
  readonly #context: DecisionContext;
  readonly #oracle = new OracleService();
  readonly #knowledge: { readonly settings: RawSettings; readonly tablesHold: () => boolean };
  judged = 0;

  constructor(settings: RawSettings) {
    const { settings: compiled, addresses } = compile(settings);
    this.settings = settings;
    this.#knowledge = { settings, tablesHold: () => false };
    const isExempt = compileExemptClients([EXEMPT]);
    this.#context = {
      settings: compiled,
      generation: 1,
      addresses,
      tables: NO_TABLES,
      lanes: new Lanes(Date.now()),
      isExempt,
    };
  }

  /** The reply to a request; `ask` is what it was made of, if it still says that. */
  replyTo(request: SlowRequest, ask: Ask | undefined): string {
    if (request === 'foreign') return 'DUNNO';
    const { reply } = decide(this.#context, request, Date.now());
    if (ask !== undefined) this.#judge(ask, reply);
    return reply;
  }

  #judge(ask: Ask, reply: string): void {
    const session: Session = {
      ...(ask.protocol === undefined ? {} : { tls: { protocol: ask.protocol, bits: ask.bits } }),
      ...(ask.exempt ? { exempt: true } : {}),
      ...(ask.login ? { login: 'ann' } : {}),
    };
    const { context, sender, recipient } = ask;
    const envelope = {
      message: ask.instance,
      sender,
      recipient,
      session,
      ...(context === undefined ? {} : { context }),
    };
    const right =
      ask.state === 'RCPT'
        ? this.#oracle.rcpt(this.#knowledge, envelope)
        : this.#oracle.data(this.#knowledge, envelope, ask.count, undefined);
    const answer = readReply(reply);
    assert.ok(
      answer !== undefined && right.some((one) => sameAnswer(one, answer)),
      `SEED=${seed}: ${JSON.stringify(ask)} was answered ${reply}, right is ${JSON.stringify(right)}`,
    );
    this.judged += 1;
    if (ask.state !== 'RCPT' || answer.kind === 'refuse' || answer.kind === 'separately') return;
    if (context !== 'receipt') this.#oracle.accepted(this.#knowledge, envelope);
  }
}

/** What one connection sends, and what has to come back. */
interface Conversation {
  readonly bytes: Buffer;
  /** Replies, in their order; after them the connection is closed by whoever comes first to it. */
  readonly replies: readonly string[];
  readonly mutants: number;
}

let conversations = 0;

function converse(random: Random, meaning: Meaning): Conversation {
  conversations += 1;
  // Later than any start, so that nobody thinks that it knows them from before.
  const began = Math.floor(Date.now() / 1000) + 3_600;
  const own = conversations.toString(16);
  const parts: Buffer[] = [];
  /** What was sent as it should be, in order; each is looked for among what was read. */
  const asks: Ask[] = [];
  let mutated = 0;
  for (let sequence = 0; mutated < A_CONNECTION; sequence += 1) {
    const instance = `${own}.${began.toString(16)}.${sequence.toString(16)}.0`;
    const address = (hosted: number): string =>
      randomAddress(random, paperWorld, meaning.settings, random.percent(hosted));
    const protocol = random.percent(50) ? undefined : random.pick(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const);
    const ask: Ask = {
      state: 'RCPT',
      sender: random.percent(8) ? '' : address(50),
      recipient: address(75),
      count: 0,
      protocol,
      bits: protocol === undefined ? 0 : random.pick([112, 128, 256]),
      exempt: random.percent(10),
      login: random.percent(20),
      context: random.pick([undefined, undefined, 'receipt', 'delivery'] as const),
      instance,
    };
    if (random.percent(25)) {
      // A message of several recipients, all of which Postfix has accepted, it says at DATA.
      const recipients = Array.from({ length: random.integer(1, 4) }, () => address(75));
      for (const recipient of recipients) asks.push({ ...ask, recipient });
      asks.push({
        ...ask,
        state: 'DATA',
        count: recipients.length,
        recipient: recipients.length === 1 ? (recipients[0] ?? '') : '',
      });
      for (const one of asks.slice(-recipients.length - 1)) {
        parts.push(disguised(random, one));
        mutated += 1;
      }
    } else {
      parts.push(mutant(random, { ...ask, instance: `${instance}f` }));
      mutated += 1;
    }
  }
  const bytes = Buffer.concat(parts);
  const { requests } = readSlowly(bytes);
  let next = 0;
  const replies = requests.map((request) => {
    const ask = asks[next];
    if (ask === undefined || request === 'foreign' || request.instance !== ask.instance) {
      return meaning.replyTo(request, undefined);
    }
    next += 1;
    // A mutant before it that did not come to its end may have become a part of it.
    if (!isDeepStrictEqual(readSlowly(askOf(ask)).requests, [request])) {
      asks.splice(next, asks.length, ...asks.slice(next).filter(({ instance }) => instance !== ask.instance));
      return meaning.replyTo(request, undefined);
    }
    return meaning.replyTo(request, ask);
  });
  return { bytes, replies, mutants: mutated };
}

/** Sends it in pieces of any size, and sees what comes back. */
async function carryOut(service: RunningService, random: Random, { bytes, replies }: Conversation): Promise<void> {
  const client = await service.client();
  const whole = random.percent(20);
  for (let at = 0; at < bytes.length && !client.isClosed; ) {
    const piece = whole ? bytes.length : random.percent(10) ? random.integer(1, 8) : random.integer(1, 6_000);
    client.send(bytes.subarray(at, at + piece));
    at += piece;
    if (random.percent(40)) await new Promise((resolve) => setImmediate(resolve));
  }
  const expected = replies.map((reply) => `action=${reply}\n\n`).join('');
  if (random.percent(15)) {
    client.socket.resetAndDestroy();
    // What came before the reset is how it should begin.
    assert.ok(expected.startsWith(client.received), `SEED=${seed}`);
    return;
  }
  client.socket.end();
  await client.untilClosed();
  assert.equal(client.received, expected, `SEED=${seed}`);
}

test(`${mutants} mutated requests are answered as they should be, or not at all (SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  let sent = 0;
  let judged = 0;
  while (sent < mutants) {
    const meaning = new Meaning(randomSettings(random, paperWorld));
    const { domains, ...main } = meaning.settings;
    const service = await RunningService.start(t, {
      main: { ...main, server: { max_connections: 1_000 }, receipt: { exempt_clients: [EXEMPT] } },
      domains,
    });
    const witness = await service.client();
    let resident = 0;
    const end = Math.min(mutants, sent + A_ROUND);
    for (const begin = sent; sent < end; ) {
      const batch = Array.from({ length: AT_ONCE }, () => converse(random, meaning));
      const done = Promise.all(batch.map((conversation) => carryOut(service, random, conversation)));
      // Whoever asks properly is answered, whatever the others do.
      let isDone = false;
      const asking = (async () => {
        do assert.equal(await witness.ask(askOf({ state: 'other' })), 'DUNNO');
        while (!isDone);
      })();
      await done.finally(() => {
        isDone = true;
      });
      await asking;
      sent += batch.reduce((sum, conversation) => sum + conversation.mutants, 0);
      // All that is compiled and kept for good has come by now.
      if (resident === 0 && sent - begin > A_ROUND / 4) resident = service.residentBytes;
    }
    judged += meaning.judged;
    assert.ok(service.isRunning);
    if (resident > 0) {
      const grown = service.residentBytes - resident;
      assert.ok(grown < GROWTH_BYTES, `grown by ${grown} bytes`);
    }
    witness.close();
    assert.equal(await service.stop(), 0);
    for (const { level, msg } of service.logged) {
      assert.ok(Number(level) < 50, String(msg));
      assert.notEqual(msg, 'connection refused: max_connections is reached');
    }
    await service.workspace.dispose();
  }
  t.diagnostic(`${sent} sent, ${judged} of them judged by the oracle`);
  assert.ok(judged > sent / 50, 'many are still requests');
});
