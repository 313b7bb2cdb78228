/**
 * Files of the settings directory that hold settings and are not read, since their names do not end in ".toml". For
 * people; it reads a bounded part of each, changes nothing, and never fails.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Complaint } from '../toml/complaint.ts';

/** As many are looked into, and so much of each. */
const MAX_FILES = 1000;
const MAX_BYTES = 64 * 1024;
const LOOKS_LIKE_SETTINGS = /^[ \t]*\[[ \t]*domains[ \t]*\./mu;

/** A complaint about each of them, sorted by name. */
export async function overlookedFiles(directory: string): Promise<readonly Complaint[]> {
  const names = await readdir(directory).catch(() => []);
  const others = names.filter((name) => !name.startsWith('.') && !name.endsWith('.toml')).sort();
  const found: Complaint[] = [];
  for (const name of others.slice(0, MAX_FILES)) {
    if (!LOOKS_LIKE_SETTINGS.test(await beginningOf(join(directory, name)))) continue;
    found.push({ file: name, message: 'looks like settings, but is not read: only *.toml is' });
  }
  return found;
}

/** '' of what is no regular file, or cannot be read. */
async function beginningOf(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) return '';
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await file?.close();
  }
}
