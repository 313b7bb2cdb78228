/**
 * What has to outlive a crash of the host is brought to the disk: a file's content, and, apart from it, its name, which is
 * its directory's. It replaces nothing.
 */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Writes a new file and brings its content, not yet its name, to the disk; one that exists is an error. It is made with
 * `mode`, as far as the umask lets, and `grant` says what it gets: without it that very mode, whatever the umask.
 */
export async function writeSynced(
  path: string,
  content: string | Uint8Array,
  mode: number,
  grant: (file: FileHandle) => Promise<void> = (file) => file.chmod(mode),
): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(content);
    await grant(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Brings a file's content or a directory's entries to the disk, whoever wrote them. */
export async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Brings a directory and all files in it to the disk; there are no directories in it. */
export async function syncTree(path: string): Promise<void> {
  await Promise.all((await readdir(path)).map((name) => sync(join(path, name))));
  await sync(path);
}
