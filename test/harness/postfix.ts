// A real Postfix of the test's own: configuration, queue, data and log in the workspace, smtpd on a loopback address of
// its own, name server of the test's choice. Any number run side by side. Never reads or writes the machine's own
// Postfix (but for its programs and dynamicmaps.cf), and its log never reaches syslog.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { groupId, userId } from './account.ts';
import type { Certificate } from './certificates.ts';
import { attempt, type CommandResult, run } from './command.ts';
import { freeLoopbackAddress } from './loopback.ts';
import { killMountNamespace, mountNamespaceOf, processesInMountNamespace } from './mount-namespace.ts';
import { defaultParameters, mainCf, masterCf, type Parameters } from './postfix-configuration.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

/** What a Postfix is made with. */
export interface PostfixOptions {
  /** Its folder in the workspace, and `<name>.test` its host name. "postfix" if absent. */
  readonly name?: string;
  /** main.cf, over the defaults. */
  readonly parameters?: Parameters;
  /** Lines for master.cf, verbatim, after the standard services. */
  readonly services?: readonly string[];
  /** Address of the name server that it asks, on port 53. Absent: nobody answers. */
  readonly nameServer?: string;
  /** What smtpd shows. Absent: smtpd offers no STARTTLS. */
  readonly certificate?: Certificate;
}

/** A message in the queue, as `postqueue -j` shows it. */
export interface QueuedMessage {
  readonly queue_name: string;
  readonly queue_id: string;
  readonly arrival_time: number;
  readonly message_size: number;
  readonly forced_expire: boolean;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

/** One Postfix instance. */
export class Postfix {
  /** Where its smtpd listens. */
  readonly address: string;
  readonly port = 25;
  readonly hostname: string;
  readonly configDirectory: string;
  readonly queueDirectory: string;
  readonly logFile: string;
  readonly #directory: string;
  #master: ChildProcess | undefined;
  #namespace: string | undefined;

  private constructor(directory: string, hostname: string, address: string) {
    this.#directory = directory;
    this.hostname = hostname;
    this.address = address;
    this.configDirectory = join(directory, 'config');
    this.queueDirectory = join(directory, 'queue');
    this.logFile = join(directory, 'mail.log');
  }

