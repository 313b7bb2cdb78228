/**
 * Writes and reads texts of any length in bounded memory: some thousand lines at a time, with their digest. What it writes
 * is on the disk when it returns, and readable by everybody whatever the umask.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import type { TableStamp } from './stamp.ts';
import type { Chunk } from './table.ts';

/** The first line of every table's text: whoever opens one should know. */
const HEADER = '# Written by tlswarden. It is written anew whenever the settings change.\n';

/** Bytes read at once. */
const BLOCK = 256 * 1024;

/** The stamp that these lines would get, without writing them. */
export function stampOf(chunks: Iterable<Chunk>): TableStamp {
  const hash = createHash('sha256').update(HEADER);
  let lines = 0;
  for (const chunk of chunks) {
    hash.update(chunk.text);
    lines += chunk.lines;
  }
  return { lines, sha256: hash.digest('hex') };
}

/** Writes a new file of these lines below {@link HEADER}; one that exists is an error. */
export async function writeLines(path: string, chunks: Iterable<Chunk>): Promise<TableStamp> {
  const hash = createHash('sha256').update(HEADER);
  let lines = 0;
  await writeNew(path, async (file) => {
    await file.appendFile(HEADER);
    for (const chunk of chunks) {
      const bytes = Buffer.from(chunk.text);
      hash.update(bytes);
      lines += chunk.lines;
      await file.appendFile(bytes);
    }
  });
  return { lines, sha256: hash.digest('hex') };
}

/** Writes `path` whole or not at all, by way of `temporary` in the same directory. */
export async function replaceFile(path: string, temporary: string, text: string): Promise<void> {
  await writeNew(temporary, (file) => file.appendFile(text));
  await rename(temporary, path);
}

async function writeNew(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.chmod(0o644);
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Brings a directory's entries to the disk. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The digest of a file as it is on the disk. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: BLOCK })) hash.update(part as Buffer);
  return hash.digest('hex');
}
