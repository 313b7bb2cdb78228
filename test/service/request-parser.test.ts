// What the parser reads out of bytes, whatever pieces they come in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyRequest } from '../../src/decision/request.ts';
import { viewOf } from '../../src/service/read-buffer.ts';
import { RequestParser, type RequestSink } from '../../src/service/request-parser.ts';
import type { RequestTrouble } from '../../src/service/trouble.ts';
import { Random } from '../oracle/prng.ts';
import { meaningOf } from '../oracle/slow-protocol.ts';
import { attributeNames, recordedRequest, requestOf } from './recorded-request.ts';

/** Everything a parser makes of some pieces; 'foreign' stands for a request of another type. */
class Parsed implements RequestSink {
  readonly requests: (PolicyRequest | 'foreign')[] = [];
  trouble: RequestTrouble | undefined;
  readonly parser = new RequestParser();

  requested(isAccessPolicy: boolean): boolean {
    const { found: _, ...attributes } = this.parser.request;
    this.requests.push(isAccessPolicy ? attributes : 'foreign');
    return true;
  }

  read(piece: Buffer): void {
    this.trouble ??= this.parser.read(piece, viewOf(piece), piece.length, this);
  }
}

function parse(...pieces: readonly Buffer[]): Parsed {
  const parsed = new Parsed();
  for (const piece of pieces) parsed.read(piece);
  return parsed;
}

const recorded: PolicyRequest = {
  protocolState: 'RCPT',
  sender: 'ceo@partner.example',
  recipient: 'payroll@example.com',
  recipientCount: 0,
  clientAddress: '198.51.100.17',
  encryptionProtocol: 'TLSv1.3',
  encryptionKeysize: 256,
  authenticated: false,
  instance: '1a2b.66f1a2b3.c3d4e.0',
  policyContext: 'both',
};

const nothing: PolicyRequest = {
  protocolState: 'other',
  sender: '',
  recipient: '',
  recipientCount: 0,
  clientAddress: '',
  encryptionProtocol: '',
  encryptionKeysize: 0,
  authenticated: false,
  instance: '',
  policyContext: 'both',
};

/** What one request with these attributes says. */
function only(...lines: readonly string[]): PolicyRequest | 'foreign' | undefined {
  const { requests, trouble } = parse(requestOf('request=smtpd_access_policy', ...lines));
  assert.equal(trouble, undefined);
  assert.equal(requests.length, 1);
  return requests[0];
}

test('a request of Postfix is read as it is meant', () => {
  const { requests, trouble, parser } = parse(recordedRequest());
  assert.equal(trouble, undefined);
  assert.deepEqual(requests, [recorded]);
  assert.equal(parser.midRequest, false);
});

test('every attribute that counts is read', () => {
  const request = recordedRequest({
    protocol_state: 'DATA',
    recipient_count: '17',
    sasl_username: 'ceo',
    encryption_protocol: 'TLSv1.2',
    encryption_keysize: '128',
    policy_context: 'delivery',
  });
  assert.deepEqual(parse(request).requests, [
    {
      ...recorded,
      protocolState: 'DATA',
      recipientCount: 17,
      authenticated: true,
      encryptionProtocol: 'TLSv1.2',
      encryptionKeysize: 128,
      policyContext: 'delivery',
    },
  ]);
});

test('a request in two pieces is the same request, wherever it is cut', () => {
  const request = recordedRequest({ sender: 'jürgen@partner.example', sasl_username: 'x', recipient_count: '3' });
  const whole = parse(request).requests;
  for (let cut = 0; cut <= request.length; cut += 1) {
    const parsed = parse(request.subarray(0, cut), request.subarray(cut));
    assert.deepEqual(parsed.requests, whole, `cut at ${cut}`);
    assert.equal(parsed.trouble, undefined);
    assert.equal(parsed.parser.midRequest, false);
  }
});

test('a request byte by byte is the same request', () => {
  const request = recordedRequest();
  const pieces = Array.from(request, (byte) => Buffer.from([byte]));
  assert.deepEqual(parse(...pieces).requests, [recorded]);
});

test('several requests at once are read in order, and the last may be unfinished', () => {
  const requests = ['a', 'b', 'c'].map((name) => recordedRequest({ recipient: `${name}@example.com` }));
  const parsed = parse(Buffer.concat([...requests, recordedRequest().subarray(0, 300)]));
  assert.deepEqual(
    parsed.requests.map((request) => request !== 'foreign' && request.recipient),
    ['a@example.com', 'b@example.com', 'c@example.com'],
  );
  assert.equal(parsed.parser.midRequest, true);
});

