// The service whose log nobody takes in any more, as when a log daemon hangs: it answers all the same, keeps no more of its
// log than is bounded, and stops when it is told to.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { PolicyClient } from './policy-client.ts';
import { recordedRequest } from './recorded-request.ts';

/** Refusals, a line of more than 300 bytes each: more than is kept; and more than a pipe takes in. */
const MANY = 25_000;
const FEW = 4_000;

test('a log that nobody takes in keeps nobody from an answer, and the service from no end', async (t) => {
  const workspace = await Workspace.of(t);
  const socket = workspace.path('socket');
  const config = await workspace.write('tlswarden.toml', `[server]\nlisten = ["unix:${socket}"]\n`);
  await workspace.write('domains.d/a.toml', '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n');
  const service = spawn(process.execPath, [MAIN, '--config', config, 'serve'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  workspace.push({ dispose: () => void service.kill('SIGKILL'), abandon: () => service.kill('SIGKILL') });
  // Not one byte of it is read.
  service.stderr.pause();
  const client = await waitFor(() => PolicyClient.to(`unix:${socket}`).catch(() => undefined), 'the service to listen');
  workspace.push({ dispose: () => client.close() });
  let asked = 0;
  // Each of another client, and so each a line of its own.
  const ask = async (count: number): Promise<void> => {
    for (const end = asked + count; asked < end; ) {
      const requests = Array.from({ length: 200 }, () => {
        asked += 1;
        const client_address = `10.${asked >> 16}.${(asked >> 8) & 255}.${asked & 255}`;
        return recordedRequest({ recipient: 'x@a.example', encryption_protocol: '', client_address });
      });
      client.send(Buffer.concat(requests));
      await client.replies(asked);
    }
  };
  await ask(MANY);
  assert.equal((await client.replies(asked)).filter((reply) => reply.startsWith('550 5.7.10 ')).length, MANY);
  // Somebody reads again: what was kept, and how many lines were not.
  let log = '';
  service.stderr.setEncoding('latin1').on('data', (text: string) => {
    log += text;
  });
  service.stderr.resume();
  const lost = await waitFor(() => /"lost":(\d+),"msg":"lines of the log are lost/.exec(log)?.[1], 'the loss is said');
  const lines = log.split('\n').filter((line) => line.includes('"TLS required"')).length;
  assert.ok(Number(lost) > 0 && lines + Number(lost) >= MANY, `${lines} lines, ${lost} lost`);
  assert.ok(log.length < 6 << 20, `${log.length} bytes were kept`);

  service.stderr.pause();
  await ask(FEW);
  client.close();
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});
