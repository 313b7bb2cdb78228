/**
 * Asks the policy service as Postfix does (SMTPD_POLICY_README): one connection, one request, one reply. It tells what was
 * answered, and decides nothing. What it asks is about no mail, and says so: the service does not count it.
 */
import { connect } from 'node:net';
import { OWN_INSTANCE } from '../decision/own-question.ts';

/** Attributes of one request; `request=smtpd_access_policy` goes without saying, and so does its instance. */
export type PolicyQuestion = Readonly<Record<string, string>>;

/** The service was not reached, or gave no reply: the message continues "the service …". */
export class NoAnswer extends Error {}

const PATIENCE_MS = 5_000;
const MOST_REPLY = 8_192;

/** `address` is `inet:host:port` or `unix:/path`. Gives the action; rejects with {@link NoAnswer}. */
export function askService(address: string, question: PolicyQuestion): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(target(address));
    let received = '';
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      settle();
    };
    const fail = (why: string): void => end(() => reject(new NoAnswer(why)));
    const timer = setTimeout(() => fail(`does not answer within ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
    socket.setEncoding('utf8');
    socket.on('error', (error: NodeJS.ErrnoException) => fail(`is not reached: ${error.code ?? error.message}`));
    socket.on('close', () => fail('closes the connection without a reply'));
    socket.on('data', (text: string) => {
      received += text;
      const action = /^action=([^\n]*)\n\n/u.exec(received)?.[1];
      if (action !== undefined) end(() => resolve(action));
      else if (received.length > MOST_REPLY || /\n\n/u.test(received)) fail('answers in another protocol');
    });
    const attributes = { request: 'smtpd_access_policy', instance: OWN_INSTANCE, ...question };
    const lines = Object.entries(attributes).map(([name, value]) => `${name}=${value}\n`);
    socket.write(`${lines.join('')}\n`);
  });
}

function target(address: string): { readonly path: string } | { readonly host: string; readonly port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  return {
    host: address.slice('inet:'.length, colon).replaceAll(/[[\]]/gu, ''),
    port: Number(address.slice(colon + 1)),
  };
}
