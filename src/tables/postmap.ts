/**
 * postmap(1): compiles one text into one table of one type. It writes where the text stands and nowhere else.
 */
import { spawn } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { errorCode, TablesError } from './tables-error.ts';

/** The types of table that are compiled to files, or, texthash, read whole; and how the compiled file's name ends. */
const SUFFIXES: ReadonlyMap<string, string | undefined> = new Map([
  ['lmdb', '.lmdb'],
  ['cdb', '.cdb'],
  ['hash', '.db'],
  ['btree', '.db'],
  ['texthash', undefined],
]);

const TABLE_TYPES: readonly string[] = [...SUFFIXES.keys()];

/** How the compiled file of a table of this type ends; undefined: it is not compiled. Throws for types not known here. */
export function compiledSuffix(type: string, directory: string): string | undefined {
  if (!SUFFIXES.has(type)) {
    throw new TablesError('type', directory, `maps.type "${type}" is none of ${TABLE_TYPES.join(', ')}`);
  }
  return SUFFIXES.get(type);
}

/**
 * Compiles `file`. `lockFd` is inherited, so that the lock outlives this process for as long as its postmap runs: the next
 * writer then waits for it.
 */
export async function postmap(
  type: string,
  file: string,
  configDirectory: string,
  lockFd: number,
  signal: AbortSignal,
): Promise<void> {
  const { status, stderr } = await new Promise<{ status: string | undefined; stderr: string }>((resolve, reject) => {
    const child = spawn('postmap', ['-c', configDirectory, `${type}:${file}`], {
      stdio: ['ignore', 'ignore', 'pipe', lockFd],
      signal,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 4096) said += text;
    });
    child.once('error', reject);
    child.once('close', (code, killed) => {
      const ended = killed === null ? `exit status ${code}` : killed;
      resolve({ status: code === 0 ? undefined : ended, stderr: said });
    });
  }).catch((error: unknown) => {
    const message =
      errorCode(error) === 'ENOENT' ? 'postmap was not found in PATH' : `postmap: ${(error as Error).message}`;
    throw new TablesError('postmap', file, message, error);
  });
  if (status !== undefined) {
    throw new TablesError('postmap', file, `postmap failed (${status}): ${lastLines(stderr)}`);
  }
  const suffix = SUFFIXES.get(type);
  if (suffix !== undefined) await chmod(file + suffix, 0o644);
}

/** What postmap said before it gave up: the reason is in its last lines. */
function lastLines(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.slice(-3).join('; ') || 'it gave no reason';
}
