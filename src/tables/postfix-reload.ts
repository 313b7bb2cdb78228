/**
 * `postfix reload`, where it has to be: Postfix sees for itself that a compiled table was replaced, but texts (texthash,
 * cidr, regexp) it reads once. It starts and stops nothing.
 */
import { execFile } from 'node:child_process';
import { lastLines } from './postmap.ts';
import { errorCode, TablesError } from './tables-error.ts';

/** Reloads the Postfix of this configuration if it runs; tells whether it did. */
export async function reloadPostfix(configDirectory: string): Promise<boolean> {
  const status = await postfix(configDirectory, 'status');
  if (status.failed && status.stderr.includes('not running')) return false;
  const done = status.failed ? status : await postfix(configDirectory, 'reload');
  if (done.failed) {
    throw new TablesError(
      'reload',
      configDirectory,
      `the tables are written, but Postfix was not told: ${done.stderr}`,
    );
  }
  return true;
}

function postfix(configDirectory: string, command: string): Promise<{ failed: boolean; stderr: string }> {
  return new Promise((resolve) => {
    execFile('postfix', ['-c', configDirectory, command], (error, stdout, stderr) => {
      const missing = errorCode(error) === 'ENOENT' ? 'postfix was not found in PATH' : undefined;
      resolve({ failed: error !== null, stderr: missing ?? lastLines(stderr + stdout) });
    });
  });
}
