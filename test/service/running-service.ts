// The service as users run it: a process of its own, with a main file and settings of its own, on a port of its own. Gone
// when the test is. It keeps what the service logs, line by line.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Ending, Workspace } from '../harness/workspace.ts';
import { toToml } from '../oracle/scenario.ts';
import { PolicyClient } from './policy-client.ts';

export interface ServiceOptions {
  /** The main file, but for `server.listen`. */
  readonly main?: Readonly<Record<string, unknown>>;
  /** What stands under `[domains]`. */
  readonly domains?: Readonly<Record<string, unknown>>;
  /** Settings files besides, as texts. */
  readonly files?: Readonly<Record<string, string>>;
  readonly level?: string;
  /** Node's own options, such as the size of its heap. */
  readonly nodeOptions?: readonly string[];
  /** The most file descriptors that it may have. */
  readonly maxFiles?: number;
}

export class RunningService {
  readonly workspace: Workspace;
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #lines: string[];
  readonly #clients: PolicyClient[] = [];

  private constructor(workspace: Workspace, process: ChildProcess, lines: string[], address: string) {
    this.workspace = workspace;
    this.#process = process;
    this.#lines = lines;
    this.address = address;
  }

  static async start(t: Ending, options: ServiceOptions = {}): Promise<RunningService> {
    const workspace = await Workspace.of(t);
    const { server, ...main } = (options.main ?? {}) as { readonly server?: object };
    const config = await workspace.write(
      'tlswarden.toml',
      toToml({
        server: { ...server, listen: ['127.0.0.1:0'] },
        log: { level: options.level ?? 'info' },
        ...main,
      }),
    );
    await workspace.write('domains.d/all.toml', toToml({ domains: options.domains ?? {} }));
    for (const [name, text] of Object.entries(options.files ?? {})) await workspace.write(`domains.d/${name}`, text);
    const command = [process.execPath, ...(options.nodeOptions ?? []), MAIN, '--config', config, 'serve'];
    const limited = options.maxFiles === undefined ? command : ['prlimit', `--nofile=${options.maxFiles}`, ...command];
    const [first = '', ...others] = limited;
    const child = spawn(first, others, { stdio: ['ignore', 'ignore', 'pipe'] });
    workspace.push({
      dispose: async () => {
        if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
      },
      abandon: () => child.kill('SIGKILL'),
    });
    const lines: string[] = [];
    let rest = '';
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      const [...whole] = (rest + text).split('\n');
      rest = whole.pop() ?? '';
      lines.push(...whole);
    });
    const ready = await waitFor(
      () => {
        if (child.exitCode !== null) throw new Error(`the service ended at once:\n${lines.join('\n')}`);
        return lines.map(parseLine).find(({ msg }) => msg === 'ready');
      },
      'the service is ready',
      60_000,
    );
    const [address = ''] = ready['listen'] as readonly string[];
    const service = new RunningService(workspace, child, lines, address);
    workspace.push({
      dispose: () => {
        for (const client of service.#clients) client.close();
      },
    });
    return service;
  }

  /** A connection to it, closed with the test. */
  async client(): Promise<PolicyClient> {
    const client = await PolicyClient.to(this.address);
    this.#clients.push(client);
    return client;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** All that it has logged so far, each line as bytes (latin1). */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The lines so far, read; throws at one that is not a JSON object. */
  get logged(): readonly Readonly<Record<string, unknown>>[] {
    return this.#lines.map(parseLine);
  }

  /** Resident memory, in bytes. */
  get residentBytes(): number {
    const match = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${this.pid}/status`, 'latin1'));
    return Number(match?.[1]) * 1024;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it with SIGTERM; gives its exit status, null if a signal ended it. All that it logged is in {@link lines} then. */
  async stop(): Promise<number | null> {
    const closed = once(this.#process, 'close');
    if (this.isRunning) this.#process.kill('SIGTERM');
    await closed;
    return this.#process.exitCode;
  }
}

function parseLine(line: string): Readonly<Record<string, unknown>> {
  const text = Buffer.from(line, 'latin1').toString();
  if (!text.startsWith('{')) throw new Error(`not an event: ${text}`);
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error(`not an event: ${line}`);
  return value as Readonly<Record<string, unknown>>;
}
