// Requests that are not as Postfix sends them: disguised, so that they say the same in another way, or mutated, so that they
// say anything. Made of a recorded one. They decide nothing about what becomes of them.

import type { Version } from '../oracle/oracle.ts';
import type { Random } from '../oracle/prng.ts';
import { attributeNames, recordedRequest } from './recorded-request.ts';

/** What a request says. */
export interface Ask {
  readonly state: 'RCPT' | 'DATA' | 'other';
  readonly sender: string;
  readonly recipient: string;
  readonly count: number;
  /** undefined: plaintext. */
  readonly protocol: Version | undefined;
  readonly bits: number;
  readonly exempt: boolean;
  readonly login: boolean;
  readonly context: 'receipt' | 'delivery' | undefined;
  readonly instance: string;
}

const LF = 0x0a;
const EQUALS = 0x3d;

function valuesOf(ask: Partial<Ask>): Readonly<Record<string, string>> {
  return {
    protocol_state: ask.state === 'other' ? 'MAIL' : (ask.state ?? 'RCPT'),
    client_address: ask.exempt === true ? '192.0.2.99' : '192.0.2.1',
    sender: ask.sender ?? '',
    recipient: ask.recipient ?? '',
    recipient_count: String(ask.count ?? 0),
    instance: ask.instance ?? '',
    sasl_username: ask.login === true ? 'ann' : '',
    encryption_protocol: ask.protocol ?? '',
    encryption_cipher: ask.protocol === undefined ? '' : 'TLS_AES_256_GCM_SHA384',
    encryption_keysize: String(ask.bits ?? 0),
    policy_context: ask.context ?? '',
  };
}

/** The request as Postfix sends it. */
export function askOf(ask: Partial<Ask>): Buffer {
  return recordedRequest(valuesOf(ask));
}

/** Names that are none of those that count, however near. */
const STRANGE_NAMES = [
  '__proto__',
  'constructor',
  'toString',
  '',
  'Sender',
  'senders',
  'sende',
  'recipient_',
  'recipient_counts',
  'xrecipient',
  'client_addres',
  'instance ',
  ' instance',
  'policy_contex',
  'encryption_protocol2',
  'sasl_usernam',
  'request\t',
  'prot\u00f6col_state',
  '\u0001',
  'x'.repeat(300),
];

/** The request in another form: it says the same, so it has to be decided as it is. */
export function disguised(random: Random, ask: Ask): Buffer {
  const values = valuesOf(ask);
  let lines = askOf(ask).toString().split('\n').slice(0, -2);
  if (random.percent(60)) lines = random.shuffled(lines);
  if (random.percent(50)) {
    // Said before, and otherwise: the last counts.
    const before = Array.from({ length: random.integer(1, 10) }, () => {
      const name = random.pick(attributeNames);
      return `${name}=${garbage(random)}`;
    });
    lines = [...before, ...lines];
  }
  for (let more = random.percent(50) ? random.integer(1, 60) : 0; more > 0 && lines.length < 190; more -= 1) {
    lines.splice(random.integer(0, lines.length), 0, `${random.pick(STRANGE_NAMES)}=${garbage(random)}`);
  }
  if (random.percent(20)) {
    const absent = Object.keys(values).filter(
      (name) => values[name] === '' && lines.every((line) => !line.startsWith(`${name}=`) || line === `${name}=`),
    );
    lines = lines.filter((line) => !absent.includes(line.slice(0, -1)));
  }
  return Buffer.from(`${lines.join('\n')}\n\n`);
}

/** A value that means nothing, on one line. */
function garbage(random: Random): string {
  return random.pick([
    '',
    'x',
    '=',
    '==a=b',
    '\u00e9',
    '\u{1f642}',
    '\ufffd',
    'RCPT',
    'DATA',
    'smtpd_access_policy',
    '-1',
    '00000000000000000000001',
    '9'.repeat(30),
    '999999999',
    '000000128',
    '1e3',
    '128 ',
    'y'.repeat(random.integer(1, 3_000)),
    '\t\r \u007f',
    'action=OK',
    '__proto__',
    'sender=a@b.example',
  ]);
}

