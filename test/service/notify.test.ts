// What systemd hears of the service. A systemd-notify of the test's own writes down what it is told.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ServiceNotifier } from '../../src/service/notify.ts';
import { KeptLog } from './kept-log.ts';

/** Puts a systemd-notify first in the path, for the time of the test. */
async function heard(
  t: TestContext,
  script: string,
): Promise<{ readonly environment: NodeJS.ProcessEnv; lines(): Promise<string[]> }> {
  const directory = await mkdtemp(join(tmpdir(), 'tlswarden-notify-'));
  const path = process.env['PATH'];
  process.env['PATH'] = `${directory}:${path}`;
  t.after(async () => {
    process.env['PATH'] = path;
    await rm(directory, { recursive: true, force: true });
  });
  const log = join(directory, 'heard');
  await writeFile(log, '');
  await writeFile(join(directory, 'systemd-notify'), `#!/bin/sh\n${script.replace('HEARD', log)}\n`);
  await chmod(join(directory, 'systemd-notify'), 0o755);
  return {
    environment: { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000', WATCHDOG_PID: '77' },
    lines: async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== ''),
  };
}

test('systemd hears that the service is ready, reloads, is alive and stops, in order', async (t) => {
  const { environment, lines } = await heard(t, 'echo "$NOTIFY_SOCKET $*" >> HEARD');
  const log = new KeptLog();
  const notifier = new ServiceNotifier(environment, 77, log);
  assert.deepEqual(environment, {});
  assert.equal(notifier.watchdogMs, 60_000);
  notifier.ready('3 domains');
  notifier.reloading();
  notifier.ready('4 domains\nREADY=0');
  notifier.status('busy');
  notifier.watchdog();
  notifier.stopping();
  await notifier.settled();
  const [ready, reloading, ...others] = await lines();
  assert.equal(ready, '/run/systemd/notify READY=1 STATUS=3 domains');
  assert.match(reloading ?? '', /^\/run\/systemd\/notify RELOADING=1 MONOTONIC_USEC=\d+$/);
  assert.deepEqual(others, [
    '/run/systemd/notify READY=1 STATUS=4 domains READY=0',
    '/run/systemd/notify STATUS=busy',
    '/run/systemd/notify WATCHDOG=1',
    '/run/systemd/notify STOPPING=1',
  ]);
  assert.deepEqual(log.lines, []);
});

test('without systemd nothing is said', async (t) => {
  const { lines } = await heard(t, 'echo "$*" >> HEARD');
  const notifier = new ServiceNotifier({}, 77, new KeptLog());
  notifier.ready('ready');
  notifier.stopping();
  await notifier.settled();
  assert.deepEqual(await lines(), []);
  assert.equal(notifier.watchdogMs, undefined);
});

test('a watchdog that waits for another process is not ours', () => {
  const notifier = new ServiceNotifier(
    { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '1000000', WATCHDOG_PID: '78' },
    77,
    new KeptLog(),
  );
  assert.equal(notifier.watchdogMs, undefined);
});

test('a systemd-notify that fails is said once, and fails nothing', async (t) => {
  const { environment } = await heard(t, 'exit 3');
  const log = new KeptLog();
  const notifier = new ServiceNotifier(environment, 77, log);
  notifier.ready('ready');
  notifier.status('busy');
  await notifier.settled();
  notifier.stopping();
  await notifier.settled();
  assert.equal(log.lines.length, 1);
  assert.deepEqual(log.lines[0]?.fields, { command: 'systemd-notify', problem: 'exit status 3' });
});

test('after a message that failed the next one goes out, and another failure is said again', async (t) => {
  const { environment, lines } = await heard(t, 'case $* in STATUS=bad) exit 1;; esac; echo "$*" >> HEARD');
  const log = new KeptLog();
  const notifier = new ServiceNotifier(environment, 77, log);
  for (const status of ['bad', 'good', 'bad']) notifier.status(status);
  notifier.watchdog();
  await notifier.settled();
  assert.deepEqual(await lines(), ['STATUS=good', 'WATCHDOG=1']);
  assert.equal(log.lines.length, 2);
});

test('a systemd-notify that is not there is said once, and fails nothing', async (t) => {
  const { environment } = await heard(t, '');
  process.env['PATH'] = '/nowhere';
  const log = new KeptLog();
  const notifier = new ServiceNotifier(environment, 77, log);
  notifier.ready('ready');
  await notifier.settled();
  assert.deepEqual(log.lines[0]?.fields, { command: 'systemd-notify', problem: 'ENOENT' });
});
