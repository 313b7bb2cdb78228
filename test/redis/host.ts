// A mail host of a test: the settings as a host follows them, in this process or by a service of its own, with what it logs.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { DomainName } from '../../src/address/domain-name.ts';
import { parseRedisUrl, RedisAddress } from '../../src/redis/redis-address.ts';
import { RedisSource } from '../../src/redis/redis-source.ts';
import { RedisStore } from '../../src/redis/redis-store.ts';
import { NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { SettingsInForce } from '../../src/source/settings-in-force.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Workspace } from '../harness/workspace.ts';

/** A domain that asks for TLS on receipt from everyone, and one that does not. */
export const ALWAYS: Table = { incoming: { receipt: { require_tls: 'always' } } };
export const NEVER: Table = { incoming: { receipt: { require_tls: 'never' } } };

export function addressOf(url: string): RedisAddress {
  const address = parseRedisUrl(url, '/');
  if (!(address instanceof RedisAddress)) throw new Error(address.problem);
  return address;
}

function context(): { defaults: typeof NO_DEFAULTS; hasRelayhost: boolean; pool: SettingPool } {
  return { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };
}

/** Whoever changes the settings. */
export class Panel {
  readonly store: RedisStore;

  constructor(url: string) {
    this.store = new RedisStore({ address: addressOf(url), relayhost: BY_MX, context: context() });
  }

  /** Sets domains in one change; undefined takes one away. */
  async set(changes: Readonly<Record<string, Table | undefined>>): Promise<number> {
    const all = new Map(Object.entries(changes) as [DomainName, Table | undefined][]);
    return await this.store.change(() => all, { concerns: [...all.keys()], command: 'test' });
  }
}

export interface HostOptions {
  readonly snapshot?: string;
  /** Called with every version of the settings that is in force. */
  readonly seen?: (settings: Settings) => void;
  readonly quietMs?: number;
}

/** A host in this process. */
export class Host {
  readonly log: string[] = [];
  readonly #inForce: SettingsInForce;

  private constructor(url: string, { snapshot, seen, quietMs = 0 }: HostOptions) {
    const say =
      (level: string) =>
      (fields: object, message: string): void => {
        this.log.push(`${level} ${message} ${JSON.stringify(fields)}`);
      };
    const source = new RedisSource({
      address: addressOf(url),
      snapshot,
      keepsSnapshot: snapshot !== undefined,
      log: { info: say('info'), warn: say('warn'), error: say('error') },
      relayhost: BY_MX,
      context: context(),
      place: 'redis',
      quietMs,
    });
    this.#inForce = new SettingsInForce(source, {
      changed: (settings) => seen?.(settings),
      failed: (error) => this.log.push(`failed ${error.message}`),
    });
  }

  static async start(workspace: Workspace, url: string, options: HostOptions = {}): Promise<Host> {
    const host = new Host(url, options);
    workspace.push({ dispose: () => host.stop() });
    await host.#inForce.start();
    return host;
  }

  stop(): void {
    this.#inForce.stop();
  }

  get settings(): Settings | undefined {
    return this.#inForce.settings;
  }

  refresh(): void {
    void this.#inForce.refresh();
  }

  /** What is asked of mail to this domain; undefined: it is not hosted. */
  requires(domain: string): 'always' | 'never' | undefined {
    const found = this.settings?.find(domain as DomainName);
    if (found === undefined) return undefined;
    return found.settings.incoming.receipt === undefined ? 'never' : 'always';
  }

  async until(fact: (host: Host) => boolean, what: string, patienceMs?: number): Promise<void> {
    await waitFor(
      () => fact(this),
      () => `${what}; the log says\n${this.log.join('\n')}`,
      patienceMs,
    );
  }

  async untilLogged(text: string | RegExp): Promise<void> {
    await this.until((host) => host.log.some((line) => line.search(text) >= 0), `"${text}" in the log`);
  }
}

/** A service in a process of its own. */
export class Service {
  readonly port: number;
  readonly config: string;
  readonly #process: ChildProcess;
  log = '';

  private constructor(port: number, config: string) {
    this.port = port;
    this.config = config;
    this.#process = spawn(process.execPath, [MAIN, '--config', config, 'serve'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
  }

  /** Starts it, and waits until it listens. `settings` are lines of that section. */
  static async start(workspace: Workspace, name: string, settings: readonly string[], more = ''): Promise<Service> {
    const port = await freePort();
    const text = `[server]\nlisten = ["127.0.0.1:${port}"]\n[settings]\n${settings.join('\n')}\n${more}`;
    const service = new Service(port, await workspace.write(`${name}.toml`, text));
    workspace.push({
      dispose: async () => void (await service.stop()),
      abandon: () => service.#process.kill('SIGKILL'),
    });
    await service.untilLogged('"ready"');
    return service;
  }

  /** Stops it, and gives its exit status. */
  async stop(): Promise<number | null> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
    return child.exitCode;
  }

  /** Ends it as a power failure would. */
  async kill(): Promise<void> {
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }

  async untilLogged(text: string): Promise<void> {
    await waitFor(
      () => this.log.includes(text) || this.#process.exitCode !== null,
      () => `"${text}" in the log\n${this.log}`,
    );
    if (!this.log.includes(text)) throw new Error(`the service ended:\n${this.log}`);
  }

  /** The action for a plaintext session's recipient at this domain; undefined: closed without a reply. */
  async ask(domain: string): Promise<string | undefined> {
    const socket = connect({ port: this.port, host: '127.0.0.1' });
    let reply = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      reply += text;
      if (reply.endsWith('\n\n')) socket.end();
    });
    const lines = ['request=smtpd_access_policy', 'protocol_state=RCPT', 'sender=a@sender.example'];
    socket.write([...lines, `recipient=b@${domain}`, 'encryption_protocol=', '', ''].join('\n'));
    await once(socket, 'close');
    return /^action=(.*)\n\n$/su.exec(reply)?.[1];
  }

  /** What it decides of mail to this domain by now. */
  async decides(domain: string): Promise<'always' | 'never' | undefined> {
    const action = await this.ask(domain);
    if (action === undefined) return undefined;
    return action.startsWith('550') ? 'always' : 'never';
  }

  async untilDecides(domain: string, wanted: 'always' | 'never'): Promise<void> {
    await waitFor(
      async () => (await this.decides(domain)) === wanted,
      () => `${domain} to be ${wanted}:\n${this.log}`,
    );
  }
}

/** Runs the program to its end, as somebody at a terminal would. */
export async function tlswarden(
  config: string,
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Ends it by SIGTERM. */
    readonly signal?: AbortSignal;
  } = {},
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [MAIN, '--config', config, ...args], {
    env: { ...process.env, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(options.input ?? '');
  options.signal?.addEventListener('abort', () => child.kill('SIGTERM'));
  await once(child, 'close');
  return { status: child.exitCode, stdout, stderr };
}
