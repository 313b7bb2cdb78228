/**
 * Reads one TOML file from disk, or says with place and line why not. It opens regular files only (a FIFO would hang
 * it), of a bounded size, takes none that changes while it is read, and gives back plain objects that nobody has looked
 * at yet.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parse, TomlError } from 'smol-toml';
import { type FileState, sameState, stateIn } from '../files/file-state.ts';
import { type Complaint, ComplaintError } from './complaint.ts';
import type { Table } from './table-reader.ts';

/** Beyond any use: half a million domains; a fleet stands in as many files as it likes. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** The strictest nesting that any of our files needs is five; the parser's own limit is far higher. */
const MAX_DEPTH = 32;
/** What the parser's sentences begin with. */
const PREFIX = 'Invalid TOML document: ';
/** Tries to read a file that somebody is writing, and the time between them. */
const MAX_TRIES = 5;
const RETRY_MS = 50;

/** Text and content of one and the same state. */
export interface TomlFile {
  readonly state: FileState;
  readonly text: string;
  readonly table: Table;
}

/** `name` is how complaints call the file. Throws {@link ComplaintError}. */
export async function readToml(path: string, name: string): Promise<TomlFile> {
  const { text, state } = await readRegularFile(path, name);
  return { state, text, table: parseToml(text, name) };
}

/** Parses TOML text; throws {@link ComplaintError} with the line where the parser knows it. */
export function parseToml(text: string, name: string): Table {
  try {
    return parse(text, { maxDepth: MAX_DEPTH }) as Table;
  } catch (error) {
    throw new ComplaintError([complaintOf(error, name)]);
  }
}

/** The text of a regular file of bounded size, UTF-8. Throws {@link ComplaintError}. */
export async function readRegularFile(
  path: string,
  name: string,
  maxBytes = MAX_FILE_BYTES,
): Promise<{ text: string; state: FileState }> {
  try {
    for (let tries = 1; ; tries += 1) {
      const read = await readOnce(path, name, maxBytes);
      if (read !== undefined) return read;
      if (tries === MAX_TRIES)
        throw new ComplaintError([{ file: name, message: 'is being written: it keeps changing' }]);
      await pause(RETRY_MS);
    }
  } catch (error) {
    if (error instanceof ComplaintError) throw error;
    const message = error instanceof TypeError ? 'is not valid UTF-8' : `cannot be read: ${(error as Error).message}`;
    throw new ComplaintError([{ file: name, message }]);
  }
}

/** undefined: the file has changed meanwhile. */
async function readOnce(
  path: string,
  name: string,
  maxBytes: number,
): Promise<{ text: string; state: FileState } | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat({ bigint: true });
    const state = stateIn(stat);
    if (!stat.isFile()) throw new ComplaintError([{ file: name, message: 'is no regular file' }]);
    if (stat.size > maxBytes) {
      throw new ComplaintError([{ file: name, message: `is larger than ${maxBytes / 1024 / 1024} MiB` }]);
    }
    const bytes = Buffer.allocUnsafeSlow(Number(stat.size));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length < bytes.length || !sameState(stateIn(await file.stat({ bigint: true })), state)) return undefined;
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), state };
  } finally {
    await file?.close();
  }
}

function complaintOf(error: unknown, file: string): Complaint {
  if (!(error instanceof TomlError)) return { file, message: (error as Error).message };
  // Below its sentence the parser shows the line, which may be long and hold anything.
  const [sentence = ''] = error.message.split('\n', 1);
  return { file, line: error.line, message: `not TOML: ${sentence.replace(PREFIX, '')}` };
}