test('nothing of one request is left in the next', () => {
  const full = recordedRequest({ sasl_username: 'ceo', recipient_count: '2', policy_context: 'receipt' });
  const bare = requestOf('request=smtpd_access_policy');
  for (let cut = 0; cut <= bare.length; cut += 1) {
    const { requests } = parse(full, bare.subarray(0, cut), bare.subarray(cut));
    assert.deepEqual(requests[1], nothing);
  }
});

test('attributes may come in any order, and unknown ones are passed over', () => {
  assert.deepEqual(only('instance=1.2', 'colour=blue', '=', 'x=', '=sender=x', 'sender=a@b.example', 'sender_x=y'), {
    ...nothing,
    instance: '1.2',
    sender: 'a@b.example',
  });
});

test('of an attribute sent twice the last counts, even the empty one', () => {
  assert.deepEqual(only('sender=a@b', 'sender=c@d', 'encryption_protocol=TLSv1.3', 'encryption_protocol='), {
    ...nothing,
    sender: 'c@d',
  });
  assert.deepEqual(parse(requestOf('request=smtpd_access_policy', 'request=other')).requests, ['foreign']);
  assert.deepEqual(parse(requestOf('request=other', 'request=smtpd_access_policy')).requests, [nothing]);
  const first = Buffer.from('request=smtpd_access_policy\nsender=a@b\nsasl_username=x\n');
  const second = Buffer.from('sasl_username=\nsender=\n\n');
  assert.deepEqual(parse(first, second).requests, [nothing]);
});

test('a name that differs in one byte from one that counts is another name', () => {
  for (const name of attributeNames) {
    for (let at = 0; at < name.length; at += 1) {
      for (const other of ['X', '_', '', `${name[at]}x`]) {
        const mutant = `${name.slice(0, at)}${other}${name.slice(at + 1)}`;
        if (attributeNames.includes(mutant)) continue;
        assert.deepEqual(only(`${mutant}=7`), nothing, mutant);
      }
    }
  }
});

test('a value that holds an attribute in its text is still one value', () => {
  assert.deepEqual(only('helo_name=sender=a@b', 'client_name==', 'sender=recipient=c@d'), {
    ...nothing,
    sender: 'recipient=c@d',
  });
});

test('a value that differs in one byte from one that counts is another value', () => {
  for (const value of ['smtpd_access_polic', 'smtpd_access_policyx', 'smtpd_access_Policy', '']) {
    assert.deepEqual(parse(requestOf(`request=${value}`)).requests, ['foreign'], value);
  }
  for (const value of ['RCPTX', 'RCP', 'rcpt', 'MAIL', 'DATAA', '']) {
    assert.deepEqual(only(`protocol_state=${value}`), nothing, value);
  }
  for (const value of ['receip', 'receipts', 'Receipt', 'deliverX', 'delivery ', '']) {
    assert.deepEqual(only(`policy_context=${value}`), nothing, value);
  }
});

test('protocols are passed on as they are, those of tomorrow too', () => {
  for (const name of ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3', 'TLSv1.4', 'TLSv2', 'SSLv3', 'x', 'QUIC-🙂']) {
    assert.deepEqual(only(`encryption_protocol=${name}`), { ...nothing, encryptionProtocol: name });
  }
});

test('a number that is garbage is 0', () => {
  const numbers: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['256', 256],
    ['007', 7],
    ['999999999', 999_999_999],
    ['1000000000', 0],
    ['99999999999999999999', 0],
    ['-1', 0],
    ['+1', 0],
    ['1e3', 0],
    [' 1', 0],
    ['1.5', 0],
    ['0x10', 0],
    ['', 0],
    ['１', 0],
  ];
  for (const [text, number] of numbers) {
    assert.deepEqual(only(`recipient_count=${text}`, `encryption_keysize=${text}`), {
      ...nothing,
      recipientCount: number,
      encryptionKeysize: number,
    });
  }
});

test('UTF-8 is read as such, and what is not UTF-8 becomes U+FFFD', () => {
  assert.deepEqual(only('sender=jürgen@bücher.example'), { ...nothing, sender: 'jürgen@bücher.example' });
  const broken = Buffer.concat([
    Buffer.from('request=smtpd_access_policy\nsender=a'),
    Buffer.from([0xff, 0xc3]),
    Buffer.from('\nrecipient=b\n\n'),
  ]);
  assert.deepEqual(parse(broken).requests, [{ ...nothing, sender: 'a\ufffd\ufffd', recipient: 'b' }]);
  // As the request before, but for one character that has the same code as the byte.
  const latin1 = Buffer.concat([
    requestOf('request=smtpd_access_policy', 'sender=é'),
    Buffer.from('request=smtpd_access_policy\nsender='),
    Buffer.from([0xe9]),
    Buffer.from('\n\n'),
  ]);
  assert.deepEqual(
    parse(latin1).requests.map((request) => request !== 'foreign' && request.sender),
    ['é', '\ufffd'],
  );
});

