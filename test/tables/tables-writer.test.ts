// The writer of `maps --watch`: the tables become what was asked for last, whenever that was.

import { test } from 'node:test';
import { checkTables } from '../../src/tables/check-tables.ts';
import { TablesWriter } from '../../src/tables/tables-writer.ts';
import { compile } from '../decision/core.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { MapsSite } from './maps-site.ts';

const always = { require_tls: 'always' } as const;
const one: RawSettings = { domains: { 'a.example': { incoming: { receipt: always } } } };
const other: RawSettings = { domains: { 'b.example': { incoming: { receipt: always } } } };

test('settings that come while a write is just ending are written too', async (t) => {
  const site = await MapsSite.of(t);
  const wanted = compile(other).settings;
  let isTold = false;
  const log = {
    // The last that a write does: other settings come before anybody knows that it is over.
    info: () => {
      if (!isTold) queueMicrotask(() => writer.want(wanted));
      isTold = true;
    },
    warn: () => {},
    error: () => {},
  };
  const writer = new TablesWriter(log, site.options);
  t.after(() => writer.stop());
  writer.want(compile(one).settings);
  await waitFor(
    async () => (await checkTables(wanted, site.options)).current || undefined,
    () => 'the tables are what was wanted last',
  );
});
