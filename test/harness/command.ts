// Runs a program and gives what it wrote. Never through a shell: arguments arrive as they were given.

import { spawn } from 'node:child_process';

/** What {@link run} may be told besides the program and its arguments. */
export interface CommandOptions {
  /** Written to the program's standard input. */
  readonly input?: string;
  readonly cwd?: string;
  /** Set in addition to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The user that it runs as; absent: that of this process. */
  readonly uid?: number;
}

/** How a program ended. `status` is -1 if a signal ended it. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit status. Throws only if it cannot be started. */
export async function attempt(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      stdout += piece;
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      stderr += piece;
    });
    // A program that does not read its input closes it; that is its own affair.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status: status ?? -1, stdout, stderr });
    });
  });
}

/** Runs a program, throws with all that it wrote unless it exits with 0, and gives its standard output. */
export async function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await attempt(program, args, options);
  if (result.status !== 0) {
    throw new Error(
      `${[program, ...args].join(' ')} exited with ${result.status}:\n${result.stderr}${result.stdout}`.trimEnd(),
    );
  }
  return result.stdout;
}
