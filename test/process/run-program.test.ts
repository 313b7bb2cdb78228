import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramError, runProgram } from '../../src/process/run-program.ts';

const sh = (script: string, options?: Parameters<typeof runProgram>[2]): ReturnType<typeof runProgram> =>
  runProgram('sh', ['-c', script], options);

test('a program that fails is no error: its status and what it said are told', async () => {
  const ended = await sh('echo printed; echo said >&2; exit 3');
  assert.deepEqual(ended, { status: 3, failure: 'exit status 3', stdout: 'printed\n', stderr: 'said\n' });
  assert.equal((await sh('true')).failure, undefined);
  assert.equal((await sh('kill -TERM $$')).failure, 'SIGTERM');
});

test('a program that is not there is an error that says where it was looked for', async () => {
  for (const [program, message] of [
    ['no-such-program', 'no-such-program was not found in PATH'],
    ['/nowhere/program', '/nowhere/program does not exist'],
  ] as const) {
    await assert.rejects(
      runProgram(program, []),
      (error) => error instanceof ProgramError && error.message === message,
    );
  }
});

test('a program may leave its input unread, and has none unless it is given one', async () => {
  assert.equal((await sh('exit 0', { input: 'x'.repeat(1_000_000) })).failure, undefined);
  assert.equal((await sh('cat', { input: 'given' })).stdout, 'given');
  assert.equal((await sh('cat')).stdout, '');
});

test('lines come one by one, the last one also without its end, until there are enough', async () => {
  const lines: string[] = [];
  const each = (line: string): boolean => lines.push(line) < 3;
  await sh('printf "a\\r\\nb"', { eachLine: each });
  assert.deepEqual(lines.splice(0), ['a', 'b']);
  assert.equal((await sh('yes', { eachLine: each })).failure, 'SIGKILL');
  assert.deepEqual(lines, ['y', 'y', 'y']);
});

test('what a reader of lines throws ends the program and is thrown', async () => {
  const eachLine = (): never => {
    throw new RangeError('no such line');
  };
  await assert.rejects(sh('yes', { eachLine }), RangeError);
});

test('a program that prints without end is ended', async () => {
  await assert.rejects(sh('yes', { maxOutput: 100_000 }), /^Error: sh prints more than 100000 characters$/u);
  await assert.rejects(sh('tr "\\0" x </dev/zero', { maxOutput: 100_000, eachLine: () => true }), ProgramError);
  assert.equal((await sh('head -c 3000000 /dev/zero >&2')).stderr.length, 1024 * 1024);
});

test('a program is killed when the signal says so, and waited for', async () => {
  const ended = await sh('echo begun; exec sleep 60', { signal: AbortSignal.timeout(300) });
  assert.deepEqual(ended, { status: undefined, failure: 'SIGKILL', stdout: 'begun\n', stderr: '' });
});
