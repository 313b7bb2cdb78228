// A mail gateway: one Postfix with tlswarden in front, set up as the README says, by the program's own commands and with
// what `postfix show` prints unchanged. Never reaches into the program: it only runs it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, type CommandResult, run } from './command.ts';
import { freePort } from './loopback.ts';
import { MAIN } from './main.ts';
import { Postfix, type PostfixOptions } from './postfix.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

export interface GatewayOptions extends PostfixOptions {
  /** The settings directory's files: name (without .toml) and content. */
  readonly settings: Readonly<Record<string, string>>;
  /** More of the main file, below what the gateway needs itself. */
  readonly main?: string;
  /** Whether there are tables; else every delivery requirement is answered by FILTER. */
  readonly tables?: boolean;
  /** Whether the tables were there long enough, as far as the service can tell, that all of Postfix goes by them. */
  readonly settled?: boolean;
  /** maps.type. */
  readonly type?: string;
  readonly relayhost?: string;
  /** What Postfix appends to an address without a domain. */
  readonly myorigin?: string;
  readonly exemptClients?: readonly string[];
  /** Whether Postfix is told of tlswarden before it starts. */
  readonly told?: boolean;
  /** Where the service listens, in place of the gateway's port: unix:/path. */
  readonly listen?: string;
}

/** What `postfix show --json` prints. */
interface Fragments {
  readonly 'main.cf': readonly { readonly parameter: string; readonly value: string }[];
  readonly 'master.cf': readonly { readonly lines: string }[];
}

export class Gateway {
  readonly postfix: Postfix;
  readonly directory: string;
  readonly port: number;
  #service: ChildProcess | undefined;
  #log = '';
  #watcher: ChildProcess | undefined;

  private constructor(postfix: Postfix, directory: string, port: number) {
    this.postfix = postfix;
    this.directory = directory;
    this.port = port;
  }

