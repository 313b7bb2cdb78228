/**
 * Receipt: whether the running smtpd(8) refuses in plaintext what has to arrive over TLS, and nothing else. No message is sent:
 * each session ends after the recipient.
 */
import type { Reply } from '../probe/reply-reader.ts';
import { compileExemptClients } from '../settings/exempt-clients.ts';
import { SessionTrouble, SmtpSender } from './smtp-sender.ts';
import { quoteReply, type Stage } from './stage.ts';
import { type Outcome, type Trial, type TrialId, trial } from './trial.ts';

/** Three trials; where the server does not answer they have failed. Rejects only with the signal's AbortError. */
export async function tryReceipt(stage: Stage): Promise<readonly Trial[]> {
  stage.progress('sending mail in plaintext and over TLS');
  const accepted = (reply: Reply): Outcome => (reply.code === 250 ? 'held' : 'failed');
  const refused = (reply: Reply): Outcome =>
    isForLackOfTls(reply) ? 'held' : reply.code === 250 ? 'broken' : 'failed';
  return [
    await attempt(stage, { id: 'receipt-plaintext', isTls: false, from: '', judge: refused }),
    await attempt(stage, { id: 'receipt-tls', isTls: true, from: '', judge: accepted }),
    await attempt(stage, { id: 'receipt-free', isTls: false, from: `doctor@${stage.helo}`, judge: accepted }),
  ];
}

interface Attempt {
  readonly id: TrialId;
  readonly isTls: boolean;
  readonly from: string;
  judge(reply: Reply): Outcome;
}

async function attempt(stage: Stage, { id, isTls, from, judge }: Attempt): Promise<Trial> {
  const { doors, helo, host, signal } = stage;
  const isExempt = compileExemptClients(host.main.receipt.exemptClients);
  const exempt = new Set<string>();
  for (const door of doors) {
    let sender: SmtpSender | undefined;
    try {
      sender = await SmtpSender.open(door, helo, signal);
      const client = sender.clientAddress;
      // An exempt client may send what it likes. Another address of this host may not be one.
      if (id === 'receipt-plaintext' && isExempt(client)) {
        exempt.add(client);
        continue;
      }
      if (isTls && !sender.offersTls) return trial(id, 'failed', 'smtpd does not offer STARTTLS');
      if (isTls) await sender.startTls(helo);
      const mail = await sender.command(`MAIL FROM:<${from}>`);
      const reply = mail.code === 250 ? await sender.command(`RCPT TO:<${stage.recipient('receipt')}>`) : mail;
      return trial(id, judge(reply), quoteReply(reply));
    } catch (error) {
      if (!(error instanceof SessionTrouble)) throw error;
      return trial(id, 'failed', `${door.host}, port ${door.port}, ${error.message}`);
    } finally {
      sender?.close();
    }
  }
  return trial(id, 'not tried', `doctor comes from ${[...exempt].join(', ')}, which receipt.exempt_clients has`);
}

/** By tlswarden, by its table, or by smtpd_tls_security_level = encrypt. */
function isForLackOfTls(reply: Reply): boolean {
  const text = reply.lines.join(' ');
  return reply.code >= 400 && /\b[45]\.7\.10\b|Session encryption is required|Must issue a STARTTLS/u.test(text);
}
