// postfix apply and revert, killed at any system call: main.cf and master.cf are each the old one or the new one, Postfix
// never refers to a transport that is not there, and the next run needs no help.

import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { crashEverywhere } from '../harness/crash-points.ts';
import { MAIN } from '../harness/main.ts';
import { Host } from './host.ts';

type Files = { readonly main: string; readonly master: string };

test('apply and revert, killed at any call, leave files that are whole, and the next run is as if nothing was', {
  skip: process.env['CRASH'] !== 'all' && 'it takes long: CRASH=all',
}, async (t) => {
  const host = await Host.of(t);
  const { configDirectory } = host.postfix;
  const { workspace } = host;
  /** The configuration directory before and after apply. */
  const kept = { old: workspace.path('kept-old'), applied: workspace.path('kept-applied') };
  const keep = (as: string) => cp(configDirectory, as, { recursive: true, preserveTimestamps: true });
  const bring = async (from: string): Promise<void> => {
    await rm(configDirectory, { recursive: true });
    await cp(from, configDirectory, { recursive: true, preserveTimestamps: true });
  };
  // postconf adds lines in an order of its own.
  const sorted = (text: string): string => text.split('\n').sort().join('\n');
  const files = async (): Promise<Files> => {
    const { main, master } = await host.files();
    return { main: sorted(main), master: sorted(master) };
  };
  const old = await files();
  await keep(kept.old);
  await host.run('postfix', 'apply');
  const applied = await files();
  await keep(kept.applied);
  assert.notEqual(applied.main, old.main);
  assert.notEqual(applied.master, old.master);

  for (const [command, before, after, from] of [
    ['apply', old, applied, kept.old],
    ['revert', applied, old, kept.applied],
  ] as const) {
    await crashEverywhere(t, {
      workspace,
      some: 1,
      prepare: () => bring(from),
      writer: () => ({ command: [MAIN, '--config', host.config, 'postfix', command] }),
      async holds({ killed, status, said }) {
        const found = await files();
        if (!killed) assert.deepEqual([status, found], [0, after], said);
        for (const name of ['main', 'master'] as const) {
          assert.ok(found[name] === before[name] || found[name] === after[name], `${name}.cf:\n${found[name]}`);
        }
        assert.ok(found.main === old.main || found.master === applied.master, 'a transport is missing');
        await host.run('postfix', command);
        assert.deepEqual(await files(), after);
        // And what was there before all of it comes back.
        await host.run('postfix', 'revert');
        assert.deepEqual(await files(), old);
      },
    });
  }
});
