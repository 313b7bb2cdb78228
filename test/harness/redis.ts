// Redis of a test's own: servers, Sentinels and a Cluster on loopback addresses of their own, with their data in the test's
// folder, and programs that use them. A server is stopped by its process, never by name.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { run } from './command.ts';
import { freeLoopbackAddress } from './loopback.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

const PORT = 6379;
const SENTINEL_PORT = 26379;

export interface RedisServerOptions {
  /** Where it listens; absent: on a free address. */
  readonly host?: string;
  /** Lines of redis.conf. */
  readonly lines?: readonly string[];
  /** What redis-cli needs to log in, or to use TLS. */
  readonly login?: readonly string[];
}

let count = 0;

export class RedisServer {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  readonly #workspace: Workspace;
  readonly #options: RedisServerOptions;
  readonly #program: string;
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(workspace: Workspace, host: string, port: number, program: string, options: RedisServerOptions) {
    this.host = host;
    this.port = port;
    this.#workspace = workspace;
    this.#program = program;
    this.#options = options;
    count += 1;
    this.directory = workspace.path(`redis-${count}`);
    workspace.push({ dispose: () => this.kill(), abandon: () => this.#process?.kill('SIGKILL') });
  }

  /** Starts a server that keeps its data, as far as a killed one does. */
  static async start(workspace: Workspace, options: RedisServerOptions = {}): Promise<RedisServer> {
    const host = options.host ?? (await freeLoopbackAddress(PORT));
    const server = new RedisServer(workspace, host, PORT, 'redis-server', options);
    await server.start();
    return server;
  }

  /** Starts a Sentinel that watches a master of the name "settings". */
  static async startSentinel(workspace: Workspace, master: RedisServer, quorum: number): Promise<RedisServer> {
    const lines = [
      `sentinel monitor settings ${master.host} ${master.port} ${quorum}`,
      'sentinel down-after-milliseconds settings 1000',
      'sentinel failover-timeout settings 5000',
    ];
    const address = await freeLoopbackAddress(SENTINEL_PORT);
    const server = new RedisServer(workspace, address, SENTINEL_PORT, 'redis-sentinel', { lines });
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}/0`;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Starts it (again), and waits until it answers. */
  async start(): Promise<void> {
    const lines = [
      `bind ${this.host}`,
      `port ${this.port}`,
      `dir ${this.directory}`,
      'daemonize no',
      // Others must know it by its own address, not by the one that loopback connections come from.
      ...(this.#program === 'redis-server'
        ? [
            'appendonly yes',
            'appendfsync always',
            'save ""',
            `replica-announce-ip ${this.host}`,
            `cluster-announce-ip ${this.host}`,
          ]
        : [`sentinel announce-ip ${this.host}`]),
      ...(this.#options.lines ?? []),
      '',
    ];
    const file = `${this.directory.slice(this.#workspace.directory.length + 1)}/redis.conf`;
    const path = await this.#workspace.write(file, lines.join('\n'));
    this.#output = '';
    const child = spawn(this.#program, [path], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-5000);
      });
    }
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`${this.#program} ended:\n${this.#output}`);
        return (await this.cli('PING').catch(() => '')).startsWith('PONG');
      },
      () => `${this.#program} to answer:\n${this.#output}`,
    );
  }

  /** Ends it as a power failure would. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Takes its data away; it must not run. */
  async wipe(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Stops it where it stands: it accepts connections, and says nothing. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** One command by redis-cli; throws if the server says that it is an error. */
  async cli(...args: readonly string[]): Promise<string> {
    const login = this.#options.login ?? [];
    const all = ['-e', '-h', this.host, '-p', String(this.port), ...login, ...args];
    return (await run('redis-cli', all)).trimEnd();
  }
}
