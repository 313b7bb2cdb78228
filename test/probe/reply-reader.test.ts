// Replies of servers, decent ones and others.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { offers, ReplyReader, ReplyTrouble, wordReply } from '../../src/probe/reply-reader.ts';
import { printable } from '../../src/text/printable.ts';

const read = (...pieces: readonly string[]): readonly (readonly [number, readonly string[]])[] => {
  const reader = new ReplyReader();
  return pieces.flatMap((piece) => reader.push(Buffer.from(piece))).map(({ code, lines }) => [code, lines]);
};

describe('a reply', () => {
  test('is read in whatever pieces it comes', () => {
    const whole = '250-mx.example.com\r\n250-STARTTLS\r\n250 HELP\r\n221 bye\n';
    const expected = [
      [250, ['mx.example.com', 'STARTTLS', 'HELP']],
      [221, ['bye']],
    ];
    assert.deepEqual(read(whole), expected);
    assert.deepEqual(read(...whole), expected);
  });

  test('may be a code and nothing else', () => {
    assert.deepEqual(
      read('220\r\n'),
      [[220, []]].map(([code]) => [code, ['']]),
    );
  });

  test('offers what stands behind its first line, in either case', () => {
    const reply = { code: 250, lines: ['STARTTLS', 'starttls', 'SIZE 1000'] };
    assert.ok(offers(reply, 'STARTTLS'));
    assert.ok(offers(reply, 'SIZE'));
    assert.ok(!offers({ code: 250, lines: ['STARTTLS'] }, 'STARTTLS'));
  });

  test('is no reply if it is anything else', () => {
    for (const line of ['HTTP/1.1 400 Bad Request', '25 x', '2500 x', '999 x', '', '250x', '\u0000\u0001']) {
      assert.throws(() => read(`${line}\r\n`), ReplyTrouble, line);
    }
  });

  test('is bounded in length and number, however it comes', () => {
    assert.throws(() => read('2'.repeat(3_000)), /line without end/);
    assert.throws(() => read(`250 ${'x'.repeat(3_000)}\r\n`), /line without end/);
    assert.throws(() => read('250-x\r\n'.repeat(1_000)), /reply without end/);
    assert.throws(() => read('250 x\r\n'.repeat(1_000)), /replies without end/);
  });

  test('is repeated in one line without control characters, and not at length', () => {
    const text = wordReply({ code: 550, lines: ['\u001b[2Jgo\u0007', 'away\u202e', 'x'.repeat(1_000)] });
    assert.match(text, /^550 \\x1b\[2Jgo\\x07 away\\u\{202e\} x+…$/u);
    assert.ok(text.length < 260);
  });
});

test('what is printed of a stranger moves no cursor and turns no text around', () => {
  assert.equal(printable('a\r\nb\u009bc\u2028d\ufffd\ud800'), 'a\\x0d\\x0ab\\x9bc\\u{2028}d\\u{fffd}\\u{d800}');
  assert.equal(printable('bücher 例え'), 'bücher 例え');
});
