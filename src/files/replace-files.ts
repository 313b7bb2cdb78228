/**
 * Replaces several files so that each is the old one or the new one, whenever the process or the host dies; each is written
 * beside under a name that no loader reads, and stays its owner's. It decides no content.
 */
import { randomInt } from 'node:crypto';
import { type FileHandle, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sync, writeSynced } from './bring-to-disk.ts';

/** How many files are written at once: fsync waits for the disk, not for us. */
const AT_ONCE = 16;

/** The numbers in the names of a change's temporary files begin at a random one below this, with room for any number of files. */
const FIRST_NUMBERS = 2 ** 47;

const TEMPORARY = /^\.tlswarden-(?<pid>\d+)-\d+\.tmp$/u;

/** Whether a file of this name is one that is to take the place of another. */
export const isTemporary = (name: string): boolean => TEMPORARY.test(name);

/**
 * Removes what writers that were killed have left in a directory. Whoever has no lock there says by `isAlive` which process
 * may still be at work.
 */
export async function removeTemporaries(
  directory: string,
  isAlive: (pid: number) => boolean = () => false,
): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = TEMPORARY.exec(name)?.groups?.['pid'];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(directory, name), { force: true });
  }
}

/** The new content of one file; undefined removes it. */
export interface FileChange {
  /** A symbolic link stands for what it leads to. */
  readonly path: string;
  readonly text: string | Uint8Array | undefined;
  /** Of a new file; absent: what its directory grants. */
  readonly mode?: number;
}

/** A file that is about to be replaced. */
export interface FileReplacement {
  /** Its name in the directory that it was given by. */
  readonly name: string;
  /** The name of the file that takes its place, in the directory of the file itself; undefined: it is removed. */
  readonly temporary: string | undefined;
}

/** What has to be known before the first of several files is replaced, and when the last one is. */
export interface Journal {
  /** All new files are on disk, none is in place; if this rejects, none will be. */
  begin(files: readonly FileReplacement[]): Promise<void>;
  /** All are in place, and on disk. Not called if one could not be replaced. */
  end(): Promise<void>;
}

interface Prepared {
  readonly name: string;
  /** Its place among the changes: preparing them does not keep it. */
  readonly number: number;
  readonly target: string;
  /** undefined: the target is removed. */
  readonly temporary: string | undefined;
}

/**
 * Brings all changes about, in order. If one cannot be written, none is; a crash leaves each file old or new, and, with a
 * journal, all of them. The caller holds the lock that keeps others from doing the same in these directories.
 */
export async function writeFilesAtomically(
  changes: readonly FileChange[],
  progress: ((done: number, all: number) => void) | undefined,
  journal?: Journal,
): Promise<void> {
  const prepared: Prepared[] = [];
  // No name is used again: a reader of this change who is still about to read one would find part of the next in it.
  const first = randomInt(FIRST_NUMBERS);
  try {
    let failure: { readonly error: unknown } | undefined;
    let next = 0;
    const prepareSome = async (): Promise<void> => {
      while (next < changes.length && failure === undefined) {
        const number = next++;
        const change = changes[number];
        if (change === undefined) return;
        try {
          const target = await targetOf(change.path);
          const temporary =
            change.text === undefined
              ? undefined
              : join(dirname(target), `.tlswarden-${process.pid}-${first + number}.tmp`);
          prepared.push({ name: basename(change.path), number, target, temporary });
          if (temporary !== undefined) {
            await writeSynced(temporary, change.text ?? '', 0o600, (file) => likeItsPlace(file, target, change.mode));
          }
          progress?.(prepared.length, changes.length);
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, changes.length) }, prepareSome));
    if (failure !== undefined) throw failure.error;
    prepared.sort((a, b) => a.number - b.number);
    await journal?.begin(
      prepared.map(({ name, temporary }) => ({
        name,
        temporary: temporary === undefined ? undefined : basename(temporary),
      })),
    );
  } catch (error) {
    await removePrepared(prepared);
    throw error;
  }
  const directories = new Set<string>();
  try {
    for (const { target, temporary } of prepared) {
      if (temporary === undefined) await rm(target, { force: true });
      else await rename(temporary, target);
      directories.add(dirname(target));
    }
  } catch (error) {
    // With a journal the change holds, and the next writer brings it to its end.
    if (journal === undefined) await removePrepared(prepared);
    throw error;
  }
  for (const directory of directories) await sync(directory);
  await journal?.end();
}

async function removePrepared(prepared: readonly Prepared[]): Promise<void> {
  for (const { temporary } of prepared) if (temporary !== undefined) await rm(temporary, { force: true });
}

/** A symbolic link stays one: what it leads to is replaced. */
export async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return join(await realpath(dirname(path)), path.slice(dirname(path).length + 1));
    throw error;
  }
}

/** Mode and owner of the file that is replaced; of a new file, what its directory grants: the service must read it. */
async function likeItsPlace(file: FileHandle, target: string, mode: number | undefined): Promise<void> {
  const existing = await stat(target).catch(() => undefined);
  const model = existing ?? (await stat(dirname(target)));
  const own = await file.stat();
  if (own.uid !== model.uid || own.gid !== model.gid) {
    try {
      await file.chown(model.uid, model.gid);
    } catch (error) {
      // Somebody else's file must not become ours behind their back; a new one may be.
      if (existing !== undefined) throw error;
    }
  }
  await file.chmod(existing === undefined ? (mode ?? model.mode & 0o664) : model.mode & 0o7777);
}
