// Where counts are kept, by what the main file says and what systemd gives the service.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMainFile } from '../../src/main-file/main-file.ts';
import { openReportForReading, openReportKeeper } from '../../src/main-file/open-report-store.ts';

const log = { info: () => {}, warn: () => {}, error: () => {} };

test('the service counts where there is a place for it, and report looks there', () => {
  const places: readonly (readonly [main: Record<string, unknown>, isCounting: boolean, place: string | undefined])[] =
    [
      [{ report: { state: 'counts' } }, true, '/etc/tlswarden/counts'],
      [{ settings: { source: 'redis://redis.example/0' } }, true, 'redis://redis.example:6379/0'],
      [{ settings: { source: 'redis://redis.example/0' }, report: { state: '/x/counts' } }, true, '/x/counts'],
      [{}, false, '/var/lib/tlswarden/report'],
      [{ report: { enabled: false, state: 'counts' } }, false, undefined],
    ];
  for (const [table, isCounting, place] of places) {
    const main = parseMainFile(table, '/etc/tlswarden/tlswarden.toml');
    assert.equal(openReportKeeper(main, log, {}) !== undefined, isCounting);
    assert.equal(openReportForReading(main, log)?.name, place);
  }
  const main = parseMainFile({}, '/etc/tlswarden/tlswarden.toml');
  assert.ok(openReportKeeper(main, log, { STATE_DIRECTORY: '/var/lib/tlswarden:/var/lib/other' }) !== undefined);
});