test('a request of another type is foreign, an empty one too', () => {
  assert.deepEqual(parse(requestOf('request=junk')).requests, ['foreign']);
  assert.deepEqual(parse(requestOf('sender=a@b')).requests, ['foreign']);
  assert.deepEqual(parse(Buffer.from('\n')).requests, ['foreign']);
});

test('a foreign request leaves nothing to the next', () => {
  const { requests } = parse(requestOf('sender=a@b', 'sasl_username=x'), requestOf('request=smtpd_access_policy'));
  assert.deepEqual(requests, ['foreign', nothing]);
});

test('a line without = is trouble as soon as it ends, in one piece or two', () => {
  for (const text of ['sender\n', 'request=smtpd_access_policy\nx\n', 'a=b\nsender a@b\nc=d\n\n', 'x=\n\r\n']) {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      assert.equal(parse(bytes.subarray(0, cut), bytes.subarray(cut)).trouble, 'no-equals', JSON.stringify(text));
    }
  }
});

test('a NUL is trouble as soon as it comes, wherever it stands', () => {
  const request = recordedRequest();
  for (let at = 0; at < request.length; at += 1) {
    const bytes = Buffer.from(request);
    bytes[at] = 0;
    assert.equal(parse(bytes).trouble, 'nul', `at ${at}`);
    assert.equal(parse(bytes.subarray(0, at), bytes.subarray(at, at + 1)).trouble, 'nul', `at ${at}, alone`);
  }
});

test('200 attributes are read, 201 are trouble', () => {
  const attributes = (count: number) => Array.from({ length: count - 1 }, (_, index) => `x${index}=`);
  assert.deepEqual(only(...attributes(200)), nothing);
  const bytes = requestOf('request=smtpd_access_policy', ...attributes(201));
  assert.equal(parse(bytes).trouble, 'too-many-attributes');
  assert.equal(parse(...Array.from(bytes, (byte) => Buffer.from([byte]))).trouble, 'too-many-attributes');
});

test('65536 bytes are read, one more is trouble, in whatever pieces', () => {
  const begin = 'request=smtpd_access_policy\nsender=';
  const request = (length: number) => Buffer.from(`${begin}${'x'.repeat(length - begin.length - 2)}\n\n`);
  for (const piece of [1 << 20, 65_536, 65_535, 1000]) {
    const pieces = (bytes: Buffer) =>
      Array.from({ length: Math.ceil(bytes.length / piece) }, (_, index) =>
        bytes.subarray(index * piece, (index + 1) * piece),
      );
    const fits = parse(...pieces(request(65_536)));
    assert.equal(fits.trouble, undefined);
    assert.equal(fits.requests.length, 1);
    const parsed = parse(...pieces(request(65_537)));
    assert.equal(parsed.trouble, 'too-large');
    assert.equal(parsed.requests.length, 0);
  }
});

test('a request that never ends is trouble at 65536 bytes, not a growing heap', () => {
  const parsed = new Parsed();
  let sent = 0;
  while (parsed.trouble === undefined) {
    parsed.read(Buffer.from('xxxxxxxxx'));
    sent += 9;
  }
  assert.equal(parsed.trouble, 'too-large');
  assert.ok(sent <= 65_536 + 9);
});

test('what the parser reads is what a plain reading of the protocol gives, for 5000 random requests', () => {
  const random = new Random(20_260);
  const pick = <T>(of: readonly T[]): T => of[random.integer(0, of.length - 1)] as T;
  const values = [
    '',
    'a',
    'RCPT',
    'DATA',
    'receipt',
    'delivery',
    'TLSv1.2',
    '256',
    'ü',
    'x@y.example',
    'smtpd_access_policy',
  ];
  for (let round = 0; round < 5000; round += 1) {
    const lines = ['request=smtpd_access_policy'];
    for (let line = random.integer(0, 40); line > 0; line -= 1) lines.push(`${pick(attributeNames)}=${pick(values)}`);
    lines.push('request=smtpd_access_policy');
    const bytes = requestOf(...lines);
    const cut = random.integer(0, bytes.length);
    const again = random.integer(cut, bytes.length);
    const { requests } = parse(bytes.subarray(0, cut), bytes.subarray(cut, again), bytes.subarray(again));
    assert.deepEqual(requests, [meaningOf(lines)]);
  }
});
