// The program itself, started by systemd-socket-activate(1), and restarted while Postfix asks.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { PolicyClient } from '../service/policy-client.ts';
import { recordedRequest } from '../service/recorded-request.ts';
import type { Seen } from './postfix-like-clients.ts';

const clients = fileURLToPath(new URL('./postfix-like-clients.js', import.meta.url));

/** Keeps the socket and has the program run with it, again and again until it is killed; says the number of each process. */
const SUPERVISOR = `while sh -c 'echo $$; LISTEN_PID=$$ exec "$@"' sh "$@"; do :; done`;

test('a restart of the service refuses no connection and loses no request', async (t) => {
  const workspace = await Workspace.of(t);
  const config = await workspace.write('tlswarden.toml', '');
  await workspace.write('domains.d/hosted.toml', '[domains."example.com"]\n');
  const address = `127.0.0.1:${await freePort()}`;
  const program = [process.execPath, MAIN, '--config', config, 'serve'];
  const service = spawn(
    '/usr/bin/systemd-socket-activate',
    [`--listen=${address}`, '/bin/sh', '-c', SUPERVISOR, 'supervisor', ...program],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const pids: number[] = [];
  createInterface(service.stdout).on('line', (line) => pids.push(Number(line)));
  const kill = (): void => {
    service.kill('SIGKILL');
    const pid = pids.at(-1);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  };
  workspace.push({ dispose: kill, abandon: kill });

  // The first client starts it, and finds it waiting.
  const first = await waitFor(() => PolicyClient.to(address).catch(() => undefined), 'systemd to listen');
  workspace.push({ dispose: () => first.close() });
  assert.equal(await first.ask(recordedRequest()), 'DUNNO');

  const asking = spawn(process.execPath, [clients, address], { stdio: ['pipe', 'pipe', 'inherit'] });
  workspace.push({ dispose: () => void asking.kill('SIGKILL'), abandon: () => asking.kill('SIGKILL') });
  const said = createInterface(asking.stdout)[Symbol.asyncIterator]();
  assert.equal((await said.next()).value, 'asking');
  for (let restarts = 1; restarts <= 3; restarts += 1) {
    process.kill(pids.at(-1) ?? 0, 'SIGTERM');
    await waitFor(() => pids.length === restarts + 1, 'the next process');
    const client = await PolicyClient.to(address);
    assert.equal(await client.ask(recordedRequest()), 'DUNNO');
    client.close();
  }
  asking.stdin.end();
  const seen = JSON.parse((await said.next()).value) as Seen;
  t.diagnostic(`${seen.answered} answered, ${seen.again} at the second try`);
  assert.deepEqual({ refused: seen.refused, lost: seen.lost }, { refused: 0, lost: 0 });
  assert.ok(seen.answered > 0);
  kill();
  await once(service, 'close');
});