  /** Lays everything out, writes the tables, starts the service, tells Postfix, and starts it. */
  static async start(workspace: Workspace, options: GatewayOptions): Promise<Gateway> {
    const postfix = await Postfix.create(workspace, options);
    const directory = workspace.path(`tlswarden-${options.name ?? 'postfix'}`);
    await mkdir(join(directory, 'domains.d'), { recursive: true });
    const gateway = new Gateway(postfix, directory, await freePort());
    workspace.push({ dispose: () => gateway.#stop(), abandon: () => gateway.#abandon() });
    await writeFile(gateway.configFile, gateway.#mainFile(options));
    for (const [name, text] of Object.entries(options.settings)) await gateway.write(name, text);
    const { relayhost, myorigin } = options;
    if (relayhost !== undefined) await postfix.set({ relayhost });
    if (myorigin !== undefined) await postfix.set({ myorigin });
    if (options.tables !== false) await gateway.run('maps');
    if (options.settled === true) await gateway.settle();
    await gateway.serve();
    if (options.told !== false) await gateway.configure();
    await postfix.start();
    return gateway;
  }

  get configFile(): string {
    return join(this.directory, 'tlswarden.toml');
  }

  get mapsDirectory(): string {
    return join(this.directory, 'maps');
  }

  /** All that the service, this one and those before, has logged. */
  get log(): string {
    return this.#log;
  }

  #mainFile(options: GatewayOptions): string {
    const quoted = (words: readonly string[]): string => words.map((word) => JSON.stringify(word)).join(', ');
    return [
      `[server]\nlisten = ["${options.listen ?? `127.0.0.1:${this.port}`}"]`,
      '[settings]\nsource = "domains.d"',
      `[addresses]\nrecipient_delimiter = "+"${options.myorigin === undefined ? '' : `\nmyorigin = "${options.myorigin}"`}`,
      `[receipt]\nexempt_clients = [${quoted(options.exemptClients ?? [])}]`,
      options.tables === false ? '' : `[maps]\ndirectory = "maps"\ntype = "${options.type ?? 'lmdb'}"`,
      `[postfix]\nconfig_directory = "${this.postfix.configDirectory}"\nrelayhost = "${options.relayhost ?? ''}"`,
      options.main ?? '',
      '',
    ].join('\n');
  }

  /** Runs the program; throws with all that it wrote unless it exits with 0. */
  async run(...args: readonly string[]): Promise<string> {
    return await run(process.execPath, [MAIN, '--config', this.configFile, ...args]);
  }

  /** Runs the program, whatever its exit status. */
  async attempt(...args: readonly string[]): Promise<CommandResult> {
    return await attempt(process.execPath, [MAIN, '--config', this.configFile, ...args]);
  }

  /** Starts the program. `ended` gives its exit status, null if a signal ended it. */
  launch(...args: readonly string[]): { kill(signal: NodeJS.Signals): void; readonly ended: Promise<number | null> } {
    const child = spawn(process.execPath, [MAIN, '--config', this.configFile, ...args], { stdio: 'ignore' });
    const ended = once(child, 'exit').then(([status]) => status as number | null);
    return { kill: (signal) => void child.kill(signal), ended };
  }

  /** Puts what `postfix show` prints into main.cf and master.cf, as it is. */
  async configure(): Promise<void> {
    const fragments = JSON.parse(await this.run('--json', 'postfix', 'show')) as Fragments;
    await this.postfix.set(Object.fromEntries(fragments['main.cf'].map(({ parameter, value }) => [parameter, value])));
    await this.postfix.setServices(...fragments['master.cf'].map(({ lines }) => lines));
  }

  /** Makes the tables look old: the service waits for minutes until it leaves to them what they hold. */
  async settle(): Promise<void> {
    const old = Date.now() / 1000 - 3_600;
    await utimes(join(this.mapsDirectory, 'stamp.json'), old, old);
  }

  /** Writes one file of the settings, whole. Whoever needs it in force waits for {@link changeSettings} instead. */
  async write(name: string, text: string): Promise<void> {
    const path = join(this.directory, 'domains.d', `${name}.toml`);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }

  /** Writes one file of the settings and waits until the service decides by it. */
  async changeSettings(name: string, text: string): Promise<void> {
    const skip = this.#log.length;
    await this.write(name, text);
    await this.waitForLog(/"settings in force"/u, skip);
  }

  /** Starts the service, if it does not run. */
  async serve(): Promise<void> {
    if (this.#service !== undefined) return;
    const skip = this.#log.length;
    const service = spawn(process.execPath, [MAIN, '--config', this.configFile, 'serve'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#service = service;
    service.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
    });
    service.once('exit', () => {
      if (this.#service === service) this.#service = undefined;
    });
    await this.waitForLog(/"ready"/u, skip);
  }

  /** Ends the service, by default the hard way. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await end(this.#service, signal);
  }

  /** Sends the service a signal that does not end it. */
  signal(signal: NodeJS.Signals): void {
    this.#service?.kill(signal);
  }

  /** Has the tables follow the settings from now on: `maps --watch`. What it logs is in {@link log} too. */
  async watchMaps(): Promise<void> {
    const skip = this.#log.length;
    const watcher = spawn(process.execPath, [MAIN, '--config', this.configFile, 'maps', '--watch'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#watcher = watcher;
    watcher.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
    });
    await this.waitForLog(/"watching"/u, skip);
  }

  /** Leaves the tables as they are from now on. */
  async stopWatching(): Promise<void> {
    await end(this.#watcher, 'SIGTERM');
  }

  async #stop(): Promise<void> {
    await this.stopWatching();
    await this.kill();
  }

  #abandon(): void {
    this.#watcher?.kill('SIGKILL');
    this.#service?.kill('SIGKILL');
  }

  async waitForLog(pattern: RegExp, skip = 0): Promise<RegExpMatchArray> {
    return await waitFor(
      () => this.#log.slice(skip).match(pattern),
      () => `${pattern} in the service's log, which says\n${this.#log.slice(skip)}`,
    );
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}
