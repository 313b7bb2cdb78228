/**
 * A table as postmap(1) compiles it: beside its text, and readable by everybody.
 */
import { chmod } from 'node:fs/promises';
import { COMPILED_SUFFIXES, compileText, PostmapError } from '../postfix/postmap.ts';
import { TablesError } from './tables-error.ts';

/** How the compiled file of a table of this type ends; undefined: it is not compiled. Throws for types not known here. */
export function compiledSuffix(type: string, directory: string): string | undefined {
  if (!COMPILED_SUFFIXES.has(type)) {
    const known = [...COMPILED_SUFFIXES.keys()].join(', ');
    throw new TablesError('type', directory, `maps.type "${type}" is none of ${known}`);
  }
  return COMPILED_SUFFIXES.get(type);
}

/** Compiles `file`; `lockFd` is the lock that is held meanwhile, also by postmap. Rejects with {@link TablesError}. */
export async function compileTable(
  type: string,
  file: string,
  configDirectory: string,
  lockFd: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await compileText(configDirectory, type, file, lockFd, signal);
  } catch (error) {
    if (!(error instanceof PostmapError)) throw error;
    throw new TablesError('postmap', file, error.message, error);
  }
  const suffix = COMPILED_SUFFIXES.get(type);
  if (suffix !== undefined) await chmod(file + suffix, 0o644);
}
