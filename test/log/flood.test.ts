// A flood of one line in the log: the first at once, then a count now and then.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flood, type FloodOptions } from '../../src/log/flood.ts';
import { HeldClock } from '../service/held-clock.ts';

const WINDOW_MS = 10_000;

type Line = readonly [kind: string, peer: number, more: number];

function floodOf(options: Partial<FloodOptions> = {}): {
  readonly flood: Flood<string, number>;
  readonly clock: HeldClock;
  readonly lines: Line[];
} {
  const clock = new HeldClock();
  const lines: Line[] = [];
  const flood = new Flood<string, number>(
    { burst: 1, windowMs: WINDOW_MS, capacity: 100, now: () => clock.now(), ...options },
    (kind, peer, more) => lines.push([kind, peer, more]),
  );
  return { flood, clock, lines };
}

/** How many lines were told of. */
const told = (lines: readonly Line[]): number => lines.reduce((sum, [, , more]) => sum + 1 + more, 0);

test('the first line of a kind is written at once, those that follow are counted', () => {
  const { flood, clock, lines } = floodOf();
  for (const peer of [1, 2, 3]) flood.tell('a', peer);
  flood.tell('b', 4);
  assert.deepEqual(lines.splice(0), [
    ['a', 1, 0],
    ['b', 4, 0],
  ]);
  clock.advance(WINDOW_MS);
  flood.tick();
  assert.deepEqual(lines, [['a', 3, 1]]);
});

test('a flood is at most one line a window after the first, and nothing goes uncounted', () => {
  const { flood, clock, lines } = floodOf();
  for (let second = 0; second < 100; second += 1) {
    for (let each = 0; each < 50; each += 1) flood.tell('a', second);
    clock.advance(1_000);
    flood.tick();
  }
  flood.flush();
  assert.ok(lines.length <= 12, `${lines.length} lines`);
  assert.equal(told(lines), 5000);
});

test('with a burst the first few are written, and a flood that goes on is one line a window', () => {
  const { flood, clock, lines } = floodOf({ burst: 3 });
  for (let window = 0; window < 4; window += 1) {
    for (let each = 0; each < 10; each += 1) flood.tell('a', each);
    clock.advance(WINDOW_MS);
    flood.tick();
  }
  assert.deepEqual(lines, [
    ['a', 0, 0],
    ['a', 1, 0],
    ['a', 2, 0],
    ['a', 9, 6],
    ['a', 9, 9],
    ['a', 9, 9],
    ['a', 9, 9],
  ]);
});

test('after a silence the next line is written at once again', () => {
  const { flood, clock, lines } = floodOf();
  flood.tell('a', 1);
  clock.advance(WINDOW_MS);
  flood.tick();
  flood.tell('a', 2);
  clock.advance(WINDOW_MS);
  flood.tell('a', 3);
  assert.deepEqual(lines, [
    ['a', 1, 0],
    ['a', 2, 0],
    ['a', 3, 0],
  ]);
});

test('a line that stands for more counts as so many', () => {
  const { flood, lines } = floodOf();
  flood.tell('a', 1, 4);
  flood.tell('a', 2, 5);
  flood.tell('a', 3);
  flood.flush();
  assert.equal(told(lines), 12);
});

test('kinds beyond the capacity are forgotten, the oldest first, and what was counted of them is written', () => {
  const { flood, lines } = floodOf({ capacity: 2 });
  for (const kind of ['a', 'a', 'a', 'b', 'c', 'a']) flood.tell(kind, 0);
  assert.deepEqual(lines, [
    ['a', 0, 0],
    ['b', 0, 0],
    ['a', 0, 1],
    ['c', 0, 0],
    ['a', 0, 0],
  ]);
});

test('what is counted is written when the process ends', () => {
  const { flood, lines } = floodOf();
  for (const peer of [1, 2]) flood.tell('a', peer);
  flood.flush();
  flood.flush();
  assert.deepEqual(lines, [
    ['a', 1, 0],
    ['a', 2, 0],
  ]);
});
