/**
 * A copy of main.cf and master.cf on which postconf(1) works, so that nothing half done is ever in force.
 */
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postconf } from '../fragments/postconf.ts';
import { type ConfigurationFiles, FILES, readConfigurationFiles } from './configuration-files.ts';
import { type Edits, entriesAfter } from './edits.ts';
import { readStandingConfiguration, type StandingConfiguration } from './standing-configuration.ts';

export class StagedConfiguration {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Runs `body` with a copy of these files, which is gone afterwards. */
  static async with<T>(files: ConfigurationFiles, body: (staged: StagedConfiguration) => Promise<T>): Promise<T> {
    const staged = new StagedConfiguration(await mkdtemp(join(tmpdir(), 'tlswarden-postfix-')));
    try {
      await staged.write(files);
      return await body(staged);
    } finally {
      await rm(staged.directory, { recursive: true, force: true });
    }
  }

  async write(files: ConfigurationFiles): Promise<void> {
    for (const name of FILES) await writeFile(join(this.directory, name), files[name]);
    await this.#age();
  }

  async files(): Promise<ConfigurationFiles> {
    return await readConfigurationFiles(this.directory);
  }

  async read(): Promise<StandingConfiguration> {
    return await readStandingConfiguration(this.directory);
  }

  /** Carries the edits out. */
  async edit(standing: StandingConfiguration, edits: Edits): Promise<void> {
    const set = edits.parameters.flatMap(({ parameter, to }) => (to === undefined ? [] : [`${parameter} = ${to}`]));
    const unset = edits.parameters.flatMap(({ parameter, to }) => (to === undefined ? [parameter] : []));
    const entries = [...entriesAfter(standing, edits)];
    const put = entries.flatMap(([service, entry]) => (entry === undefined ? [] : [`${service} = ${entry}`]));
    const removed = entries.flatMap(([service, entry]) => (entry === undefined ? [service] : []));
    await this.#postconf('-e', set);
    await this.#postconf('-X', unset);
    await this.#postconf('-M', put);
    await this.#postconf('-MX', removed);
  }

  async #postconf(mode: string, args: readonly string[]): Promise<void> {
    if (args.length === 0) return;
    await postconf(this.directory, [mode, ...args]);
    await this.#age();
  }

  /** Each Postfix program waits until main.cf has not changed for two seconds, lest it read half of a change. */
  async #age(): Promise<void> {
    const old = Date.now() / 1000 - 60;
    for (const name of FILES) await utimes(join(this.directory, name), old, old);
  }
}
