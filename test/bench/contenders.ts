/**
 * The policy servers that are measured, each a process (or a few) of its own: tlswarden, the bare Node server, and Debian's
 * postfwd. They are ended with the workspace, or before.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../harness/command.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Workspace } from '../harness/workspace.ts';
import { sessionOf } from './processes.ts';

const bareServer = fileURLToPath(new URL('./bare-server.js', import.meta.url));

/** Longer than any fleet takes to load. */
export const PATIENCE_MS = 900_000;

export interface Contender {
  readonly port: number;
  /** Its processes at the moment. */
  readonly pids: () => readonly number[];
  readonly stop: () => Promise<void>;
}

/** The service, ready. Its log goes to a file, at the level that the main file says. */
export async function startService(workspace: Workspace, mainFile: string, port: number): Promise<Contender> {
  const path = `${mainFile}.log`;
  const log = await open(path, 'w');
  const child = spawn(process.execPath, [MAIN, '--config', mainFile, 'serve'], {
    stdio: ['ignore', 'ignore', log.fd],
  });
  await log.close();
  const contender = contenderOf(workspace, child, port);
  await waitFor(
    async () => {
      const text = await readFile(path, 'utf8');
      if (child.exitCode !== null) throw new Error(`the service ended: ${text}`);
      return text.includes('"ready"');
    },
    'the service to be ready',
    PATIENCE_MS,
  );
  return contender;
}

export async function startBareServer(workspace: Workspace, at?: number): Promise<Contender> {
  const port = at ?? (await freePort());
  const child = spawn(process.execPath, [bareServer, String(port)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const contender = contenderOf(workspace, child, port);
  await waitFor(() => answers(port), 'the bare server');
  return contender;
}

/** postfwd as Debian starts it, with these rules, but told to log nothing and to ask no name server. */
export async function startPostfwd(workspace: Workspace, name: string, rules: string): Promise<Contender> {
  const port = await freePort();
  const file = await workspace.write(`${name}/postfwd.cf`, rules);
  const pidFile = workspace.path(name, 'run', 'postfwd.pid');
  await mkdir(dirname(pidFile));
  await chmod(dirname(pidFile), 0o777);
  const network = ['--interface', '127.0.0.1', '--port', String(port), '--user', 'postfw', '--group', 'postfw'];
  const mode = ['--daemon', '--pidfile', pidFile, '--cache=600', '--cache-no-size', '--nodns', '-P'];
  await run('postfwd', ['--file', file, ...network, ...mode]);
  const leader = await waitFor(
    async () => Number(await readFile(pidFile, 'utf8').catch(() => '')),
    'postfwd’s pid file',
  );
  const stop = async (): Promise<void> => {
    for (const pid of sessionOf(leader)) end(pid, 'SIGTERM');
    await waitFor(() => sessionOf(leader).length === 0, 'postfwd to end');
  };
  workspace.push({
    dispose: stop,
    abandon: () => {
      for (const pid of sessionOf(leader)) end(pid, 'SIGKILL');
    },
  });
  await waitFor(() => answers(port), 'postfwd');
  return { port, pids: () => sessionOf(leader), stop };
}

function contenderOf(workspace: Workspace, child: ChildProcess, port: number): Contender {
  const stop = (): Promise<void> => stopped(child);
  workspace.push({ dispose: stop, abandon: () => child.kill('SIGKILL') });
  const pids = child.pid === undefined ? [] : [child.pid];
  return { port, pids: () => pids, stop };
}

/** Ends a process and waits until it has. */
export async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended on its own.
  }
}

/** Whether a policy server answers at this port: a request about nothing in particular, one attempt. */
export async function answers(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  try {
    const lines = ['request=smtpd_access_policy', 'protocol_state=RCPT', 'sender=a@a.example', 'recipient=b@b.example'];
    socket.write([...lines, '', ''].join('\n'));
    // Settles at an error or an end too, with nothing read.
    return await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}
