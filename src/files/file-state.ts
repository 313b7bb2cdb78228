/**
 * What tells two states of a file apart without reading it. It opens no file.
 */
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** A file as stat(2) tells of it: equal for as long as nobody has written to it or put another in its place. */
export interface FileState {
  readonly inode: bigint;
  readonly size: bigint;
  /** Nanoseconds since the epoch, as the next one: of the content, and of the inode. */
  readonly modified: bigint;
  readonly changed: bigint;
}

/** Whether the file need not be read again; undefined: there is none. */
export function sameState(a: FileState | undefined, b: FileState | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.inode === b.inode && a.size === b.size && a.modified === b.modified && a.changed === b.changed;
}

/** The state that stat(2) or fstat(2) has told. */
export function stateIn({ ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return { inode: ino, size, modified: mtimeNs, changed: ctimeNs };
}

/** The state of what a path leads to; undefined: it leads to nothing. Rejects with the system's error where that is not known. */
export async function stateOfFile(path: string): Promise<FileState | undefined> {
  try {
    return stateIn(await stat(path, { bigint: true }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of what is not there, or cannot be seen. */
const NO_FILE: FileState = { inode: 0n, size: 0n, modified: 0n, changed: 0n };

/** The state of what a path leads to, all zero where nothing is to be seen. Never rejects. */
export async function stateOrNone(path: string): Promise<FileState> {
  return (await stateOfFile(path).catch(() => undefined)) ?? NO_FILE;
}

/** Equal for equal states. */
export function wordState({ inode, size, modified, changed }: FileState): string {
  return `${inode} ${size} ${modified} ${changed}`;
}
