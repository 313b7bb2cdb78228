/**
 * What every command shares: the global options, the main file and the settings source, output, and how an error
 * becomes words and an exit status. Results and errors go through here; no command ends the process by itself.
 */
import { once } from 'node:events';
import type { Command } from 'commander';
import { ApplyError } from '../apply/apply-error.ts';
import { LockError } from '../files/exclusive-lock.ts';
import {
  DEFAULT_PATH,
  type FurtherCheck,
  type MainFile,
  readMainFile,
  UnusableMainFile,
} from '../main-file/main-file.ts';
import { directoryOptions, domainContext } from '../main-file/open-source.ts';
import { PostconfError } from '../postfix/postconf.ts';
import { RedisAway, RedisTrouble, UnusableRedisUrl } from '../redis/redis-link.ts';
import { RedisStore } from '../redis/redis-store.ts';
import { DirectoryStore } from '../source/directory-store.ts';
import { PartlyChanged, RejectedChange, type SettingsStore } from '../source/settings-store.ts';
import { TablesError } from '../tables/tables-error.ts';
import { type Complaint, ComplaintError, wordComplaint } from '../toml/complaint.ts';
import { placeComplaints } from './place-complaints.ts';

/** Contract section 8. */
export const WELL = 0;
/** It did not work, or the answer is no. */
export const FAILED = 1;
/** Wrong usage, configuration or settings. */
export const MISUSED = 2;
/** What a command's body gives for the process (contract section 8). */
export type ExitStatus = typeof WELL | typeof FAILED | typeof MISUSED;

/** It did not work, for a reason that one sentence says: exit status 1. */
export class CommandFailure extends Error {}

/** The command was called wrongly in a way that the option parser cannot see: exit status 2. */
export class UsageError extends Error {}

/** The settings as they are changed. */
export function openStore(main: MainFile): SettingsStore {
  const { source } = main.settings;
  if (source.kind === 'directory') return new DirectoryStore(directoryOptions(main, source.path));
  return new RedisStore({
    relayhost: main.postfix.relayhost,
    context: domainContext(main),
    address: source.address,
  });
}

/** The same, for what only Redis has; `otherwise` says why a directory has it not. */
export function openRedisStore(main: MainFile, otherwise: string): RedisStore {
  const store = openStore(main);
  if (store instanceof RedisStore) return store;
  throw new UsageError(`the settings are in a directory: ${otherwise}`);
}

/** What may go wrong though the program is right: their messages say all. */
const EXPECTED = [CommandFailure, ApplyError, LockError, PostconfError, RedisTrouble, TablesError];

/** One run of one command: made by {@link action} from the global options, gone with the process. */
export class CommandContext {
  /** The main file's path, as given. */
  readonly configPath: string;
  /** Whether results and errors are to be JSON. */
  readonly json: boolean;
  /** Known once the main file is read: complaints name its files relative to it. */
  #settingsDirectory: string | undefined;
  #isUnread = false;

  constructor(options: { readonly config?: string; readonly json?: boolean }) {
    this.configPath = options.config || DEFAULT_PATH;
    this.json = options.json === true;
    // The stream itself forgets it: Node keeps standard output from being destroyed.
    process.stdout.once('error', () => {
      this.#isUnread = true;
    });
  }

  /** Reads the main file; throws {@link ComplaintError} with all that is wrong, also by the `further` check. */
  async readMain(further?: FurtherCheck): Promise<MainFile> {
    try {
      const main = await readMainFile(this.configPath, further);
      this.#setSource(main);
      return main;
    } catch (error) {
      if (error instanceof UnusableMainFile && error.lookFurther !== undefined) this.#setSource(error.lookFurther);
      throw error;
    }
  }

  #setSource({ settings: { source } }: MainFile): void {
    if (source.kind === 'directory') this.#settingsDirectory = source.path;
  }

  /** Whether nobody reads the result any more (`| head`): what streams may stop. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** Says that this process waits for another one that changes the settings. */
  readonly waiting = (): void => this.note('waiting for another tlswarden that is changing the settings');

  /** One line, or several, of the result: standard output. */
  print(text: string): void {
    if (text !== '') process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** Resolves when whoever reads the result has taken in what was printed: for results longer than memory. */
  async written(): Promise<void> {
    while (process.stdout.writableNeedDrain && !this.isUnread) await once(process.stdout, 'drain').catch(() => {});
  }

  /** The result as one JSON document. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value, null, 2));
  }

  /** What the user should know besides the result: standard error. */
  note(text: string): void {
    process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /**
   * Words an error on standard error and gives the exit status that it stands for. Of what was to change settings it says
   * that nothing was changed, where that is certain.
   */
  async report(error: unknown, changesSettings = false): Promise<ExitStatus> {
    const status = await this.#word(error);
    const isUnchanged =
      (error instanceof ComplaintError && !(error instanceof PartlyChanged)) || error instanceof RedisAway;
    if (changesSettings && isUnchanged && !this.json) this.note('Nothing was changed.');
    return status;
  }

  async #word(error: unknown): Promise<ExitStatus> {
    if (error instanceof ComplaintError) {
      // A change that was rejected stands in no file yet.
      const isPlaced = error instanceof RejectedChange;
      const { complaints } = error;
      this.complain(isPlaced ? complaints : await placeComplaints(complaints, this.#settingsDirectory), 'settings');
      return MISUSED;
    }
    if (error instanceof UnusableRedisUrl) {
      this.complain([{ message: error.message }], 'settings');
      return MISUSED;
    }
    if (error instanceof UsageError) {
      this.complain([{ message: error.message }], 'usage');
      return MISUSED;
    }
    const isExpected = error instanceof Error && (EXPECTED.some((kind) => error instanceof kind) || 'syscall' in error);
    const message = isExpected ? error.message : `this is a defect of tlswarden: ${(error as Error)?.stack ?? error}`;
    this.complain([{ message }], 'failure');
    return FAILED;
  }

  /** Says what is wrong without being in the way. */
  warn(complaints: readonly Complaint[]): void {
    for (const complaint of complaints) this.note(`warning: ${wordComplaint(complaint)}`);
  }

  /** Says complaints on standard error: a line each, or one JSON document. */
  complain(complaints: readonly Complaint[], kind: 'usage' | 'settings' | 'failure'): void {
    if (this.json) this.note(JSON.stringify({ error: { kind, complaints } }));
    else
      this.note(
        complaints
          .map((complaint) => `${kind === 'settings' ? '' : 'tlswarden: '}${wordComplaint(complaint)}`)
          .join('\n'),
      );
  }
}

/**
 * Makes a commander action of a command's body, which gets the context, then the arguments, then the command's own
 * options. What it returns is the exit status; what it throws is worded by {@link CommandContext.report}. A command that
 * `changesSettings` says so.
 */
export function action<A extends readonly unknown[]>(
  body: (context: CommandContext, ...given: A) => Promise<ExitStatus>,
  { changesSettings = false } = {},
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const context = new CommandContext(command.optsWithGlobals());
    try {
      process.exitCode = await body(context, ...(given.slice(0, -1) as unknown as A));
    } catch (error) {
      process.exitCode = await context.report(error, changesSettings);
    }
  };
}
