// What a client sends comes back to nobody: not in a reply, where it could end a line early or lie to a postmaster, and not
// in the log, where it could write a line of its own, move a terminal's cursor, or fill the disk. Few things of a request are
// logged, the message's instance, the client's address and the session's TLS, for debug the two addresses too, and these
// bounded and made fit to be read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/wait-for.ts';
import { attributeNames, recordedRequest, requestOf } from './recorded-request.ts';
import { RunningService } from './running-service.ts';

const MARK = 'cQ7xMARKx7Qc';
/** Longest line of the log that a request may bring about; one for debug has addresses besides. */
const LONGEST_LINE = 2_000;
const LONGEST_DEBUG_LINE = 4_000;

/** What of a request is logged. */
const TOLD = ['instance', 'client', 'session'];
const TOLD_FOR_DEBUG = [...TOLD, 'sender', 'recipient'];
const INFO = 30;

const always = { require_tls: 'always' };
const domains = {
  'reject.example': { incoming: { receipt: always } },
  'defer.example': { incoming: { receipt: { ...always, on_failure: 'defer' } } },
  'warn.example': { incoming: { receipt: { ...always, enforcement: 'monitor' } } },
  'filter.example': { nexthop: '[mx.example]:25', incoming: { delivery: always } },
  'bücher.example': { incoming: { receipt: always } },
  constructor: { incoming: { receipt: always } },
  ['__proto__']: { incoming: { receipt: always } },
};

/** Text that does harm where it is repeated as it is. */
const harmful: readonly (readonly [what: string, value: string | Buffer])[] = [
  ['a carriage return', `${MARK}\r${MARK}`],
  ['escape sequences of a terminal', `${MARK}\x1b[2J\x1b]0;title\x07`],
  ['control characters', `${MARK}\x01\x08\x0b\x0c\x7f`],
  ['C1 control characters', `${MARK}\u0085\u009b31m`],
  ['separators of lines and paragraphs', `${MARK}\u2028\u2029`],
  ['text that turns around', `${MARK}\u202e\u2066`],
  ['bytes that are no UTF-8', Buffer.from(`${MARK}\xff\xfe\x9b\xc0\xaf`, 'latin1')],
  ['half a surrogate pair', Buffer.from([...Buffer.from(MARK), 0xed, 0xa0, 0x80])],
  ['the end of a JSON string', `${MARK}","level":60,"msg":"${MARK}`],
  ['the end of a reply', `${MARK}\\n\\naction=OK ${MARK}`],
  ['60 KiB', MARK.repeat(5_000)],
  ['60 KiB of control characters', `${MARK}${'\x01'.repeat(60_000)}`],
];

const recipients = ['reject', 'defer', 'warn', 'filter', 'bücher'].map((name) => `${name}.example`);

/** The recorded request with one value as it is, byte for byte. */
function requestWith(name: string, value: string | Buffer, others: Readonly<Record<string, string>> = {}): Buffer {
  const [before = '', after = ''] = recordedRequest({ encryption_protocol: '', ...others, [name]: 'SPLIT' })
    .toString()
    .split('SPLIT');
  return Buffer.concat([Buffer.from(before), Buffer.from(value), Buffer.from(after)]);
}

