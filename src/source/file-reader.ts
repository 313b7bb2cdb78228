/**
 * Reads settings files for a process that has other things to do: small files at once, large ones in a thread of their
 * own, which has only so much memory; in as many threads as files are read at once. It gives domains some at a time, and
 * says what is wrong with a file; what a domain's table means it does not know.
 */
import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import type { FileState } from '../files/file-state.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { readToml } from '../toml/read-toml.ts';
import { domainTables } from './domain-tables.ts';
import type { FileOrder, FilePart, WrittenDomain } from './file-thread.ts';

/** A larger file takes longer to parse than requests should wait. */
const SMALL_BYTES = 32 * 1024;
/** What a thread may use: some times what a file of the largest size takes that holds nothing but domains. */
const THREAD_MEBIBYTES = 4096;
/** For what the parser makes of a file and has no use for soon after. */
const YOUNG_MEBIBYTES = 64;

/** One for each load; to be closed after it. */
export class FileReader {
  readonly #mebibytes: number;
  readonly #threads = new Set<ReadingThread>();
  readonly #idle: ReadingThread[] = [];
  #isAbandoned = false;

  constructor(mebibytes = THREAD_MEBIBYTES) {
    this.#mebibytes = mebibytes;
  }

  /** `take` gets all domains of the file. Throws {@link ComplaintError}; complaints that leave domains go to `complaints`. */
  async read(
    path: string,
    name: string,
    complaints: Complaint[],
    take: (domains: readonly WrittenDomain[]) => Promise<void>,
  ): Promise<FileState> {
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size <= SMALL_BYTES) {
      const { table, state } = await readToml(path, name);
      await take(Object.entries(domainTables(table, name, complaints)));
      return state;
    }
    const thread = this.#idle.pop() ?? new ReadingThread(this.#mebibytes);
    this.#threads.add(thread);
    if (this.#isAbandoned) thread.abandon();
    try {
      return await thread.read(path, name, complaints, take);
    } finally {
      if (!thread.isOver) this.#idle.push(thread);
    }
  }

  /** Ends its threads; what they were reading fails. */
  close(): void {
    for (const thread of this.#threads) thread.close();
  }

  /** What is still being read keeps the process from its end no more. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const thread of this.#threads) thread.abandon();
  }
}

class ReadingThread {
  readonly #worker: Worker;
  readonly #mebibytes: number;
  readonly #parts: FilePart[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(mebibytes: number) {
    this.#mebibytes = mebibytes;
    this.#worker = new Worker(new URL('./file-thread.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: mebibytes, maxYoungGenerationSizeMb: YOUNG_MEBIBYTES },
    });
    this.#worker.on('message', (part: FilePart) => {
      this.#parts.push(part);
      this.#wake();
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the thread that reads it has ended')));
  }

  /** It reads nothing any more. */
  get isOver(): boolean {
    return this.#failure !== undefined;
  }

  async read(
    path: string,
    name: string,
    complaints: Complaint[],
    take: (domains: readonly WrittenDomain[]) => Promise<void>,
  ): Promise<FileState> {
    this.#order({ path, name });
    for (;;) {
      const part = await this.#next(name);
      if ('domains' in part) {
        // The next ones are on their way while these are worked on.
        this.#order('more');
        await take(part.domains);
        continue;
      }
      if (part.state === undefined) throw new ComplaintError(part.complaints);
      complaints.push(...part.complaints);
      return part.state;
    }
  }

  close(): void {
    void this.#worker.terminate();
  }

  abandon(): void {
    this.#worker.unref();
  }

  #order(order: FileOrder): void {
    this.#worker.postMessage(order);
  }

  async #next(name: string): Promise<FilePart> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) return part;
      if (this.#failure !== undefined)
        throw new ComplaintError([{ file: name, message: wordFailure(this.#failure, this.#mebibytes) }]);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

function wordFailure(error: Error, mebibytes: number): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_WORKER_OUT_OF_MEMORY') return `cannot be read: ${error.message}`;
  return `takes more than ${mebibytes} MiB of memory to read; split it`;
}
