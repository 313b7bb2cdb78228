/**
 * Why main.cf and master.cf were not changed, or could not be left changed, in words. Unless the words say otherwise, both
 * files are as they were.
 */
import { wordSystemError } from '../tables/tables-error.ts';

/** The message names the directory or file, and is for the administrator as it is. */
export class ApplyError extends Error {}

/** An error of the operating system as {@link ApplyError}, with the file that it names; any other as it is. */
export function asApplyError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  const { path: named = path, dest = named } = error as NodeJS.ErrnoException & { readonly dest?: string };
  // "EBUSY: resource busy or locked, rename 'a' -> 'b'"
  const what = wordSystemError(error).replace(/, [a-z]+ '.*$/u, '');
  return new ApplyError(`${dest}: ${what}`, { cause: error });
}
