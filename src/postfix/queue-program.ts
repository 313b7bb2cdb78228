/**
 * What the programs that work on the queue have in common: how they are run, and the error that says that one could not do
 * it.
 */
import { type Ended, type RunOptions, runProgram } from '../process/run-program.ts';

/** The queue could not be read or changed. The message is the reason. */
export class QueueError extends Error {}

/** Runs such a program, whether it ends well or not. Rejects with {@link QueueError} if it cannot be run. */
export function runOnQueue(program: string, args: readonly string[], options?: RunOptions): Promise<Ended> {
  return runProgram(program, args, { ...options, toError: (reason, cause) => new QueueError(reason, cause) });
}

/** Why a program failed, in its own words if it has said any. */
export function reasonOf(program: string, { stderr, failure }: Ended): string {
  return stderr.trim() || `${program} failed (${failure})`;
}
