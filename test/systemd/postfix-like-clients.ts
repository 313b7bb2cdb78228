// A process that asks a policy service without end, as smtpd(8) does: some clients keep their connection, some come anew for each
// request; whoever gets no answer asks once more, a second later. At the end of its input it prints what it has seen as JSON. For tests that
// restart the service meanwhile. Its argument is the service's address.

import { setTimeout as pause } from 'node:timers/promises';
import { PolicyClient } from '../service/policy-client.ts';
import { recordedRequest } from '../service/recorded-request.ts';

export interface Seen {
  answered: number;
  /** Connections that were not to be had. */
  refused: number;
  /** Requests that got no answer at first, and got one from the next connection. */
  again: number;
  /** Requests that got none from that either. */
  lost: number;
}

const CLIENTS = 8;

/** smtpd_policy_service_try_limit and smtpd_policy_service_retry_delay. */
const TRIES = 2;
const RETRY_DELAY_MS = 1_000;
/** Postfix has more: smtpd_policy_service_timeout is 100 seconds. */
const PATIENCE_MS = 30_000;

const [address = ''] = process.argv.slice(2);
const seen: Seen = { answered: 0, refused: 0, again: 0, lost: 0 };
let isOver = false;

async function connected(): Promise<PolicyClient | undefined> {
  try {
    return await PolicyClient.to(address);
  } catch {
    seen.refused += 1;
    await pause(50);
    return undefined;
  }
}

/** Whether there is an answer before the connection ends, and before patience does. */
async function isAnsweredBy(connection: PolicyClient, request: Buffer): Promise<boolean> {
  const tooLong = pause(PATIENCE_MS, 'closed', { ref: false });
  return (await Promise.race([connection.ask(request), tooLong])) !== 'closed';
}

async function client(number: number): Promise<void> {
  const keepsConnection = number % 2 === 0;
  let connection: PolicyClient | undefined;
  for (let count = 0; !isOver; count += 1) {
    const request = recordedRequest({ instance: `${number}.${count}` });
    for (let attempt = 1; ; attempt += 1) {
      connection ??= await connected();
      const isAnswered = connection !== undefined && (await isAnsweredBy(connection, request));
      if (!isAnswered || !keepsConnection) {
        connection?.close();
        connection = undefined;
      }
      if (isAnswered) seen.answered += 1;
      else if (attempt === TRIES) seen.lost += 1;
      if (isAnswered || attempt === TRIES) break;
      seen.again += 1;
      await pause(RETRY_DELAY_MS);
    }
    await pause(2);
  }
  connection?.close();
}

process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();
process.stdout.write('asking\n');
await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
process.stdout.write(`${JSON.stringify(seen)}\n`);