  /** Lays out an instance, to be changed as the test likes before {@link Postfix.start}. */
  static async create(workspace: Workspace, options: PostfixOptions = {}): Promise<Postfix> {
    const name = options.name ?? 'postfix';
    const hostname = `${name}.test`;
    const postfix = new Postfix(workspace.path(name), hostname, await freeLoopbackAddress(25));
    await postfix.#layOut(options);
    workspace.push({ dispose: () => postfix.stop(), abandon: () => postfix.#kill() });
    return postfix;
  }

  /** Lays out an instance and starts it. */
  static async start(workspace: Workspace, options: PostfixOptions = {}): Promise<Postfix> {
    const postfix = await Postfix.create(workspace, options);
    await postfix.start();
    return postfix;
  }

  /** This Postfix as another one's next hop. */
  get nexthop(): string {
    return `[${this.address}]:${this.port}`;
  }

  /** The master's process id, while it runs. */
  get pid(): number | undefined {
    return this.#master?.pid;
  }

  get mainFile(): string {
    return join(this.configDirectory, 'main.cf');
  }

  get masterFile(): string {
    return join(this.configDirectory, 'master.cf');
  }

  async #layOut(options: PostfixOptions): Promise<void> {
    const postfix = userId('postfix');
    const data = join(this.#directory, 'data');
    const mailboxes = join(this.#directory, 'mailboxes');
    await mkdir(this.configDirectory, { recursive: true });
    await mkdir(mailboxes);
    await chmod(mailboxes, 0o1777);
    await folder(data, 0o700, postfix, groupId('postfix'));
    await folder(this.queueDirectory, 0o755, 0, 0);
    for (const queue of mailQueues) {
      await folder(join(this.queueDirectory, queue), 0o700, postfix, 0);
    }
    // Until these two are there each Postfix command waits a second for postlogd, in vain.
    await folder(join(this.queueDirectory, 'public'), 0o710, postfix, groupId('postdrop'));
    await folder(join(this.queueDirectory, 'maildrop'), 0o730, postfix, groupId('postdrop'));
    await folder(join(this.queueDirectory, 'pid'), 0o755, 0, 0);
    await writeFile(
      join(this.#directory, 'resolv.conf'),
      // trust-ad: the AD bit is taken from the answers, so that DANE works without a validating resolver.
      `nameserver ${options.nameServer ?? this.address}\noptions trust-ad timeout:2 attempts:2\n`,
    );
    await writeFile(
      this.mainFile,
      mainCf({
        ...defaultParameters,
        queue_directory: this.queueDirectory,
        data_directory: data,
        mail_spool_directory: `${mailboxes}/`,
        maillog_file: this.logFile,
        maillog_file_prefixes: this.#directory,
        myhostname: this.hostname,

        smtp_bind_address: this.address,
        ...(options.certificate === undefined
          ? {}
          : {
              smtpd_tls_security_level: 'may',
              smtpd_tls_cert_file: options.certificate.certificateFile,
              smtpd_tls_key_file: options.certificate.keyFile,
            }),
        ...options.parameters,
      }),
    );
    await this.#age();
    await writeFile(this.masterFile, masterCf(this.address, this.port, options.services));
    await writeFile(this.logFile, '');
  }

  /**
   * Makes main.cf look old. Each Postfix program waits until main.cf has not changed for a second or two, lest it read half
   * of a change; our changes are whole when this is called.
   */
  async #age(): Promise<void> {
    const old = Date.now() / 1000 - 60;
    await utimes(this.mainFile, old, old);
  }

  /** Starts it; returns when smtpd greets. */
  async start(): Promise<void> {
    if (this.#master !== undefined) {
      throw new Error('it runs already');
    }
    const lines = (await this.logLines()).length;
    await run('postfix', ['-c', this.configDirectory, 'check']);
    const console = openSync(join(this.#directory, 'console'), 'a');
    // A mount namespace of its own, in which /etc/resolv.conf is the test's. The watcher beside it holds the other end of
    // a pipe, and ends the master should this process be killed.
    const master = spawn(
      'sh',
      [
        ...['-c', '(read _ <&3 || kill $$) & exec 3<&-; exec unshare --mount --propagation private "$@"', 'sh'],
        ...['sh', '-c', 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3" -s', 'sh'],
        ...[join(this.#directory, 'resolv.conf'), await masterProgram(), this.configDirectory],
      ],
      { detached: true, stdio: ['ignore', console, console, 'pipe'] },
    );
    const watcher = master.stdio[3] as Writable;
    watcher.on('error', () => {});
    master.once('exit', () => watcher.end('\n'));
    closeSync(console);
    this.#master = master;
    try {
      await new Promise((resolve, reject) => {
        master.once('spawn', resolve);
        master.once('error', reject);
      });
      await waitFor(async () => {
        if (master.exitCode !== null || master.signalCode !== null) {
          throw new Error('Postfix ended as soon as it was started');
        }
        return await greets(this.address, this.port);
      }, 'smtpd greets');
      this.#namespace = mountNamespaceOf(master.pid ?? 0);
    } catch (error) {
      const log = [await readFile(join(this.#directory, 'console'), 'utf8'), ...(await this.logLines()).slice(lines)];
      this.#kill();
      await this.stop();
      throw new Error(`${(error as Error).message}\n${log.join('\n')}`);
    }
  }

  /** Stops it; returns when the master and all that it started are gone. */
  async stop(): Promise<void> {
    const master = this.#master;
    if (master === undefined) {
      return;
    }
    this.#namespace ??= ownNamespaceOf(master);
    const gone = async (): Promise<void> => {
      await waitFor(
        () => master.pid === undefined || master.exitCode !== null || master.signalCode !== null,
        'master ends',
        5_000,
      );
      await waitFor(
        () => this.processes().length === 0,
        () => `${this.processes()} end after their master`,
        5_000,
      );
    };
    master.kill('SIGTERM');
    try {
      await gone();
    } catch {
      this.#kill();
      await gone();
    }
    this.#master = undefined;
    this.#namespace = undefined;
  }

  /** The processes of this instance, the master among them. */
  processes(): readonly number[] {
    return this.#namespace === undefined ? [] : processesInMountNamespace(this.#namespace);
  }

  #kill(): void {
    const master = this.#master;
    if (master?.pid === undefined) {
      return;
    }
    this.#namespace ??= ownNamespaceOf(master);
    if (this.#namespace !== undefined) {
      killMountNamespace(this.#namespace);
    }
    master.kill('SIGKILL');
  }

  /**
   * Has it read its configuration again when no delivery is under way; returns when all processes with the old one are
   * gone. A test that keeps a session open says `busy`: then this happens at once, and returns when the master has
   * understood.
   */
  async reload(options: { readonly busy?: boolean } = {}): Promise<void> {
    if (options.busy !== true) {
      await this.#settled();
    }
    const before = this.processes().filter((pid) => pid !== this.pid);
    const lines = (await this.logLines()).length;
    await run('postfix', ['-c', this.configDirectory, 'reload']);
    await this.waitForLog(/\/master\[\d+\]: reload /, lines);
    if (options.busy !== true) {
      const old = (): readonly number[] => this.processes().filter((pid) => before.includes(pid));
      await waitFor(
        () => old().length === 0,
        () => `processes ${old()} with the old configuration end`,
      );
    }
  }

  /** Sets parameters in main.cf, replacing what is there; undefined takes one out. */
  async set(parameters: Readonly<Record<string, string | undefined>>): Promise<void> {
    const entries = Object.entries(parameters);
    const set = entries.flatMap(([name, value]) => (value === undefined ? [] : [`${name} = ${value}`]));
    const unset = entries.flatMap(([name, value]) => (value === undefined ? [name] : []));
    if (set.length > 0) {
      await this.postconf('-e', ...set);
      await this.#age();
    }
    if (unset.length > 0) {
      await this.postconf('-X', ...unset);
      await this.#age();
    }
  }

  /** Runs `postconf -c <configuration>`, and gives what it prints. */
  async postconf(...args: readonly string[]): Promise<string> {
    return await run('postconf', ['-c', this.configDirectory, ...args]);
  }

  /** Adds lines to master.cf, verbatim. */
  async addServices(...lines: readonly string[]): Promise<void> {
    await appendFile(this.masterFile, `${lines.join('\n')}\n`);
  }

  /** Replaces master.cf by the standard services and these lines. */
  async setServices(...lines: readonly string[]): Promise<void> {
    await writeFile(this.masterFile, masterCf(this.address, this.port, lines));
  }

  /**
   * Writes a lookup table into the configuration directory, compiles it if its type asks for that, and gives what
   * main.cf calls it: `lmdb:/…/name`. Of a fresh texthash Postfix waits two seconds before it reads it; lmdb is quicker.
   */
  async table(name: string, text: string, type = 'lmdb'): Promise<string> {
    const path = join(this.configDirectory, name);
    await writeFile(path, text);
    if (compiledTypes.has(type)) {
      await run('postmap', ['-c', this.configDirectory, `${type}:${path}`]);
    }
    return `${type}:${path}`;
  }

  /** All that it has logged. */
  async logLines(): Promise<readonly string[]> {
    const text = await readFile(this.logFile, 'utf8');
    // What follows the last newline is not a line yet.
    return text.split('\n').slice(0, -1);
  }

  /** Waits for a line in the log, not looking at the first `skip` lines, and gives what the pattern finds in it. */
  async waitForLog(pattern: RegExp, skip = 0, timeoutMs?: number): Promise<RegExpMatchArray> {
    return await waitFor(
      async () => {
        for (const line of (await this.logLines()).slice(skip)) {
          const found = line.match(pattern);
          if (found !== null) {
            return found;
          }
        }
        return undefined;
      },
      async () => `${pattern} in the log, which says\n${(await this.logLines()).slice(skip).join('\n')}`,
      timeoutMs,
    );
  }

  /** What is in the queue now. */
  async queue(): Promise<readonly QueuedMessage[]> {
    const lines = (await run('postqueue', ['-c', this.configDirectory, '-j'])).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as QueuedMessage);
  }

  /** Waits until a fact holds for the queue, and gives the queue: `(queue) => queue.length === 0`. */
  async waitForQueue(
    fact: (queue: readonly QueuedMessage[]) => boolean,
    timeoutMs?: number,
  ): Promise<readonly QueuedMessage[]> {
    return await waitFor(
      async () => {
        const queue = await this.queue();
        return fact(queue) ? queue : undefined;
      },
      async () => `the queue is as expected; it is ${JSON.stringify(await this.queue(), undefined, 1)}`,
      timeoutMs,
    );
  }

  /** Has it try all that is in the queue again, when the attempts under way are over. */
  async flush(): Promise<void> {
    await this.#settled();
    await run('postqueue', ['-c', this.configDirectory, '-f']);
  }

  /**
   * Waits until no delivery is under way: the queue manager puts off for a minute what it finds locked by a delivery
   * attempt, and an attempt holds its lock for a moment longer than it takes to log and report its outcome.
   */
  async #settled(): Promise<void> {
    await waitFor(async () => {
      const locked = new Set((await readFile('/proc/locks', 'utf8')).match(/(?<=:)\d+(?= )/g));
      const files = await Promise.all(
        ['active', 'deferred'].map((queue) => readdir(join(this.queueDirectory, queue), { recursive: true })),
      );
      if (files[0]?.length !== 0) {
        return false;
      }
      const inodes = (files[1] ?? []).map((name) => stat(join(this.queueDirectory, 'deferred', name)));
      return (await Promise.allSettled(inodes)).every(
        (entry) => entry.status === 'rejected' || !locked.has(String(entry.value.ino)),
      );
    }, 'no delivery is under way');
  }

  /** Runs a program that sees the files, mounts and name server that this running Postfix sees. */
  async attemptInside(program: string, args: readonly string[]): Promise<CommandResult> {
    if (this.pid === undefined) {
      throw new Error('it does not run');
    }
    return await attempt('nsenter', [`--mount=/proc/${this.pid}/ns/mnt`, '--', program, ...args]);
  }
}

const mailQueues = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved', 'trace'],
];

const compiledTypes: ReadonlySet<string> = new Set(['lmdb', 'cdb', 'hash', 'btree', 'dbm', 'sdbm']);

let programs: Promise<string> | undefined;

/** The path of master(8). */
async function masterProgram(): Promise<string> {
  programs ??= run('postconf', ['-dh', 'daemon_directory']);
  return join((await programs).trim(), 'master');
}

async function folder(path: string, mode: number, user: number, group: number): Promise<void> {
  await mkdir(path);
  await chown(path, user, group);
  await chmod(path, mode);
}

/** The namespace that a process has made for itself, if it has got that far and lives. */
function ownNamespaceOf(child: ChildProcess): string | undefined {
  const namespace = child.pid === undefined ? undefined : mountNamespaceOf(child.pid);
  return namespace === mountNamespaceOf('self') ? undefined : namespace;
}

/** Whether an SMTP server greets there. */
async function greets(address: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const answer = (seen: boolean): void => {
      socket.removeAllListeners('close');
      socket.on('error', () => {});
      if (seen) {
        socket.end('QUIT\r\n');
        socket.resume();
      } else {
        socket.destroy();
      }
      resolve(seen);
    };
    socket.setTimeout(3_000, () => answer(false));
    socket.once('data', (data) => answer(data.toString('latin1').startsWith('220')));
    socket.once('error', () => answer(false));
    socket.once('close', () => answer(false));
  });
}
