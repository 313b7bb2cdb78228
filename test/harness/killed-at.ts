// Loaded into a Node program before its own code (`node --import`): has strace(1) list the system calls of the program that
// write, and kill it on entering the n-th of one name. See crash-points.ts, which uses it.
//
// The calls are counted in the thread in which Node makes all its asynchronous file system calls, one after the other;
// strace counts by thread, and the others have calls of their own that no file sees. What a program writes synchronously
// is not counted.

import { spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';

/** System calls that change what is on the disk, or bring it there. */
const WRITING = [
  ...['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'copy_file_range', 'sendfile', 'ftruncate', 'truncate'],
  ...['open', 'openat', 'creat', 'rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat'],
  ...['unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir', 'chmod', 'fchmod', 'fchmodat', 'chown', 'fchown', 'fchownat'],
  ...['utimensat', 'fsync', 'fdatasync', 'fallocate', 'flock'],
].join(',');

/** The environment that the program is started with: the call to be killed at, as `name:n`, and where to list all of them. */
export const KILL_AT = 'TLSWARDEN_TEST_KILL_AT';
export const CALLS_FILE = 'TLSWARDEN_TEST_CALLS';

async function attach(callsFile: string, killAt: string): Promise<void> {
  // Starts the thread, if the loading of modules has not.
  await access('/');
  const threads = readdirSync('/proc/self/task').filter((thread) => thread !== String(process.pid));
  const errorsFile = `${callsFile}.errors`;
  const strace = spawn(
    'strace',
    [
      ...['-qq', '-y', '-o', callsFile, '-e', `trace=${WRITING}`],
      ...(killAt === '' ? [] : ['-e', `inject=${killAt.replace(':', ':signal=SIGKILL:when=')}`]),
      ...threads.flatMap((thread) => ['-p', thread]),
    ],
    // It keeps standard output open: whoever waits for the end of that finds the list complete. What it says goes to a file: with a
    // pipe that nobody reads any more it would end before the program does.
    { stdio: ['ignore', 'inherit', openSync(errorsFile, 'w')], detached: true },
  );
  // It says nothing with -qq, but for errors: /proc knows whom it traces.
  const { pid } = strace;
  if (pid === undefined) throw new Error('strace cannot be started');
  const isTraced = (thread: string): boolean => {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    return /^TracerPid:\t(\d+)$/m.exec(status)?.[1] !== '0';
  };
  while (!threads.every(isTraced)) {
    if (strace.exitCode !== null) throw new Error(`strace ended: ${readFileSync(errorsFile, 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  strace.unref();
}

const callsFile = process.env[CALLS_FILE];
if (callsFile !== undefined) {
  const killAt = process.env[KILL_AT] ?? '';
  // What the program starts is not meant.
  delete process.env[CALLS_FILE];
  delete process.env[KILL_AT];
  await attach(callsFile, killAt);
}
