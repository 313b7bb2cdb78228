/**
 * Delivery by FILTER: whether the running Postfix delivers over TLS what has to leave over TLS, and keeps it where the next
 * server has none.
 */

import type { Reply } from '../probe/reply-reader.ts';
import type { Level } from '../settings/level.ts';
import { printable } from '../text/printable.ts';
import { SessionTrouble } from './smtp-sender.ts';
import { DELIVERY_MS, type Fate, NotAccepted, quoteReply, type Stage } from './stage.ts';
import { type Outcome, type Trial, type TrialId, trial } from './trial.ts';

/**
 * Three trials; waits until Postfix has tried both messages, {@link DELIVERY_MS} at most. Rejects with QueueError or
 * AbortError.
 */
export async function tryDelivery(stage: Stage): Promise<readonly Trial[]> {
  const all = (outcome: Outcome, seen: string): readonly Trial[] =>
    (['delivery-tls', 'delivery-plaintext', 'lanes'] as const).map((id) => trial(id, outcome, seen));
  const { level, host } = stage;
  if (level === undefined) {
    return host.fragments.services.length === 0
      ? all('not tried', 'no setting asks for TLS on delivery')
      : all('failed', 'master.cf lacks the transports');
  }
  stage.progress('sending mail to a server with TLS and to one without');
  let second: Reply;
  try {
    second = await stage.send([stage.recipient('tls'), `lane-${stage.recipient('plaintext')}`]);
    await stage.send([stage.recipient('plaintext')]);
  } catch (error) {
    if (error instanceof SessionTrouble) return all('failed', `smtpd ${error.message}`);
    if (error instanceof NotAccepted) return all('failed', error.message);
    throw error;
  }
  const [overTls, plaintext] = await Promise.all([stage.fate('tls'), stage.fate('plaintext')]);
  return [
    judgeOverTls(level, overTls),
    judgePlaintext('delivery-plaintext', plaintext),
    trial('lanes', second.code === 452 ? 'held' : second.code === 250 ? 'broken' : 'failed', quoteReply(second)),
  ];
}

function judgeOverTls(level: Level, fate: Fate): Trial {
  const id = 'delivery-tls';
  if (fate.kind === 'arrived') return trial(id, fate.tls === undefined ? 'broken' : 'held', wordFate(fate));
  // Nobody vouches for a server on loopback.
  const isTrusting = level === 'encrypt' || level === 'fingerprint';
  if (fate.kind !== 'waits' || isTrusting) return trial(id, 'failed', wordFate(fate));
  return trial(id, 'not tried', `level ${level} takes no certificate that doctor could have; ${wordFate(fate)}`);
}

/** To a server without TLS nothing may arrive, and TLS has to be the reason. */
export function judgePlaintext(id: TrialId, fate: Fate): Trial {
  if (fate.kind === 'arrived') return trial(id, 'broken', wordFate(fate));
  return trial(id, fate.kind === 'waits' && /TLS/u.test(fate.reason) ? 'held' : 'failed', wordFate(fate));
}

function wordFate(fate: Fate): string {
  switch (fate.kind) {
    case 'arrived':
      return `delivered ${fate.tls === undefined ? 'in plaintext' : `over ${fate.tls}`}`;
    case 'waits':
      return `waits in the queue: ${printable(fate.reason)}`;
    case 'gone':
      return 'left the queue, and has not arrived';
    case 'untried':
      return `not tried by Postfix within ${DELIVERY_MS / 1000} s`;
  }
}
