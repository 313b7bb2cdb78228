// A little of every kind of mail: settings and requests that bring about each decision there is.

import assert from 'node:assert/strict';
import type { MeasuredService } from './measured-service.ts';

/** Settings without tables: every requirement on delivery is answered by FILTER. */
export const mixedSettings = `
[domains."receipt.example"]
incoming.receipt.require_tls = "always"

[domains."trial.example"]
incoming.receipt = { require_tls = "always", enforcement = "monitor" }

[domains."strong.example"]
outgoing.receipt = { require_tls = "always", min_cipher_bits = 256, on_failure = "defer" }

[domains."delivery.example"]
nexthop = "[mx.delivery.example]:25"
incoming.delivery = { require_tls = "specific", senders = "*@bank.example" }
`;

/** Instances as Postfix makes them, of messages that began now. */
function instances(): (sequence: number) => string {
  const seconds = Math.ceil(Date.now() / 1000 + 1).toString(16);
  return (sequence) => `1a2b.${seconds}.0.${sequence}`;
}

/** Asks 13 requests, one after the other. */
export async function mixedMail(service: MeasuredService): Promise<void> {
  const instance = instances();
  const plain = { encryption_protocol: '', encryption_keysize: '0' };
  const bank = { sender: 'ceo@bank.example', recipient: 'a@delivery.example' };
  const data = { protocol_state: 'DATA' };
  const replies: readonly (readonly [RegExp, Readonly<Record<string, string>>])[] = [
    [/^DUNNO$/, { recipient: 'u@else.example', instance: instance(1) }],
    [/^550 5\.7\.10 /, { ...plain, recipient: 'u@receipt.example', instance: instance(2) }],
    [/^550 5\.7\.10 /, { encryption_protocol: 'TLSv1.1', recipient: 'u@receipt.example', instance: instance(2) }],
    [
      /^450 4\.7\.10 /,
      { encryption_keysize: '128', sender: 'u@strong.example', recipient: 'u@else.example', instance: instance(3) },
    ],
    [/^WARN /, { ...plain, recipient: 'u@trial.example', instance: instance(4) }],
    [/^FILTER /, { ...bank, instance: instance(5) }],
    [/^FILTER /, { ...bank, ...data, recipient_count: '1', instance: instance(5) }],
    [/^FILTER /, { ...bank, instance: instance(6) }],
    [/^452 4\.5\.3 /, { ...bank, recipient: 'u@else.example', instance: instance(6) }],
    [/^DUNNO$/, { recipient: 'u@else.example', instance: instance(7) }],
    [/^DUNNO$/, { ...data, recipient: 'u@else.example', recipient_count: '1', instance: instance(7) }],
    [/^451 4\.3\.0 /, { ...data, recipient: '', recipient_count: '2', instance: instance(8) }],
    [/^DUNNO$/, { protocol_state: 'MAIL', instance: instance(9) }],
  ];
  for (const [expected, attributes] of replies) assert.match(await service.ask(attributes), expected);
}
