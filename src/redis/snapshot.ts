/**
 * The settings on this host's disk, for a start without Redis: JSON Lines, a head, a record a line, and an end with the
 * place in the stream and a digest of all before it. Written beside and renamed, so a reader finds the old one or the new
 * one; one that is damaged in any way is not used. It knows no Redis.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { putInPlace } from '../files/replace-file.ts';
import { Slice } from '../slice/slice.ts';
import { isTable } from '../toml/table-reader.ts';
import { nameInRecord, type Position } from './layout.ts';

const FORMAT = 1;
const HEAD = `${JSON.stringify({ tlswarden: 'snapshot', format: FORMAT })}\n`;
/** Text that is written at once. */
const CHUNK = 256 * 1024;
/** What nobody has written to for so long was left by a process that was killed: each would leave another one. */
const LEFT_MS = 600_000;

/** The file is there, and is not what was written. */
export class SnapshotDamaged extends Error {}

/** The changes that a snapshot lacks: records by name, null for one that is gone. */
export type SnapshotChanges = ReadonlyMap<string, string | null>;

/** Writes a snapshot beside, record by record; it is in place after {@link SnapshotWriter.finish} and not before. */
export class SnapshotWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #text = HEAD;
  #records = 0;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** Rejects with the system's error if nothing can be written beside `path`. */
  static async begin(path: string): Promise<SnapshotWriter> {
    const temporary = join(dirname(path), `.tlswarden-snapshot-${process.pid}.tmp`);
    // Left by a process of this number that was killed.
    await rm(temporary, { force: true });
    await removeLeft(dirname(path));
    return new SnapshotWriter(path, temporary, await open(temporary, 'wx', 0o640));
  }

  /** `record`: one line, of {@link formatRecordJson}. */
  async add(record: string): Promise<void> {
    this.#text += `${record}\n`;
    this.#records += 1;
    if (this.#text.length >= CHUNK) await this.#flush();
  }

  /** Puts the file in place once it is on disk. `position`: the entry of the stream that the records are of. */
  async finish(position: Position): Promise<void> {
    await this.#flush();
    this.#text = `${JSON.stringify({ end: { ...position, records: this.#records, sha256: this.#hash.digest('hex') } })}\n`;
    await this.#file.writeFile(this.#text);
    await this.#file.sync();
    await this.#file.close();
    await putInPlace(this.#temporary, this.#path);
  }

  /** Leaves the old one as it is. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#temporary, { force: true });
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    this.#hash.update(bytes);
    await this.#file.writeFile(bytes);
  }
}

/** Never fails: what cannot be removed is in nobody's way. */
async function removeLeft(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!/^\.tlswarden-snapshot-\d+\.tmp$/u.test(name)) continue;
    const file = join(directory, name);
    const writtenAt = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    if (Date.now() - writtenAt > LEFT_MS) await rm(file, { force: true }).catch(() => {});
  }
}

/**
 * Reads a snapshot, record by record; nothing of it may be used before the position comes back. undefined: there is none.
 * Throws {@link SnapshotDamaged}.
 */
export async function readSnapshot(
  path: string,
  record: (text: string) => Promise<void> | void,
): Promise<Position | undefined> {
  let end: unknown;
  let records = -1;
  const hash = createHash('sha256');
  try {
    for await (const { line, bytes } of linesOf(path)) {
      if (end !== undefined) throw new SnapshotDamaged('something follows its end');
      if (records === -1) {
        if (line !== HEAD.trimEnd()) throw new SnapshotDamaged('it is no snapshot of this format');
      } else if (line.startsWith('{"end":')) {
        end = parseJson(line);
        continue;
      } else await record(line);
      records += 1;
      hash.update(bytes);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const last = isTable(end) ? end['end'] : undefined;
  if (!isTable(last)) throw new SnapshotDamaged('it has no end');
  const { epoch, id, seq, sha256 } = last;
  if (sha256 !== hash.digest('hex') || last['records'] !== records) {
    throw new SnapshotDamaged('its digest does not fit its content');
  }
  if (typeof epoch !== 'string' || typeof id !== 'string' || typeof seq !== 'number') {
    throw new SnapshotDamaged('its end says no position');
  }
  return { epoch, id, seq };
}

/** Writes the snapshot anew with these changes. Throws {@link SnapshotDamaged} if the old one cannot be used. */
export async function renewSnapshot(path: string, changes: SnapshotChanges, position: Position): Promise<void> {
  const writer = await SnapshotWriter.begin(path);
  try {
    const old = await readSnapshot(path, async (text) => {
      const name = nameInRecord(text);
      if (name === undefined || !changes.has(name)) await writer.add(text);
    });
    if (old === undefined) throw new SnapshotDamaged('it is gone');
    for (const text of changes.values()) if (text !== null) await writer.add(text);
    await writer.finish(position);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

interface Line {
  readonly line: string;
  /** With the newline. */
  readonly bytes: Buffer;
}

async function* linesOf(path: string): AsyncIterable<Line> {
  let rest: Buffer = Buffer.alloc(0);
  const slice = new Slice();
  for await (const part of createReadStream(path, { highWaterMark: CHUNK })) {
    const bytes = rest.length === 0 ? (part as Buffer) : Buffer.concat([rest, part as Buffer]);
    let from = 0;
    for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, from)) {
      yield { line: bytes.toString('utf8', from, newline), bytes: bytes.subarray(from, newline + 1) };
      from = newline + 1;
      if (slice.isOver) await slice.next();
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) throw new SnapshotDamaged('its last line is not whole');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
