// What the soak asks: the requests of one message each, with the answers that are right. Stated by hand; computes nothing.

import { recordedRequest } from '../service/recorded-request.ts';
import type { Answer } from './settings-under-change.ts';

const PLACE = 'THE-INSTANCE';

/** A request, to be completed by the message's instance. */
export class Request {
  readonly what: string;
  readonly wanted: Answer;
  readonly #before: string;
  readonly #after: string;

  constructor(values: Readonly<Record<string, string>>, wanted: Answer) {
    const text = recordedRequest({ ...values, instance: PLACE }).toString('latin1');
    const at = text.indexOf(PLACE);
    this.#before = text.slice(0, at);
    this.#after = text.slice(at + PLACE.length);
    this.wanted = wanted;
    this.what = `${values['protocol_state'] ?? 'RCPT'} from ${values['sender']} to ${values['recipient']}`;
  }

  of(instance: string): string {
    return this.#before + instance + this.#after;
  }
}

/** All messages, each the requests that Postfix makes of it, in order. */
export function conversations(nexthop: string): readonly (readonly Request[])[] {
  const dunno: Answer = { kind: 'exactly', action: 'DUNNO' };
  const refused: Answer = { kind: 'begins', action: '550 5.7.10 ' };
  const plaintext = { encryption_protocol: '', encryption_cipher: '', encryption_keysize: '0' };
  const old = { encryption_protocol: 'TLSv1', encryption_cipher: 'ECDHE-RSA-AES256-SHA' };
  const from = 'a@partner.example';
  const ask = (sender: string, recipient: string, wanted: Answer, session: object = plaintext): Request =>
    new Request({ sender, recipient, ...session }, wanted);
  const data = (sender: string, recipient: string, wanted: Answer, session: object = plaintext): Request =>
    new Request({ sender, recipient, ...session, protocol_state: 'DATA', recipient_count: '1' }, wanted);
  const filtered: Answer = { kind: 'exactly', action: `FILTER tlswarden-encrypt:${nexthop}` };
  const byMx: Answer = { kind: 'exactly', action: 'FILTER tlswarden-encrypt:' };
  return [
    [ask(from, 'u@always.example', refused)],
    [ask(from, 'u@always.example', dunno, {}), data(from, 'u@always.example', dunno, {})],
    [ask(from, 'u@parity.example', { kind: 'parity' })],
    [ask(from, 'u@never.example', dunno), data(from, 'u@never.example', dunno)],
    [ask('ceo@bank.example', 'u@listed.example', refused)],
    [ask(from, 'u@versions.example', { kind: 'version' })],
    [ask('ceo@bank.example', 'u@listed.example', dunno, {})],
    [ask(from, 'u@listed.example', dunno)],
    [ask(from, 'u@strong.example', refused, old)],
    [ask(from, 'u@strong.example', dunno, {})],
    [ask(from, 'u@strict.example', filtered), data(from, 'u@strict.example', filtered)],
    [ask('payroll@firm.example', 'u@partner.example', byMx), data('payroll@firm.example', 'u@partner.example', byMx)],
    [ask('clerk@firm.example', 'u@partner.example', dunno)],
    [ask(from, 'u@nobody.example', dunno), data(from, 'u@nobody.example', dunno)],
    [
      ask(from, 'u@strict.example', filtered),
      ask(from, 'u@never.example', { kind: 'begins', action: '452 4.5.3 ' }),
      data(from, 'u@strict.example', filtered),
    ],
  ];
}
