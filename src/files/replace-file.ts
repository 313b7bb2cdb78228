/**
 * Replaces a file so that it is the old one or the new one, whenever the process or the host dies: written beside, synced,
 * renamed, the directory synced. It does so under the name that it is given, be that a symbolic link.
 */
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sync, writeSynced } from './bring-to-disk.ts';

/**
 * Writes `path` whole or not at all, by way of `temporary` in the same directory, where a writer that was killed may have
 * left something. The caller sees to it that nobody else does so by the same way. It has this mode, whatever the umask.
 */
export async function replaceFile(path: string, temporary: string, text: string, mode: number): Promise<void> {
  await rm(temporary, { force: true });
  try {
    await writeSynced(temporary, text, mode);
    await putInPlace(temporary, path);
  } catch (error) {
    // The first trouble is the one to tell of.
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** Gives a file, whose content is on the disk, the name of another in the same directory, which it takes the place of. */
export async function putInPlace(temporary: string, path: string): Promise<void> {
  await rename(temporary, path);
  await sync(dirname(path));
}
