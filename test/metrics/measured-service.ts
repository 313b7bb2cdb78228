// A service in a process of its own that shows metrics: what it is asked, what it says over HTTP, what it logs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { attempt, type CommandResult } from '../harness/command.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Workspace } from '../harness/workspace.ts';
import { PolicyClient } from '../service/policy-client.ts';
import { recordedRequest } from '../service/recorded-request.ts';

export interface MeasuredOptions {
  /** The files of the settings directory, without .toml. */
  readonly settings?: Readonly<Record<string, string>>;
  /** More of the main file. */
  readonly main?: string;
  /** More lines of its section [server]. */
  readonly server?: string;
  /** Whether it shows metrics; absent: it does. */
  readonly metrics?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One line of /metrics. */
export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class MeasuredService {
  readonly config: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly #workspace: Workspace;
  readonly #environment: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #client: PolicyClient | undefined;
  /** Standard error. */
  log = '';
  stdout = '';

  private constructor(
    workspace: Workspace,
    config: string,
    ports: readonly [number, number],
    options: MeasuredOptions,
  ) {
    this.#workspace = workspace;
    this.config = config;
    [this.port, this.metricsPort] = ports;
    this.#environment = options.environment ?? {};
  }

  /** Lays out main file and settings, and starts the service; it may not be ready yet. */
  static async begin(workspace: Workspace, options: MeasuredOptions = {}): Promise<MeasuredService> {
    const ports = [await freePort(), await freePort()] as const;
    for (const [name, text] of Object.entries(options.settings ?? { empty: '' })) {
      await workspace.write(`domains.d/${name}.toml`, text);
    }
    const [port, metricsPort] = ports;
    const shown = options.metrics === false ? '' : `metrics = "127.0.0.1:${metricsPort}"\n`;
    const server = `[server]\nlisten = ["127.0.0.1:${port}"]\n${shown}${options.server ?? ''}`;
    const config = await workspace.write('tlswarden.toml', `${server}\n${options.main ?? ''}\n`);
    const service = new MeasuredService(workspace, config, ports, options);
    workspace.push({
      dispose: async () => void (await service.stop()),
      abandon: () => service.#process?.kill('SIGKILL'),
    });
    service.#start();
    return service;
  }

  /** The same, and waits until it answers. */
  static async start(workspace: Workspace, options: MeasuredOptions = {}): Promise<MeasuredService> {
    const service = await MeasuredService.begin(workspace, options);
    await service.untilLogged('"ready"');
    return service;
  }

  #start(): void {
    const child = spawn(process.execPath, this.program, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#environment },
    });
    this.#process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
  }

  /** Stops it, and gives its exit status. */
  async stop(): Promise<number | null> {
    this.#client?.close();
    const child = this.#process;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'close');
      child.kill('SIGTERM');
      await gone;
    }
    return child.exitCode;
  }

  /** What Node is told to run: to start it otherwise than here. */
  get program(): readonly string[] {
    return [MAIN, '--config', this.config, 'serve'];
  }

  /** Runs another command of the program by the same main file. */
  async run(...args: readonly string[]): Promise<CommandResult> {
    return await attempt(process.execPath, [MAIN, '--config', this.config, ...args], { env: this.#environment });
  }

  /** Runs `serve` by another main file, one that keeps it from starting. */
  async attemptWith(main: string): Promise<CommandResult> {
    await this.#workspace.write('other/domains.d/empty.toml', '');
    const config = await this.#workspace.write('other/tlswarden.toml', main);
    return await attempt(process.execPath, [MAIN, '--config', config, 'serve']);
  }

  /** Makes it look as if all of Postfix had taken the tables up. */
  async makeTablesOld(): Promise<void> {
    const old = Date.now() / 1000 - 3_600;
    await utimes(this.#workspace.path('maps', 'stamp.json'), old, old);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Writes one file of the settings. */
  async write(name: string, text: string): Promise<void> {
    await writeFile(this.#workspace.path('domains.d', `${name}.toml`), text);
  }

  /** Waits until a text stands in the log, beyond so many characters. */
  async untilLogged(text: string, skip = 0): Promise<void> {
    const child = this.#process;
    await waitFor(
      () => {
        if (this.log.includes(text, skip)) return true;
        if (child?.exitCode !== null) throw new Error(`the service ended:\n${this.log}`);
        return false;
      },
      () => `${text} in the log:\n${this.log}`,
    );
  }

  /** The log's lines as they were given to it, of those that have a field. */
  lines(field: string): readonly Readonly<Record<string, unknown>>[] {
    return this.log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => field in line);
  }

  /** A connection of its own. */
  async connect(): Promise<PolicyClient> {
    const client = await PolicyClient.to(`127.0.0.1:${this.port}`);
    this.#workspace.push({ dispose: () => client.close() });
    return client;
  }

  /** The action for a request that differs from a recorded one in these attributes. */
  async ask(attributes: Readonly<Record<string, string>>): Promise<string> {
    this.#client ??= await this.connect();
    return await this.#client.ask(recordedRequest(attributes));
  }

  async http(path: string, method = 'GET'): Promise<HttpReply> {
    return await new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.metricsPort, path, method, agent: false };
      const request = httpRequest(options, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end();
    });
  }

  /** Waits until something answers over HTTP. */
  async untilShown(): Promise<void> {
    await waitFor(
      () => this.http('/healthz').catch(() => undefined),
      () => `/healthz:\n${this.log}`,
    );
  }

  async scrape(): Promise<Scrape> {
    const { status, body } = await this.http('/metrics');
    if (status !== 200) throw new Error(`${status} ${body}`);
    return new Scrape(body);
  }

  /** Waits until a metric, written as in Prometheus, has a value. */
  async untilMetric(selector: string, wanted: number): Promise<void> {
    let seen: number | undefined;
    await waitFor(
      async () => {
        // It may not have come up yet.
        seen = (await this.scrape().catch(() => undefined))?.value(selector);
        return seen === wanted;
      },
      () => `${selector} to be ${wanted}, not ${seen}:\n${this.log}`,
    );
  }
}

/** What one look at /metrics brought. */
export class Scrape {
  readonly text: string;
  readonly samples: readonly ScrapedSample[];

  constructor(text: string) {
    this.text = text;
    this.samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map(readSample);
  }

  /** The value of the one sample that `name{label="value"}` means; throws if there is none or more than one. */
  value(selector: string): number {
    const { name, labels } = readSample(`${selector} 0`);
    const found = this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    const [first] = found;
    if (first === undefined || found.length > 1) throw new Error(`${selector} means ${found.length} samples`);
    return first.value;
  }
}

function readSample(line: string): ScrapedSample {
  const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/u.exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = '', labels = '', value = ''] = match;
  const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gu)].map(([, label = '', text = '']) => [
    label,
    text,
  ]);
  return {
    name,
    labels: Object.fromEntries(pairs),
    value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
  };
}
