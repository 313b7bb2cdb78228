/**
 * Runs another program to its end: what it is given, how much of what it prints is taken in, and how it ended. What its
 * output means is the caller's.
 */
import { spawn } from 'node:child_process';

/** Characters of standard output that are taken in, unless the caller expects more. */
const MAX_OUTPUT = 64 * 1024 * 1024;
/** Characters of standard error that are kept: reasons and warnings. */
const MAX_ERRORS = 1024 * 1024;

/** What a program is given, and how long it may go on. */
export interface RunOptions {
  /** What it reads from its standard input; absent: it has nothing to read. */
  readonly input?: string;
  /** Absent: as this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Aborted, it has the program killed, which is told as any other end by a signal. */
  readonly signal?: AbortSignal;
  /** A descriptor of this process that the program has as its descriptor 3. */
  readonly inherited?: number;
  /** Gives it a process group of its own, so that a terminal's interrupt does not end it. */
  readonly isDetached?: boolean;
  /** Of {@link Ended.stdout}, or of one line: how many characters it may have. */
  readonly maxOutput?: number;
  /** Gets standard output line by line, instead of {@link Ended.stdout}; `false` has the program killed: that is enough. */
  readonly eachLine?: (line: string) => boolean | undefined;
  /** Makes the error of what would be a {@link ProgramError}: `reason` is its message. */
  readonly toError?: (reason: string, options?: ErrorOptions) => Error;
}

/** How a program ended. */
export interface Ended {
  /** The exit status; undefined: a signal ended it. */
  readonly status: number | undefined;
  /** `exit status 3` or the name of the signal; undefined: it ended well. */
  readonly failure: string | undefined;
  readonly stdout: string;
  /** What goes beyond a million characters is missing at its end. */
  readonly stderr: string;
}

/** The program could not be run, or printed more than was expected. The message says which program and why. */
export class ProgramError extends Error {}

const programError = (reason: string, options?: ErrorOptions): Error => new ProgramError(reason, options);

/**
 * Runs a program, found in PATH unless its name has a slash. Rejects with {@link ProgramError}, or what `toError` has made of
 * it, or with what `eachLine` throws.
 */
export async function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { input, env, signal, inherited, isDetached = false, maxOutput = MAX_OUTPUT, eachLine } = options;
  const { toError = programError } = options;
  let stdout = '';
  let stderr = '';
  let trouble: { readonly error: unknown } | undefined;
  let status: number | null;
  let killedBy: NodeJS.Signals | null;
  try {
    const child = spawn(program, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...(inherited === undefined ? [] : [inherited])],
      detached: isDetached,
      killSignal: 'SIGKILL',
      ...(env === undefined ? {} : { env }),
      ...(signal === undefined ? {} : { signal }),
    });
    const kill = (): void => {
      child.kill('SIGKILL');
      // Unread, it would never be closed.
      child.stdout?.destroy();
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      try {
        if (eachLine !== undefined) stdout = takeLines(stdout, eachLine, kill);
        if (stdout.length > maxOutput) throw toError(`${program} prints more than ${maxOutput} characters`);
      } catch (error) {
        trouble ??= { error };
        kill();
      }
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text.slice(0, MAX_ERRORS - stderr.length);
    });
    // It may end without having read all.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    [status, killedBy] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      // What runs and is aborted is waited for all the same.
      child.on('error', (error) => {
        if (child.pid === undefined) reject(error);
      });
      child.once('close', (code, by) => resolve([code, by]));
    });
  } catch (error) {
    throw toError(wordStart(program, error as NodeJS.ErrnoException), { cause: error });
  }
  if (trouble !== undefined) throw trouble.error;
  // What a signal has cut off is no line.
  if (eachLine !== undefined && killedBy === null && stdout !== '') eachLine(stdout);
  const failure = status === 0 ? undefined : (killedBy ?? `exit status ${status}`);
  return { status: status ?? undefined, failure, stdout: eachLine === undefined ? stdout : '', stderr };
}

/** Hands whole lines over; what is left is the beginning of the next one, or nothing once `enough` was called. */
function takeLines(text: string, eachLine: (line: string) => boolean | undefined, enough: () => void): string {
  let from = 0;
  for (let newline = text.indexOf('\n'); newline >= 0; newline = text.indexOf('\n', from)) {
    const line = text.slice(from, text[newline - 1] === '\r' ? newline - 1 : newline);
    from = newline + 1;
    if (eachLine(line) === false) {
      enough();
      return '';
    }
  }
  return text.slice(from);
}

function wordStart(program: string, error: NodeJS.ErrnoException): string {
  if (error.code !== 'ENOENT') return `${program} cannot be run: ${error.message}`;
  return program.includes('/') ? `${program} does not exist` : `${program} was not found in PATH`;
}
