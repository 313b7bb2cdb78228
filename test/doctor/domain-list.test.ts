import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DomainList } from '../../src/doctor/domain-list.ts';
import { TableLookups } from '../../src/doctor/table-lookups.ts';

test('a file in a list of domains is read as Postfix reads it: a comment names nobody, a table that it names is asked', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tlswarden-domain-list-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  write('main.cf', 'myhostname = gateway.example\n');
  const table = write('table', 'table.example ok\n');
  const others = write('others', 'other.example\n');
  const file = write(
    'domains',
    `# Left us: gone.example\nNamed.example, next.example\n  # also-gone.example\n${others}\ntexthash:${table}\n`,
  );
  const list = await DomainList.read(['main.example', file], new TableLookups(directory, 10_000));
  const having = ['main.example', 'named.example', 'next.example', 'other.example', 'table.example'];
  assert.deepEqual([...(await list.having([...having, 'gone.example', 'also-gone.example'], false))], having);
  assert.deepEqual([...(await list.names())].sort(), having);
});
