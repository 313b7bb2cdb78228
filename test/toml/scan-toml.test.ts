import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatKey, formatValue } from '../../src/toml/format-toml.ts';
import { KeyLocator } from '../../src/toml/locate-key.ts';
import { parseToml } from '../../src/toml/read-toml.ts';
import { scanToml } from '../../src/toml/scan-toml.ts';

const TEXT = `# a comment with [brackets] and = signs
top = 1 # one

[domains."Example.com"]   # [not."a".header]
aliases = [
  "a.example", # ] "
  'b.example',
]
nexthop = '''
[domains."fake.example"]
'''
[ domains . "bücher.example" . incoming.receipt ]
require_tls = "spec\\"ific"
senders = """
a@b.example
key = "x"
\\""" still in it"""
inline = { a = [1, { b = "}" }] }
[domains."Example.com".incoming.receipt]
recipients = "payroll"
`;

describe('the line of a key', () => {
  const locator = new KeyLocator(TEXT);
  const lineOf = (domain: string | undefined, key: string) => locator.find(domain, key)?.line;

  it('is found in tables, past strings, arrays and comments that look like more', () => {
    assert.equal(lineOf(undefined, 'top'), 2);
    assert.equal(lineOf('Example.com', ''), 4);
    assert.equal(lineOf('Example.com', 'aliases'), 5);
    assert.equal(lineOf('Example.com', 'nexthop'), 9);
    assert.equal(lineOf('Example.com', 'incoming.receipt.recipients'), 20);
    assert.equal(lineOf('fake.example', ''), undefined);
    assert.equal(lineOf('bücher.example', 'incoming.receipt.require_tls'), 13);
    assert.equal(lineOf('bücher.example', 'incoming.receipt.inline'), 18);
    assert.equal(lineOf('bücher.example', 'incoming.receipt.key'), undefined);
  });

  it('is found by any form of the domain', () => {
    assert.equal(lineOf('example.COM.', 'aliases'), 5);
    assert.equal(lineOf('xn--bcher-kva.example', 'incoming.receipt.senders'), 14);
  });

  it('is that of the table where the key is absent', () => {
    assert.equal(locator.nearest('example.com', 'incoming.receipt.senders')?.line, 19);
    assert.equal(locator.nearest('example.com', 'outgoing.receipt.senders')?.line, 4);
    assert.equal(locator.nearest('other.example', 'outgoing')?.line, undefined);
  });

  it('is found for a table that only tables within it make', () => {
    assert.equal(lineOf('bücher.example', ''), 12);
    assert.equal(lineOf('bücher.example', 'incoming'), 12);
  });
});

describe('a statement', () => {
  it('covers its own lines and no others', () => {
    const statements = scanToml(TEXT);
    const slices = statements.map(({ start, end }) => TEXT.slice(start, end));
    assert.equal(`${TEXT.slice(0, TEXT.indexOf('top'))}${slices[0]}\n${slices.slice(1).join('')}`, TEXT);
    const aliases = statements.find(({ path }) => path[0] === 'aliases');
    assert.match(TEXT.slice(aliases?.valueStart, aliases?.valueEnd), /^\[\n[^=]*'b\.example',\n\]$/u);
  });

  it('ends at the end of a text without a last newline, or of one with CRLF', () => {
    assert.deepEqual(
      scanToml('a = 1').map(({ valueStart, valueEnd, end }) => [valueStart, valueEnd, end]),
      [[4, 5, 5]],
    );
    const [first] = scanToml('a = "x" \r\nb = 1\r\n');
    assert.deepEqual([first?.valueStart, first?.valueEnd, first?.end], [4, 7, 10]);
  });

  it('is never waited for: any text is scanned to its end', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab.="\'[]{}#\n\r\\ ,'), maxLength: 60 }), (text) => {
        for (const { start, end } of scanToml(text)) assert.ok(start < end && end <= text.length);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a value written as TOML', () => {
  it('reads back as the same value, whatever is in it', () => {
    const string = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(
        string,
        fc.oneof(string, fc.integer(), fc.boolean(), fc.array(string, { maxLength: 20 })),
        (key, value) => {
          const table = parseToml(`${formatKey(key)} = ${formatValue(value)}\n`, 'a.toml');
          assert.deepEqual(Object.entries(table), [[key, value]]);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
