/**
 * What is exported and imported again is what was there, whatever it was.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { readImport } from '../../src/commands/domains/import-text.ts';
import { formatRecord, normalRecord, sameValue } from '../../src/settings/domain-record.ts';
import { complaintsOf } from '../settings/compile-settings.ts';

const entry = fc.constantFrom(
  '*',
  '<>',
  'payroll',
  '"john \\"doe"',
  'jörg',
  'a+b',
  "o'brien",
  'a#b',
  '"[x]"',
  '"a\\\\b"',
);
const farEntry = fc.constantFrom(
  '*',
  '<>',
  'bank.example',
  '*@*.bücher.example',
  '"john doe"@a.example',
  '@b.example',
  "o'neil@c.example",
);
const list = (one: fc.Arbitrary<string>) => fc.array(one, { minLength: 1, maxLength: 12 });
const setting = (hop: 'receipt' | 'delivery', flow: 'incoming' | 'outgoing') => {
  const [senders, recipients] = flow === 'incoming' ? [farEntry, entry] : [entry, farEntry];
  const common = { enforcement: fc.constantFrom('enforce', 'monitor') };
  const own: Record<string, fc.Arbitrary<unknown>> = hop === 'receipt'
    ? { min_protocol: fc.constantFrom('TLSv1.2', 'TLSv1.3'), min_cipher_bits: fc.integer({ min: 0, max: 4096 }) }
    : { level: fc.constantFrom('encrypt', 'dane-only', 'secure'), ciphers: fc.constantFrom('medium', 'high') };
  return fc.oneof(
    fc.record({ require_tls: fc.constantFrom('always', 'never'), ...common, ...own }, { requiredKeys: [] }),
    fc.record(
      {
        require_tls: fc.constant('specific'),
        senders: list(senders),
        recipients: list(recipients),
        when: fc.constantFrom('either', 'both'),
        ...common,
        ...own,
      },
      { requiredKeys: ['require_tls', 'senders'] },
    ),
  );
};
const flow = (name: 'incoming' | 'outgoing') =>
  fc.record({ receipt: setting('receipt', name), delivery: setting('delivery', name) }, { requiredKeys: [] });
const record = fc.record(
  {
    aliases: list(fc.domain()),
    nexthop: fc.constantFrom('[mx.example]:25', '[ipv6:::1]', 'mx.example'),
    incoming: flow('incoming'),
    outgoing: flow('outgoing'),
  },
  { requiredKeys: [] },
);
const fleet = fc.uniqueArray(fc.tuple(fc.domain(), record), { minLength: 1, maxLength: 6, selector: ([name]) => name });

it('export and import bring back exactly the same, as TOML and as JSON Lines', () => {
  fc.assert(
    fc.property(fleet, (domains) => {
      const toml = domains.map(([name, table]) => formatRecord(name, normalRecord(table))).join('\n');
      const lines = domains
        .map(([domain, table]) => `${JSON.stringify({ domain, ...normalRecord(table) })}\n`)
        .join('');
      const fromToml = readImport(toml, 'x.toml').domains;
      const fromLines = readImport(lines, 'x.jsonl').domains;
      assert.equal(fromToml.size, domains.length);
      for (const [name, table] of domains) {
        const normal = normalRecord(table);
        for (const [form, read] of [
          ['toml', fromToml],
          ['jsonl', fromLines],
        ] as const) {
          const back = [...read].find(([domain]) => domain === name)?.[1];
          assert.ok(sameValue(back, normal), `${form}: ${JSON.stringify(back)} is not ${JSON.stringify(normal)}`);
          assert.equal(
            formatRecord(name, back ?? {}),
            formatRecord(name, normal),
            'the same settings give the same bytes',
          );
        }
      }
    }),
    { numRuns: 500 },
  );
});

it('whatever entries a list may have, what is exported of it is valid', () => {
  fc.assert(
    fc.property(setting('receipt', 'incoming'), (receipt) => {
      assert.deepEqual(complaintsOf(formatRecord('a.example', { incoming: { receipt } })), []);
    }),
    { numRuns: 300 },
  );
});
