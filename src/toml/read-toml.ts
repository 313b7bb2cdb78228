/**
 * Reads one TOML file from disk, or says with place and line why not. It opens regular files only (a FIFO would hang
 * it), of a bounded size, and gives back plain objects that nobody has looked at yet.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import toml from 'toml';
import { type Complaint, ComplaintError } from './complaint.ts';
import type { Table } from './table-reader.ts';

const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** The strictest nesting that any of our files needs is five; the parser's own limit is far higher. */
const MAX_DEPTH = 32;

/** What tells two states of a file apart without reading it. */
export interface FileState {
  readonly inode: bigint;
  readonly size: bigint;
  readonly modified: bigint;
  readonly changed: bigint;
}

export interface TomlFile {
  readonly state: FileState;
  readonly text: string;
  readonly table: Table;
}

export const sameState = (a: FileState, b: FileState): boolean =>
  a.inode === b.inode && a.size === b.size && a.modified === b.modified && a.changed === b.changed;

/** `name` is how complaints call the file. Throws {@link ComplaintError}. */
export async function readToml(path: string, name: string): Promise<TomlFile> {
  const { text, state } = await readRegularFile(path, name);
  return { state, text, table: parseToml(text, name) };
}

/** Parses TOML text; throws {@link ComplaintError} with the line where the parser knows it. */
export function parseToml(text: string, name: string): Table {
  try {
    return toml.parse(text, { maxDepth: MAX_DEPTH }) as Table;
  } catch (error) {
    throw new ComplaintError([complaintOf(error, name)]);
  }
}

/** The text of a regular file of bounded size, UTF-8. Throws {@link ComplaintError}. */
export async function readRegularFile(path: string, name: string): Promise<{ text: string; state: FileState }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat({ bigint: true });
    if (!stat.isFile()) throw new ComplaintError([{ file: name, message: 'is no regular file' }]);
    if (stat.size > MAX_FILE_BYTES) {
      throw new ComplaintError([{ file: name, message: `is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB` }]);
    }
    const bytes = await file.readFile();
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { text, state: { inode: stat.ino, size: stat.size, modified: stat.mtimeNs, changed: stat.ctimeNs } };
  } catch (error) {
    if (error instanceof ComplaintError) throw error;
    const message = error instanceof TypeError ? 'is not valid UTF-8' : `cannot be read: ${(error as Error).message}`;
    throw new ComplaintError([{ file: name, message }]);
  } finally {
    await file?.close();
  }
}

function complaintOf(error: unknown, file: string): Complaint {
  const { message, line, location } = error as {
    message: string;
    line?: number;
    location?: { start: { line: number } };
  };
  const at = line ?? location?.start.line;
  // The parser lists every token that it would have liked; the sentence's end says what it found.
  const found = /but (.+ found)\.$/su.exec(message);
  const short = found === null ? message : `not TOML: ${found[1]} where it cannot stand`;
  return at === undefined ? { file, message: short } : { file, line: at, message: short };
}
