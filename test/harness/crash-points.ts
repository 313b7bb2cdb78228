// Kills a writer at every system call that writes: run once to list the calls, and then once for each of them, to be killed
// (SIGKILL) on entering it. `CRASH=all` tries all of them, `npm test` some, chosen by a seed. What has to hold afterwards is
// the test's to say.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { CALLS_FILE, KILL_AT } from './killed-at.ts';
import type { Workspace } from './workspace.ts';

const preload = fileURLToPath(new URL('./killed-at.js', import.meta.url));

/** A Node program that writes. */
export interface Writer {
  /** The script and its arguments. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Of a program that does not end by itself: whether it has said what it was started for. It gets SIGTERM then. */
  readonly isDone?: (said: string) => boolean;
}

export interface Ended {
  readonly killed: boolean;
  readonly status: number | null;
  /** Standard output and standard error. */
  readonly said: string;
  /** The calls that it came to, as strace shows them; the last is the one that it was killed at. */
  readonly calls: readonly string[];
}

/** The n-th call of one name, from 1: `rename:2`. */
export type CrashPoint = `${string}:${number}`;

/** A writer that is killed again and again, and what has to hold. */
export interface CrashTrial {
  readonly workspace: Workspace;
  /** How many crashes without `CRASH=all`. */
  readonly some: number;
  /** Brings the place to what it was before the writer. */
  prepare(): Promise<void> | void;
  writer(): Promise<Writer> | Writer;
  /** What the writer has left behind is the old or the new, and the next one needs no help. */
  holds(ended: Ended): Promise<void> | void;
}

/** Lets the writer come to its end once, and then kills it at its calls, one after the other. */
export async function crashEverywhere(t: TestContext, trial: CrashTrial): Promise<void> {
  const { workspace } = trial;
  const seed = seedOfThisRun();
  await trial.prepare();
  const whole = await runWriter(workspace, await trial.writer());
  assert.equal(whole.killed, false);
  await trial.holds(whole);
  const points = crashPoints(whole.calls, new Random(seed), trial.some);
  assert.ok(points.length > 0, 'it writes');
  let killed = 0;
  const survived: CrashPoint[] = [];
  for (const point of points) {
    await trial.prepare();
    const ended = await runWriter(workspace, await trial.writer(), point);
    if (ended.killed) killed += 1;
    else if (!isWrite(point)) survived.push(point);
    try {
      await trial.holds(ended);
    } catch (error) {
      const where = ended.killed ? `killed at ${point}, ${ended.calls.at(-1)}` : `not killed at ${point}`;
      throw new Error(`${where} (SEED=${seed}): ${(error as Error).message}`, { cause: error });
    }
  }
  t.diagnostic(`killed at ${killed} of ${whole.calls.length} calls (SEED=${seed})`);
  // A run may have a call or two fewer than the one before it.
  assert.ok(survived.length <= 2, `it came to no ${survived.join(', ')}`);
}

/** Runs the writer to its end, or until it is killed on entering this call. */
export async function runWriter(workspace: Workspace, writer: Writer, killAt?: CrashPoint): Promise<Ended> {
  const callsFile = workspace.path('calls');
  await rm(callsFile, { force: true });
  const child = spawn(process.execPath, ['--import', preload, ...writer.command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...writer.env,
      [CALLS_FILE]: callsFile,
      [KILL_AT]: killAt ?? '',
      // One thread makes all calls; and makes them itself, not by io_uring, which no tracer sees.
      UV_THREADPOOL_SIZE: '1',
      UV_USE_IO_URING: '0',
    },
  });
  workspace.push({ dispose: () => void child.kill('SIGKILL'), abandon: () => child.kill('SIGKILL') });
  let said = '';
  let isEnding = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (isEnding || writer.isDone?.(said) !== true) return;
      isEnding = true;
      child.kill('SIGTERM');
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(writer.input ?? '');
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const text = await readFile(callsFile, 'utf8').catch(() => '');
  const calls = text.split('\n').flatMap((line) => /^(?:\d+ +)?([a-z0-9_]+\(.*)$/.exec(line)?.[1] ?? []);
  return { killed: signal === 'SIGKILL', status, said, calls };
}

/**
 * Which calls of a run to be killed at: all that may change something, or, without `CRASH=all`, as many of them as `some`
 * says, the last ones among them, which put things in force.
 */
export function crashPoints(calls: readonly string[], random: Random, some: number): readonly CrashPoint[] {
  const all = process.env['CRASH'] === 'all';
  const seen = new Map<string, number>();
  const points: CrashPoint[] = [];
  for (const call of calls) {
    const name = call.slice(0, call.indexOf('('));
    const nth = (seen.get(name) ?? 0) + 1;
    seen.set(name, nth);
    if (!mayChange(call)) continue;
    points.push(`${name}:${nth}`);
  }
  if (all || points.length <= some) return points;
  // What comes last is no write.
  const last = points.filter((point) => !isWrite(point)).slice(-Math.ceil(some / 3));
  const others = random.shuffled(points.filter((point) => !last.includes(point))).slice(0, some - last.length);
  return [...others, ...last];
}

/**
 * The n-th write is another one in each run, or there is none: what threads tell each other is counted with the writes to
 * files, and is now more, now less. Files are opened before and synced after them, and these calls are counted well.
 */
const isWrite = (point: CrashPoint): boolean => point.startsWith('write:');

/** Neither the opening of a file to read it, nor what threads tell each other. */
function mayChange(call: string): boolean {
  return !/\bO_RDONLY\b/.test(call) && !call.includes('<anon_inode:[eventfd]>');
}
