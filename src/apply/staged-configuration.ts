/**
 * A copy of main.cf and master.cf on which postconf(1) works, so that nothing half done is ever in force.
 */
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postconf } from '../postfix/postconf.ts';
import { RECEIPT_CLASS } from '../tables/table.ts';
import { ApplyError } from './apply-error.ts';
import { type ConfigurationFiles, eachFile, FILES, readConfigurationFiles } from './configuration-files.ts';
import { type Edits, entriesAfter, leftOf } from './edits.ts';
import { keepLinesOfMain, keepLinesOfMaster } from './keep-lines.ts';
import { logicalLines, parameterAt } from './logical-lines.ts';
import { readStandingConfiguration, type StandingConfiguration } from './standing-configuration.ts';

/** A directory that postconf(1) takes for Postfix's own. Only {@link StagedConfiguration.with} makes one. */
export class StagedConfiguration {
  /** For postconf(1) -c. */
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Runs `body` with a copy of these files, which is gone afterwards: in `directory`, which nobody else uses and the next run
   * empties if this one is killed; without one, in the system's temporary folder.
   */
  static async with<T>(
    files: ConfigurationFiles,
    directory: string | undefined,
    body: (staged: StagedConfiguration) => Promise<T>,
  ): Promise<T> {
    if (directory !== undefined) {
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, 0o700);
    }
    const staged = new StagedConfiguration(directory ?? (await mkdtemp(join(tmpdir(), 'tlswarden-postfix-'))));
    try {
      await staged.write(files);
      return await body(staged);
    } finally {
      await rm(staged.directory, { recursive: true, force: true });
    }
  }

  /** Replaces both files of the copy. */
  async write(files: ConfigurationFiles): Promise<void> {
    for (const name of FILES) await writeFile(join(this.directory, name), files[name]);
    await this.#age();
  }

  /** Both files of the copy as they are now. */
  async files(): Promise<ConfigurationFiles> {
    return await readConfigurationFiles(this.directory);
  }

  /** What the copy says now. Rejects with a PostconfError. */
  async read(): Promise<StandingConfiguration> {
    const standing = await readStandingConfiguration(this.directory);
    // postconf shows it only where something names it.
    const receiptClass = standing.parameters.get(RECEIPT_CLASS) ?? (await this.#entryOf(RECEIPT_CLASS));
    if (receiptClass === undefined) return standing;
    return { ...standing, parameters: new Map([...standing.parameters, [RECEIPT_CLASS, receiptClass]]) };
  }

  async #entryOf(parameter: string): Promise<string | undefined> {
    const text = (await this.files())['main.cf'].toString();
    const entry = logicalLines(text).findLast((entryLine) => parameterAt(text, entryLine) === parameter);
    return entry === undefined ? undefined : text.slice(text.indexOf('=', entry.start) + 1, entry.end).trim();
  }

  /** Carries the edits out: those of values over many lines where they stand, all others by postconf. */
  async edit(edits: Edits): Promise<void> {
    refuseUnreadable(edits);
    await this.#keepLines(edits);
    const standing = await this.read();
    const left = leftOf(edits, standing);
    const set = left.parameters.flatMap(({ parameter, to }) => (to === undefined ? [] : [`${parameter} = ${to}`]));
    const unset = left.parameters.flatMap(({ parameter, to }) => (to === undefined ? [parameter] : []));
    const entries = [...entriesAfter(standing, left)];
    const put = entries.flatMap(([service, entry]) => (entry === undefined ? [] : [`${service} = ${entry}`]));
    const removed = entries.flatMap(([service, entry]) => (entry === undefined ? [service] : []));
    // One by one: of several that are new postconf makes its own order, each time another one.
    for (const parameter of set) await this.#postconf('-e', [parameter]);
    for (const entry of put) await this.#postconf('-M', [entry]);
    await this.#postconf('-X', unset);
    await this.#postconf('-MX', removed);
  }

  async #keepLines(edits: Edits): Promise<void> {
    const read = await this.files();
    const files = eachFile((name) => ended(read[name]));
    const [main, master] = [readText(files['main.cf']), readText(files['master.cf'])];
    await this.write({
      'main.cf': main === undefined ? files['main.cf'] : Buffer.from(keepLinesOfMain(main, edits)),
      'master.cf': master === undefined ? files['master.cf'] : Buffer.from(keepLinesOfMaster(master, edits)),
    });
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

/** postconf writes what is new behind the last character, into the last line if that has no end. */
function ended(bytes: Buffer): Buffer {
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from('\n')]);
}

/** undefined: it is not UTF-8, and not to be written back as if it were. */
function readText(bytes: Buffer): string | undefined {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

/** What postconf prints of bytes that are no UTF-8 cannot be given back to it. */
function refuseUnreadable({ parameters, services, overrides }: Edits): void {
  const names = [
    ...parameters.flatMap(({ parameter, to }) => (to?.includes('\uFFFD') ? [parameter] : [])),
    ...[...services, ...overrides].flatMap(({ service, to }) => (to?.includes('\uFFFD') ? [service] : [])),
  ];
  if (names.length > 0) {
    throw new ApplyError(`${names.join(', ')}: there are characters in it that are not UTF-8; nothing was changed`);
  }
}