const NASTY_ADDRESSES = [
  '@',
  '@@@',
  'a@',
  '@a',
  '%',
  '!',
  'a%b%c%d@e',
  'a!b!c!d@e',
  '@a,@b:c@d',
  '@a:',
  'a@[192.0.2.1]',
  'a@[IPv6:::1]',
  '"a b"@c',
  'a@b@c@d',
  'a@\u00e4\u00f6\u00fc.example',
  'a@xn--',
  'a@xn--zzzzzzzzzzzz.example',
  'a@\u3002.example',
  'a@ex\u00adample.com',
  'a@.',
  'a@..',
  'a@-',
  `a@${'b.'.repeat(400)}`,
  `${'a+'.repeat(400)}@b`,
  `a@${'\u00fc'.repeat(1_500)}`,
  '\u0130@\u0130.example',
  '\u00df@\u00df.example',
  '__proto__@constructor',
];

/** A request that was one, before it came under the wheels. */
export function mutant(random: Random, ask: Ask): Buffer {
  const values: Record<string, string> = { ...valuesOf(ask) };
  const name = random.pick(attributeNames);
  // An instance that others have too would make what is right depend on who comes first.
  if (random.percent(50)) values[name] = name === 'instance' ? `${ask.instance}${garbage(random)}` : garbage(random);
  for (const side of ['sender', 'recipient']) {
    if (!random.percent(20)) continue;
    const nasty = random.pick(NASTY_ADDRESSES);
    values[side] = random.percent(50) ? nasty : `${nasty}${random.pick(['%', '!', '@', ''])}${values[side]}`;
  }
  let bytes = recordedRequest(values);
  if (random.percent(20)) {
    const lines = bytes.toString().split('\n').slice(0, -2);
    for (let gone = random.integer(1, 4); gone > 0; gone -= 1) lines.splice(random.integer(1, lines.length - 1), 1);
    bytes = Buffer.from(`${lines.join('\n')}\n\n`);
  }
  // Most keep their lines, so that connections live long enough to matter.
  if (random.percent(90)) {
    const instanceAt = bytes.indexOf('\ninstance=');
    const instanceEnd = bytes.indexOf('\n', instanceAt + 1);
    for (let changes = random.integer(0, 8); changes > 0; changes -= 1) {
      const at = random.integer(28, bytes.length - 1);
      if (at > instanceAt && at < instanceEnd) continue;
      if (bytes[at] !== LF && bytes[at] !== EQUALS) bytes[at] = random.integer(LF + 1, 255);
    }
    return bytes;
  }
  for (let changes = random.integer(1, 4); changes > 0; changes -= 1) bytes = wrecked(random, bytes);
  return bytes;
}

function wrecked(random: Random, bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const at = random.integer(0, bytes.length - 1);
  const to = Math.min(bytes.length, at + random.integer(1, 60));
  switch (random.integer(0, 10)) {
    case 0:
      bytes[at] = random.integer(0, 255);
      return bytes;
    case 1:
      bytes[at] = random.pick([0x00, 0x0a, 0x0d, 0x3d, 0x20, 0x7f, 0x80, 0xff]);
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from('\n'), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes, bytes.subarray(0, at)]);
    case 6:
      for (let byte = at; byte < to; byte += 1) bytes[byte] = random.integer(0, 255);
      return bytes;
    case 7: {
      const many = `${random.pick(attributeNames.filter((name) => name !== 'instance'))}=z\n`;
      return Buffer.concat([Buffer.from(many.repeat(random.pick([1, 10, 150, 169, 170, 300]))), bytes]);
    }
    case 8: {
      // As long as a request may be, or a byte more.
      const room = 65_536 - bytes.length - 'long=\n'.length + random.integer(-1, 1);
      return room < 0 ? bytes : Buffer.concat([Buffer.from(`long=${'w'.repeat(room)}\n`), bytes]);
    }
    case 9:
      return Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
    default:
      return random.percent(3) ? Buffer.concat([bytes.subarray(0, at), Buffer.alloc(70_000, 'w')]) : bytes;
  }
}
