// A flood of warnings in the log: the first at once, then a count now and then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLOOD_WINDOW_MS, WarningFlood } from '../../src/service/warning-flood.ts';
import { HeldClock } from './held-clock.ts';

type Line = readonly [kind: string, peer: unknown, more: number];

function flood(): { readonly flood: WarningFlood<'a' | 'b'>; readonly clock: HeldClock; readonly lines: Line[] } {
  const clock = new HeldClock();
  const lines: Line[] = [];
  const write = (kind: string, fields: object, more: number) =>
    lines.push([kind, (fields as { readonly peer: unknown }).peer, more]);
  return { flood: new WarningFlood<'a' | 'b'>(write, () => clock.now()), clock, lines };
}

test('the first warning of a kind is written at once, those that follow are counted', () => {
  const { flood: warnings, clock, lines } = flood();
  for (const peer of [1, 2, 3]) warnings.warn('a', { peer });
  warnings.warn('b', { peer: 4 });
  assert.deepEqual(lines.splice(0), [
    ['a', 1, 0],
    ['b', 4, 0],
  ]);
  clock.advance(FLOOD_WINDOW_MS);
  warnings.tick();
  assert.deepEqual(lines, [['a', 3, 1]]);
});

test('a flood is at most one line in ten seconds, and no warning goes uncounted', () => {
  const { flood: warnings, clock, lines } = flood();
  for (let second = 0; second < 100; second += 1) {
    for (let each = 0; each < 50; each += 1) warnings.warn('a', { peer: second });
    clock.advance(1_000);
    warnings.tick();
  }
  warnings.flush();
  assert.ok(lines.length <= 12, `${lines.length} lines`);
  const told = lines.reduce((sum, [, , more]) => sum + 1 + more, 0);
  assert.equal(told, 5000);
});

test('after a silence the next warning is written at once again', () => {
  const { flood: warnings, clock, lines } = flood();
  warnings.warn('a', { peer: 1 });
  clock.advance(FLOOD_WINDOW_MS);
  warnings.tick();
  warnings.warn('a', { peer: 2 });
  assert.deepEqual(lines, [
    ['a', 1, 0],
    ['a', 2, 0],
  ]);
});

test('what is counted is written when the service stops', () => {
  const { flood: warnings, lines } = flood();
  for (const peer of [1, 2]) warnings.warn('a', { peer });
  warnings.flush();
  warnings.flush();
  assert.deepEqual(lines, [
    ['a', 1, 0],
    ['a', 2, 0],
  ]);
});
