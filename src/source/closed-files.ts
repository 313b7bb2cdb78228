/**
 * Settings that nobody but root can read: an editor under a strict umask leaves them so, and the service runs as somebody
 * else. For people; it changes nothing, and never fails.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Complaint } from '../toml/complaint.ts';
import { listFiles } from './directory-source.ts';

/** As many files are looked at. */
const MAX_FILES = 1000;
const GROUP_AND_OTHERS = { directory: 0o011, file: 0o044 };

/** A complaint about each file that is closed to others: the main file, the settings directory, what is in it. */
export async function closedFiles(mainFile: string, directory: string | undefined): Promise<readonly Complaint[]> {
  const settings = directory === undefined ? [] : await listFiles(directory).catch(() => []);
  const paths: (readonly [name: string, path: string])[] = [[mainFile, mainFile]];
  if (directory !== undefined) {
    paths.push([directory, directory]);
    for (const name of settings.slice(0, MAX_FILES)) paths.push([name, join(directory, name)]);
  }
  const found: Complaint[] = [];
  for (const [file, path] of paths) {
    if (await isClosed(path))
      found.push({ file, message: 'can be read by root only: the service, if it is not root, cannot' });
  }
  return found;
}

async function isClosed(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.uid !== 0) return false;
  return (found.mode & (found.isDirectory() ? GROUP_AND_OTHERS.directory : GROUP_AND_OTHERS.file)) === 0;
}
