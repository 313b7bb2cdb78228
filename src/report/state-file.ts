/**
 * Counts in a file of this host: read once, then written whole whenever something was added, beside and renamed, so that
 * it is the old one or the new one whenever the process or the host dies. A file that another hand has changed, or taken
 * away, is what holds: counts are added to it. One that is damaged is moved aside and told, and counting begins anew.
 */
import { rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import { type FileState, sameState, stateOfFile } from '../files/file-state.ts';
import { removeTemporaries, writeFilesAtomically } from '../files/replace-files.ts';
import type { EventLog } from '../log/event-log.ts';
import { Slice } from '../slice/slice.ts';
import { ComplaintError } from '../toml/complaint.ts';
import { readRegularFile } from '../toml/read-toml.ts';
import { isTable } from '../toml/table-reader.ts';
import { isMoment } from './counters.ts';
import { remoteDomain } from './remote.ts';
import { beginningOf, type Counted, IDLE_MS, type ReportBounds, type ReportStore } from './report-store.ts';
import { formatRow, parseRowLine, type Row } from './row.ts';
import { Tally } from './tally.ts';

const FORMAT = 1;
/** The shortest time between two writes; a file of this many rows is written half as often. */
const INTERVAL_MS = 10_000;
const INTERVAL_ROWS = 10_000;
/** As long as one string can be. */
const MAX_BYTES = 512 * 1024 * 1024;

/** The file is there, and is not what was written. */
export class StateDamaged extends Error {}

interface Head {
  readonly since: number;
  readonly hosts: readonly string[];
}

/** Counts in the file at `path`, whose directory has to be there, and the process's to write in. */
export class StateFile implements ReportStore {
  readonly #path: string;
  readonly #bounds: ReportBounds;
  readonly #log: Pick<EventLog, 'error'>;
  /** What the file holds, as far as it is known: while it is in this state. */
  #known: { readonly head: Head; readonly tally: Tally; readonly state: FileState | undefined } | undefined;
  #owed: readonly Row[] = [];
  #isTidy = false;

  constructor(path: string, bounds: ReportBounds, log: Pick<EventLog, 'error'>) {
    this.#path = path;
    this.#bounds = bounds;
    this.#log = log;
  }

  get name(): string {
    return this.#path;
  }

  get intervalMs(): number {
    return INTERVAL_MS * (1 + (this.#known?.tally.size ?? 0) / INTERVAL_ROWS);
  }

  get isSettled(): boolean {
    return this.#owed.length === 0;
  }

  async add(rows: readonly Row[], now: number): Promise<void> {
    if (rows.length > 0) this.#owed = [...this.#owed, ...rows];
    if (this.isSettled) return;
    try {
      const state = await stateOfFile(this.#path);
      const isKnown = this.#known !== undefined && sameState(this.#known.state, state);
      const { head, tally } = isKnown && this.#known !== undefined ? this.#known : await this.#load(now);
      const slice = new Slice();
      for (const row of this.#owed) {
        tally.absorb(row);
        if (slice.isOver) await slice.next();
      }
      tally.sweep(now - IDLE_MS);
      const hosts = head.hosts.includes(hostname()) ? head.hosts : [...head.hosts, hostname()];
      await this.#write({ since: head.since, hosts }, tally);
      this.#owed = [];
    } catch (error) {
      // They may have been added to what is known, but not to the file: that is read again.
      this.#known = undefined;
      throw error;
    }
  }

  async read(): Promise<Counted | undefined> {
    if ((await stateOfFile(this.#path)) === undefined) return undefined;
    const { head, rows } = await readState(this.#path);
    return { ...head, rows };
  }

  async reset(now: number): Promise<void> {
    // A service that is about to write has not seen it: it does so at the next turn.
    for (let attempt = 0; attempt < 5; attempt++) {
      await this.#write({ since: now, hosts: [hostname()] }, new Tally());
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (((await this.read())?.since ?? 0) >= now) return;
    }
    throw new Error(`${this.#path} is being written by others, again and again`);
  }

  /** It holds nothing open. */
  close(): void {}

  async #load(now: number): Promise<{ readonly head: Head; readonly tally: Tally }> {
    const tally = new Tally(this.#bounds);
    const fresh = { head: { since: beginningOf(this.#owed, now), hosts: [] }, tally };
    if ((await stateOfFile(this.#path)) === undefined) return fresh;
    try {
      const { head, rows } = await readState(this.#path);
      const slice = new Slice();
      for (const row of rows) {
        tally.absorb(this.#bounds.localParts ? row : { ...row, remote: remoteDomain(row.remote) });
        if (slice.isOver) await slice.next();
      }
      return { head, tally };
    } catch (error) {
      if (!(error instanceof StateDamaged)) throw error;
      const aside = `${this.#path}.damaged`;
      await rename(this.#path, aside);
      this.#log.error(
        { state: this.#path, reason: error.message, aside },
        'the counts for the report are damaged; they are moved aside, and counting begins anew',
      );
      return fresh;
    }
  }

  async #write(head: Head, tally: Tally): Promise<void> {
    await this.#tidyUp();
    const lines = [JSON.stringify({ tlswarden: 'report', format: FORMAT, ...head })];
    const slice = new Slice();
    for (const row of tally.rows()) {
      lines.push(formatRow(row));
      if (slice.isOver) await slice.next();
    }
    lines.push(JSON.stringify({ end: { rows: lines.length - 1 } }), '');
    await writeFilesAtomically([{ path: this.#path, text: lines.join('\n'), mode: 0o640 }], undefined);
    this.#known = { head, tally, state: await stateOfFile(this.#path) };
  }

  /** Clears away what a writer left that was killed. */
  async #tidyUp(): Promise<void> {
    if (this.#isTidy) return;
    this.#isTidy = true;
    await removeTemporaries(dirname(this.#path), isAlive);
  }
}

async function readState(path: string): Promise<{ readonly head: Head; readonly rows: readonly Row[] }> {
  let text: string;
  try {
    ({ text } = await readRegularFile(path, basename(path), MAX_BYTES));
  } catch (error) {
    if (!(error instanceof ComplaintError)) throw error;
    const message = error.complaints[0]?.message ?? '';
    if (message === 'is not valid UTF-8') throw new StateDamaged(message);
    throw new Error(`${path} ${message}`);
  }
  const lines = text.split('\n');
  const head = parseHead(lines[0] ?? '');
  if (head === undefined) throw new StateDamaged('it does not begin as the counts of a report do');
  const end = parseJson(lines.at(-2) ?? '')?.['end'];
  const count = lines.length - 3;
  if (lines.at(-1) !== '' || !isTable(end) || end['rows'] !== count) throw new StateDamaged('its end is missing');
  const rows: Row[] = [];
  const slice = new Slice();
  for (let i = 1; i <= count; i++) {
    const row = parseRowLine(lines[i] ?? '');
    if (row === undefined) throw new StateDamaged(`line ${i + 1} is no row`);
    rows.push(row);
    if (slice.isOver) await slice.next();
  }
  return { head, rows };
}

function parseHead(line: string): Head | undefined {
  const head = parseJson(line);
  const since = head?.['since'];
  const hosts = head?.['hosts'];
  const isHead = head?.['tlswarden'] === 'report' && head['format'] === FORMAT;
  if (!isHead || !isMoment(since) || !Array.isArray(hosts)) return undefined;
  return { since, hosts: hosts.map(String) };
}

function parseJson(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isTable(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
