import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TableLookups } from '../../src/doctor/table-lookups.ts';

test('a table that is too long to be listed whole is asked for the names that count besides', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tlswarden-lookups-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'main.cf'), 'myhostname = gateway.example\n');
  const keys = Array.from({ length: 20 }, (_, i) => `user${i}@a.example`);
  writeFileSync(join(directory, 'aliases'), keys.map((key) => `${key} x@b.example\n`).join(''));
  const table = `texthash:${join(directory, 'aliases')}`;
  const asked = keys.slice(0, 10);
  const found = await new TableLookups(directory, 10_000, 5).entries(table, asked);
  assert.ok(asked.every((key) => found.has(key)));
  assert.ok(found.size < keys.length);
  assert.equal((await new TableLookups(directory, 10_000).entries(table, [])).size, keys.length);
});