test('nothing that a client sends comes back in a reply or makes a line of the log', {
  timeout: 120_000,
}, async (t) => {
  const service = await RunningService.start(t, { domains, level: 'trace' });
  const client = await service.client();
  let asked = 0;
  let refused = 0;
  const ask = async (request: Buffer): Promise<string> => {
    asked += 1;
    const reply = await client.ask(request);
    assert.ok(!client.isClosed, `closed after ${asked} requests`);
    assert.doesNotMatch(reply, /[^\x20-\x7e]/);
    assert.doesNotMatch(reply, /MARK|evil|OK|PERMIT/);
    if (reply !== 'DUNNO') refused += 1;
    return reply;
  };
  const instance = (): string => `${asked.toString(16)}.${Math.floor(Date.now() / 1000).toString(16)}.0.0`;

  for (const [what, value] of harmful) {
    for (const name of attributeNames) {
      if (name === 'request' || name === 'protocol_state') continue;
      const recipient = `user@${recipients[asked % recipients.length]}`;
      const reply = await ask(requestWith(name, value, { recipient, instance: instance() }));
      if (name === 'sender' || name === 'helo_name') assert.notEqual(reply, 'DUNNO', `${what} in ${name}`);
    }
    // As the local part of a recipient, who is refused whatever his name is; and around the domain.
    const bytes = Buffer.from(value);
    for (const domain of recipients) {
      const recipient = Buffer.concat([bytes, Buffer.from(`@${domain}`)]);
      assert.notEqual(await ask(requestWith('recipient', recipient, { instance: instance() })), 'DUNNO', what);
      for (const elsewhere of [
        Buffer.concat([Buffer.from('user@'), bytes, Buffer.from(`.${domain}`)]),
        Buffer.concat([Buffer.from(`user@${domain}`), bytes]),
      ]) {
        assert.equal(await ask(requestWith('recipient', elsewhere, { instance: instance() })), 'DUNNO', what);
      }
    }
  }

  const look = { encryption_protocol: '', instance: '' };
  for (const [recipient, expected] of [
    // Looks like reject.example: the second letter is Cyrillic. It is another domain.
    ['user@r\u0435ject.example', 'DUNNO'],
    ['user@bucher.example', 'DUNNO'],
    ['user@xn--bcher-kva.example', /^550 5\.7\.10 .* xn--bcher-kva\.example /],
    ['user@BÜCHER.EXAMPLE.', /^550 5\.7\.10 .* xn--bcher-kva\.example /],
    // Compatibility forms of the very letters are that domain, and are said in its own.
    ['user@\uff52\uff45\uff4a\uff45\uff43\uff54.example', /^550 5\.7\.10 .* reject\.example /],
    ['user@constructor', /^550 5\.7\.10 .* constructor /],
    ['user@__proto__', /^550 5\.7\.10 .* __proto__ /],
    ['__proto__@reject.example', /^550 5\.7\.10 .* reject\.example /],
    ['constructor@prototype', 'DUNNO'],
    ['user@hasOwnProperty', 'DUNNO'],
    ['user@toString', 'DUNNO'],
    ['user@__defineGetter__', 'DUNNO'],
  ] as const) {
    const reply = await ask(recordedRequest({ ...look, recipient }));
    if (typeof expected === 'string') assert.equal(reply, expected, recipient);
    else assert.match(reply, expected, recipient);
  }

  // Names of object members as attributes are attributes like any other that does not count.
  const strange = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', MARK, '\x1b[2J', ''];
  const usual = 'request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=user@reject.example\n'.trimEnd();
  assert.match(await ask(requestOf(...usual.split('\n'), ...strange.map((name) => `${name}=${MARK}`))), /^550 /);
  assert.equal(await ask(requestOf(...strange.map((name) => `${name}=smtpd_access_policy`))), 'DUNNO');
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.notEqual(await ask(recordedRequest({ ...look, instance: name, recipient: 'user@filter.example' })), 'DUNNO');
    const data = { ...look, protocol_state: 'DATA', recipient_count: '2', recipient: '', instance: name };
    assert.match(await ask(recordedRequest({ ...data, instance: 'valueOf' })), /^451 4\.3\.0 /);
  }
  client.close();

  const troubles: readonly (string | Buffer)[] = [
    `${MARK}\n`,
    `sender=${MARK}\0${MARK}\n`,
    `sender=${'x'.repeat(1 << 20)}@reject.example\n\n`,
    `recipient=${MARK.repeat(1 << 16)}`,
    requestOf(...Array.from({ length: 300 }, (_, at) => `${MARK}${at}=${MARK}`)),
    `GET /${MARK} HTTP/1.1\r\nHost: ${MARK}\r\n\r\n`,
    Buffer.from(`\x16\x03\x01\x02\x00${MARK}`, 'latin1'),
    `{"${MARK}":1}\n`,
  ];
  for (const bytes of troubles) {
    const one = await service.client();
    one.send(bytes);
    assert.equal(await one.untilClosed(), '');
  }
  const last = await service.client();
  assert.match(await last.ask(recordedRequest({ ...look, recipient: 'user@reject.example' })), /^550 /);
  await waitFor(
    () => service.logged.filter(({ msg }) => msg === 'connection closed without a reply').length,
    'trouble',
  );
  assert.equal(await service.stop(), 0);

  const isDebug = (event: Readonly<Record<string, unknown>>): boolean => Number(event['level']) < INFO;
  const decisions = service.logged.filter((event) => event['decision'] !== undefined && !isDebug(event));
  // All that was not DUNNO is told, in a line of its own or in a sum, and nothing else; a lane is not said again at DATA.
  const told = decisions.reduce((sum, event) => sum + 1 + Number(event['more'] ?? 0), 0);
  assert.equal(told, refused + 1);
  const known =
    /^(settings in force|ready|stopping|stopped|decided|connection closed without a reply|TLS required|lane|not all recipients of)/;
  for (const [at, event] of service.logged.entries()) {
    const line = Buffer.from(service.lines[at] ?? '', 'latin1').toString();
    assert.doesNotMatch(line, /\p{Cc}/u);
    const longest = isDebug(event) ? LONGEST_DEBUG_LINE : LONGEST_LINE;
    assert.ok(line.length < longest, `${line.length} bytes: ${line.slice(0, 200)}`);
    assert.match(String(event['msg']), known);
    for (const [key, value] of Object.entries(event)) {
      assert.doesNotMatch(JSON.stringify(value), /[\p{C}\p{Zl}\p{Zp}\ufffd]/u, key);
      if (!(isDebug(event) ? TOLD_FOR_DEBUG : TOLD).includes(key))
        assert.doesNotMatch(JSON.stringify(value), /MARK/, key);
    }
  }
});
