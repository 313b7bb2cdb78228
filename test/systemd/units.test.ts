// The units as they are handed out: what systemd-analyze(1) has to say of them. Nothing is started here.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { attempt, run } from '../harness/command.ts';
import { Workspace } from '../harness/workspace.ts';
import { redisDropIn } from './redis-drop-in.ts';

const directory = new URL('../../../systemd/', import.meta.url);
const names = readdirSync(directory).sort();
const services = names.filter((name) => name.endsWith('.service'));

/** Where systemd-analyze calls a unit's exposure no more than this. */
const MOST_EXPOSED = 1.5;

/** Copies the units into a folder, with a program for them to start, and with a drop-in for each service. */
async function staged(t: TestContext, dropIn?: string): Promise<readonly string[]> {
  const workspace = await Workspace.of(t);
  const program = await workspace.write('tlswarden', '#!/bin/sh\n');
  await chmod(program, 0o755);
  if (dropIn !== undefined) {
    for (const service of services) await workspace.write(`units/${service}.d/override.conf`, dropIn);
  }
  return await Promise.all(
    names.map((name) => {
      const text = readFileSync(new URL(name, directory), 'utf8');
      return workspace.write(`units/${name}`, text.replace('/usr/bin/tlswarden', program));
    }),
  );
}

async function assertNoWord(units: readonly string[]): Promise<void> {
  assert.deepEqual(await attempt('systemd-analyze', ['verify', ...units]), { status: 0, stdout: '', stderr: '' });
}

/** The exposure of a unit, from 0 to 10. */
async function exposure(unit: string): Promise<number> {
  const text = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', '--json=off', unit]);
  const [, level] = /exposure level for \S+ ([\d.]+)/u.exec(text) ?? [];
  assert.ok(level !== undefined, text);
  return Number(level);
}

test('systemd has no word to say against the units', async (t) => {
  await assertNoWord(await staged(t));
});

test('every unit is hardened', async (t) => {
  for (const unit of await staged(t)) assert.ok((await exposure(unit)) <= MOST_EXPOSED, unit);
});

test('so they are with what the README has added for Redis on another host', async (t) => {
  const units = await staged(t, redisDropIn());
  await assertNoWord(units);
  for (const unit of units) assert.ok((await exposure(unit)) <= MOST_EXPOSED, unit);
});
