// A mail host that does not run: main.cf, master.cf, tlswarden's main file, settings and tables in a folder of the test. Can
// be made ill, examined, and mended by the very commands that doctor prints. Never starts a Postfix.

import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tablesOptions } from '../../src/commands/maps.ts';
import { type Diagnosis, examineHost } from '../../src/doctor/examine-host.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { readMainFile } from '../../src/main-file/main-file.ts';
import { settingsAtHand } from '../../src/main-file/open-source.ts';
import type { ResolverAddress } from '../../src/probe/dns-client.ts';
import { run } from '../harness/command.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { runLines } from '../harness/shell.ts';
import type { Workspace } from '../harness/workspace.ts';

export interface PatientFiles {
  readonly main: string;
  readonly master: string;
  readonly settings: string;
  /** More of tlswarden's main file. */
  readonly more?: string;
}

export class Patient {
  readonly directory: string;
  readonly port: number;
  readonly #workspace: Workspace;

  private constructor(workspace: Workspace, directory: string, port: number) {
    this.#workspace = workspace;
    this.directory = directory;
    this.port = port;
  }

  static async create(workspace: Workspace, name: string, files: PatientFiles): Promise<Patient> {
    const patient = new Patient(workspace, workspace.path(name), await freePort());
    // One for all, since `postfix check` gives it owners, which a copy would not have.
    const queue = workspace.path('queue');
    await mkdir(queue, { recursive: true });
    await workspace.write(`${name}/config/main.cf`, `queue_directory = ${queue}\n${files.main}`);
    await workspace.write(`${name}/config/master.cf`, files.master);
    await workspace.write(`${name}/domains.d/all.toml`, files.settings);
    await workspace.write(
      `${name}/tlswarden.toml`,
      [
        `[server]\nlisten = ["127.0.0.1:${patient.port}", "unix:${patient.directory}/policy"]`,
        '[postfix]\nconfig_directory = "config"',
        `[maps]\ndirectory = "${patient.directory}/maps"\ntype = "lmdb"`,
        files.more ?? '',
        '',
      ].join('\n'),
    );
    return patient;
  }

  /** Another one with the same files. Tables are its own: main.cf names them where they are. */
  async twin(name: string): Promise<Patient> {
    const twin = new Patient(this.#workspace, this.#workspace.path(name), this.port);
    await cp(this.directory, twin.directory, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    for (const file of ['tlswarden.toml', 'config/main.cf', 'config/master.cf']) {
      await twin.edit(file, (text) => text.replaceAll(`${this.directory}/`, `${twin.directory}/`));
    }
    return twin;
  }

  get config(): string {
    return join(this.directory, 'config');
  }

  async edit(file: string, change: (text: string) => string): Promise<void> {
    const path = join(this.directory, file);
    await writeFile(path, change(existsSync(path) ? await readFile(path, 'utf8') : ''));
  }

  /** Sets parameters of main.cf. */
  async set(parameters: Readonly<Record<string, string>>): Promise<void> {
    const assignments = Object.entries(parameters).map(([name, value]) => `${name} = ${value}`);
    await this.postconf('-e', ...assignments);
  }

  /** A parameter of main.cf as it is written. */
  async get(parameter: string): Promise<string> {
    return (await this.postconf('-h', parameter)).trim();
  }

  async postconf(...args: readonly string[]): Promise<string> {
    return await run('postconf', ['-c', this.config, ...args]);
  }

  /** A lookup table in the configuration directory, and what main.cf calls it. */
  async table(name: string, text: string): Promise<string> {
    const path = await this.#workspace.write(`${this.directory.split('/').at(-1)}/config/${name}`, text);
    await run('postmap', ['-c', this.config, `lmdb:${path}`]);
    return `lmdb:${path}`;
  }

  /** More domains, and the tables for them. */
  async domains(text: string): Promise<void> {
    await writeFile(join(this.directory, 'domains.d/more.toml'), text);
    await run(process.execPath, [MAIN, '--config', join(this.directory, 'tlswarden.toml'), 'maps']);
  }

  /** What doctor tells. */
  async diagnosis(resolvers: readonly ResolverAddress[] = []): Promise<Diagnosis> {
    const main = await readMainFile(join(this.directory, 'tlswarden.toml'));
    return await examineHost(main, await settingsAtHand(main), await tablesOptions(main), resolvers);
  }

  /** All that doctor finds but that Postfix and the service do not run. */
  async findings(resolvers: readonly ResolverAddress[] = []): Promise<readonly Finding[]> {
    const { findings } = await this.diagnosis(resolvers);
    return findings.filter(({ id }) => id !== 'postfix-not-running' && id !== 'service-silent');
  }

  get apply(): string {
    return `tlswarden --config ${this.directory}/tlswarden.toml postfix apply`;
  }

  /** main.cf and master.cf. */
  async files(): Promise<readonly string[]> {
    return await Promise.all(['main.cf', 'master.cf'].map((name) => readFile(join(this.config, name), 'utf8')));
  }

  /** Runs commands as they are printed, each once, the last time. Nobody serves here, and systemd has nothing to restart. */
  async mend(commands: readonly string[]): Promise<void> {
    const once = commands.filter((command, i) => commands.lastIndexOf(command) === i);
    const runnable = once.filter((command) => !/ serve &$|^systemctl /u.test(command));
    await runLines(this.directory, runnable);
  }
}

/** `id severity`, or `id severity where` of the findings of some ids, sorted. */
export function idsOf(findings: readonly Finding[]): readonly string[] {
  return [...new Set(findings.map(({ id, severity }) => `${severity} ${id}`))].sort();
}
