/**
 * Writes and reads texts of any length in bounded memory: some thousand lines at a time, with their digest. What it writes
 * is readable by everybody whatever the umask.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
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

/** Writes a new file of these lines below {@link HEADER}; one that exists is an error. Bringing it to the disk is
 * the caller's. */
export async function writeLines(path: string, chunks: Iterable<Chunk>): Promise<TableStamp> {
  const hash = createHash('sha256').update(HEADER);
  let lines = 0;
  const file = await open(path, 'wx', 0o644);
  try {
    await file.chmod(0o644);
    // One chunk is written while the next one is rendered.
    let written = file.appendFile(HEADER);
    try {
      for (const chunk of chunks) {
        const bytes = Buffer.from(chunk.text);
        hash.update(bytes);
        lines += chunk.lines;
        await written;
        written = file.appendFile(bytes);
      }
    } finally {
      await written;
    }
  } finally {
    await file.close();
  }
  return { lines, sha256: hash.digest('hex') };
}

/** The digest of a file as it is on the disk. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: BLOCK })) hash.update(part as Buffer);
  return hash.digest('hex');
}
