// A `serve` process of the soak, through all its lives: started, bothered, killed, started again; what it takes of memory and
// descriptors in each. Never asks it anything.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { descriptors, residentMegabytes } from '../bench/processes.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Workspace } from '../harness/workspace.ts';

/** How much of the log is kept, for the errors of the soak. */
const LOG_CHARACTERS = 4_000;

/** What a process takes at an age in seconds. */
export interface Sample {
  readonly age: number;
  /** Resident memory. */
  readonly megabytes: number;
  readonly descriptors: number;
}

/** One process, from ready to its end. */
export interface Life {
  /** When it was ready, in milliseconds of the process that measures. */
  readonly from: number;
  readonly samples: Sample[];
}

/** A time in which there was no service, in milliseconds; `to` is absent while there is none. */
export interface Gap {
  readonly from: number;
  to: number | undefined;
}

export class SoakedService {
  readonly name: string;
  readonly port: number;
  readonly config: string;
  readonly lives: Life[] = [];
  readonly gaps: Gap[] = [];
  /** Called when a process ended that nobody has killed. */
  onDeath: (what: string) => void = () => {};
  #process: ChildProcess | undefined;
  #log = '';
  #isReady = false;

  constructor(workspace: Workspace, name: string, port: number, config: string) {
    this.name = name;
    this.port = port;
    this.config = config;
    workspace.push({ dispose: () => this.#end('SIGTERM'), abandon: () => this.#process?.kill('SIGKILL') });
  }

  /** Whether there is one that was ready and has not been killed. */
  get isUp(): boolean {
    return this.#isReady;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    this.#log = '';
    const child = spawn(process.execPath, [MAIN, '--config', this.config, 'serve'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let isReady = false;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
      isReady ||= this.#log.includes('"ready"');
      this.#log = this.#log.slice(-LOG_CHARACTERS);
    });
    child.once('exit', (status, signal) => {
      if (this.#process !== child) return;
      this.#isReady = false;
      this.#process = undefined;
      this.onDeath(`${this.name} ended by itself: ${status ?? signal}\n${this.#log}`);
    });
    await waitFor(
      () => isReady || this.#process !== child,
      () => `${this.name} is ready:\n${this.#log}`,
      60_000,
    );
    if (this.#process !== child) return;
    const now = performance.now();
    const gap = this.gaps.at(-1);
    if (gap !== undefined) gap.to = now;
    this.lives.push({ from: now, samples: [] });
    this.#isReady = true;
  }

  /** Ends it as a power failure would; returns when it is gone. */
  async kill(): Promise<void> {
    this.gaps.push({ from: performance.now(), to: undefined });
    await this.#end('SIGKILL');
  }

  /** Has it read its settings again. */
  reload(): void {
    if (this.#isReady) this.#process?.kill('SIGHUP');
  }

  /** Notes what it takes now. */
  sample(): void {
    if (!this.#isReady) return;
    const life = this.lives.at(-1);
    life?.samples.push({
      age: (performance.now() - life.from) / 1_000,
      megabytes: residentMegabytes(this.pid),
      descriptors: this.descriptors,
    });
  }

  /** How many descriptors it holds now. */
  get descriptors(): number {
    return descriptors(this.pid);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#isReady = false;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}
