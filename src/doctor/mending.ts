/**
 * The commands that mend what is found, exactly as one types them on this host. Pure: it writes command lines and runs none.
 */
import { resolve } from 'node:path';
import { withOptions } from '../apply/master-entry.ts';
import { DEFAULT_PATH } from '../main-file/main-file.ts';
import { shellWords } from '../text/shell-words.ts';
import { formatValue } from '../toml/format-toml.ts';
import { KeyLocator } from '../toml/locate-key.ts';
import type { Statement } from '../toml/scan-toml.ts';
import type { Daemon } from './daemons.ts';
import type { MasterService } from './postfix-configuration.ts';

const DEFAULT_CONFIG_DIRECTORY = '/etc/postfix';

/** What a command line depends on besides what it is to mend. */
export interface MendingContext {
  /** The main file's path, and what stands in it. */
  readonly mainPath: string;
  readonly mainText: string;
  readonly configDirectory: string;
  /** Whether Postfix runs, so that it has to be told. */
  readonly isRunning: boolean;
  /** Whether the policy service does not answer: then a Postfix that runs is not to be told. */
  readonly isServiceSilent: boolean;
  /** What runs of tlswarden; `units`: what systemd runs. */
  readonly daemons: 'units' | readonly Daemon[];
  /** Whether tables are to be written first: main.cf must not name what is not there. */
  readonly areTablesDue: boolean;
}

/** Makes command lines for a POSIX shell, run by root in any directory, in the order in which they are given. */
export class Mending {
  readonly #context: MendingContext;

  constructor(context: MendingContext) {
    // Whoever reads it may stand elsewhere.
    this.#context = { ...context, mainPath: resolve(context.mainPath) };
  }

  /** `tlswarden --config FILE …`. */
  tlswarden(...words: readonly string[]): string {
    const { mainPath } = this.#context;
    const config = mainPath === DEFAULT_PATH ? [] : ['--config', mainPath];
    return shellWords('tlswarden', ...config, ...words);
  }

  /** `postconf -c DIR …`. */
  postconf(...words: readonly string[]): string {
    return shellWords('postconf', ...this.#directory, ...words);
  }

  /** Compiles a table. */
  postmap(table: string): string {
    return shellWords('postmap', ...this.#directory, table);
  }

  /** Takes an entry out of a table that is compiled from a text; none for other tables. */
  withoutEntry(table: string, key: string): readonly string[] {
    const file = textOf(table);
    if (file === undefined) return [];
    const pattern = key.replaceAll(/[.*[\]^$\\/]/gu, '\\$&');
    return [shellWords('sed', '-i', `/^${pattern}[[:space:]]/Id`, file), ...this.#compile(table)];
  }

  /** Adds an entry for each key to such a table. */
  withEntries(table: string, keys: readonly string[], value: string): readonly string[] {
    const file = textOf(table);
    if (file === undefined) return [];
    const lines = shellWords(...keys.map((key) => `${key} ${value}`));
    return [`printf '%s\\n' ${lines} >> ${shellWords(file)}`, ...this.#compile(table)];
  }

  #compile(table: string): readonly string[] {
    const bare = table.replace(/^proxy:/u, '');
    return bare.startsWith('texthash:') ? this.reload : [this.postmap(bare)];
  }

  /** `postfix apply`, and what it does not do by itself: Postfix is told. */
  get apply(): readonly string[] {
    const { areTablesDue, isRunning, isServiceSilent } = this.#context;
    return [
      ...(isRunning && isServiceSilent ? this.startService : []),
      ...(areTablesDue ? [this.tlswarden('maps')] : []),
      this.tlswarden('postfix', 'apply', ...(isRunning ? ['--reload'] : [])),
    ];
  }

  /** Sets parameters of main.cf; undefined takes one out. */
  set(parameters: Readonly<Record<string, string | undefined>>): readonly string[] {
    const entries = Object.entries(parameters);
    const set = entries.flatMap(([name, value]) => (value === undefined ? [] : [`${name} = ${value}`.trimEnd()]));
    const taken = entries.flatMap(([name, value]) => (value === undefined ? [name] : []));
    return [
      ...(set.length > 0 ? [this.postconf('-e', ...set)] : []),
      ...(taken.length > 0 ? [this.postconf('-X', ...taken)] : []),
      ...this.reload,
    ];
  }

  /** Sets parameters where a service has them from: its own entry of master.cf, or main.cf. */
  setFor(service: MasterService, parameters: Readonly<Record<string, string>>): readonly string[] {
    const all = Object.entries(parameters);
    const own = all.filter(([name]) => service.raw.has(name));
    const main = all.filter(([name]) => !service.raw.has(name)).map(([name, value]) => `${name} = ${value}`.trimEnd());
    return [
      ...(main.length === 0 ? [] : [this.postconf('-e', ...main)]),
      ...this.override(service, Object.fromEntries(own)),
    ];
  }

  /** Sets parameters for one service alone. `postconf -P` takes no white space; `postconf -M` takes the whole entry. */
  override({ name, entry }: MasterService, parameters: Readonly<Record<string, string>>): readonly string[] {
    const all = Object.entries(parameters);
    if (all.length === 0) return [];
    if (all.some(([, value]) => /\s/u.test(value))) {
      return [this.postconf('-M', `${name} = ${withOptions(entry, new Map(all))}`)];
    }
    return [this.postconf('-P', ...all.map(([parameter, value]) => `${name}/${parameter}=${value}`))];
  }

  /** These commands, each once, and Postfix told at the end. */
  thenReload(commands: readonly string[]): readonly string[] {
    const given = [...new Set(commands)];
    return given.length === 0 || given.at(-1) === this.apply.at(-1) ? given : [...given, ...this.reload];
  }

  /** Tells Postfix to read its files again; nothing where it does not run. */
  get reload(): readonly string[] {
    return this.#context.isRunning ? [shellWords('postfix', ...this.#directory, 'reload')] : [];
  }

  /** Starts Postfix. */
  get start(): readonly string[] {
    return [shellWords('postfix', ...this.#directory, 'start')];
  }

  /** Starts the policy service, whether or not one runs. */
  get startService(): readonly string[] {
    const { daemons } = this.#context;
    const runs = daemons === 'units' || daemons.some(({ command }) => command.includes('serve'));
    return runs ? this.restart : [this.#inBackground(['serve'])];
  }

  /** Has the policy service and the table writer, where they run, read the main file, which they do at a start only. */
  get restart(): readonly string[] {
    const { daemons } = this.#context;
    if (daemons === 'units') {
      return ['systemctl restart tlswarden.socket tlswarden.service', 'systemctl try-restart tlswarden-maps.service'];
    }
    if (daemons.length === 0) return [];
    const pids = daemons.map(({ pid }) => pid);
    // The new ones need the addresses of those that end.
    const ended = pids.map((pid) => `tail --pid=${pid} -f /dev/null`);
    return [
      [`kill ${pids.join(' ')}`, ...ended].join(' && '),
      ...daemons.map(({ command }) => this.#inBackground(command)),
    ];
  }

  /** What {@link restart} cannot know. */
  get restartNote(): string {
    return this.#context.daemons === 'units'
      ? ''
      : ' Where a supervisor or a container keeps your daemons, have that start tlswarden anew instead.';
  }

  #inBackground(command: readonly string[]): string {
    return `${this.tlswarden(...command)} &`;
  }

  /** Sets a string of the main file, and has the service read it. */
  setInMainFile(section: string, key: string, value: string): readonly string[] {
    const { mainPath, mainText } = this.#context;
    const locator = new KeyLocator(mainText);
    const present = locator.find(undefined, `${section}.${key}`);
    const around = locator.find(undefined, section);
    // A key is written as its neighbours are: below a header, dotted, or in braces.
    const isInline = around?.kind === 'pair' && mainText.startsWith('{', around.valueStart);
    const hasHeader = around?.kind === 'table';
    if (isInline) return [this.#setInline(around, key, value), ...this.restart];
    const at = present ?? (hasHeader ? around : undefined);
    const line =
      present === undefined
        ? `${hasHeader ? key : `${section}.${key}`} = ${formatValue(value)}`
        : withValue(mainText, present, formatValue(value));
    // By what stands there, and at the top: the commands of other findings may have moved the lines.
    const place = at === undefined ? '1' : `/^${escaped(mainText.split('\n')[at.line - 1] ?? '', /[.*[\]^$\\/]/gu)}$/`;
    const edit =
      present === undefined
        ? `${hasHeader ? 'a' : 'i'} ${escaped(line, /\\/gu)}`
        : `s/.*/${escaped(line, /[\\/&]/gu)}/`;
    const isEmpty = mainText === '';
    const command = isEmpty
      ? `printf '%s\\n' ${shellWords(line)} >> ${shellWords(mainPath)}`
      : shellWords('sed', '-i', `${place}${edit}`, mainPath);
    return [command, ...this.restart];
  }

  /** `section = { … }`: found by what stands before the braces, and changed within, so that one change after another finds it. */
  #setInline({ start, valueStart }: Statement, key: string, value: string): string {
    const { mainPath, mainText } = this.#context;
    const opened = `^(${escaped(mainText.slice(start, valueStart + 1), /[.*+?()|{}[\]^$\\/]/gu)}`;
    const text = String.raw`("([^"\\]|\\.)*"|'[^']*')`;
    const before = `(([^"'}]|${text})*,)?[[:space:]]*["']?${key}["']?[[:space:]]*=[[:space:]]*`;
    const written = escaped(formatValue(value), /[\\/&]/gu);
    const edits = [
      `s/${opened}${before})${text}/\\1${written}/;t`,
      `s/${opened})[[:space:]]*\\}/\\1 ${key} = ${written} }/;t`,
      `s/${opened})[[:space:]]*/\\1 ${key} = ${written}, /`,
    ];
    return shellWords('sed', '-i', '-E', edits.join(';'), mainPath);
  }

  get #directory(): readonly string[] {
    const { configDirectory } = this.#context;
    return configDirectory === DEFAULT_CONFIG_DIRECTORY ? [] : ['-c', configDirectory];
  }
}

/** The text with a backslash before each of these characters. */
function escaped(text: string, characters: RegExp): string {
  return text.replaceAll(characters, '\\$&');
}

/** The line of a pair with another value: what stands before and behind it stays. */
function withValue(text: string, { start, valueStart, valueEnd, end }: Statement, value: string): string {
  return `${text.slice(start, valueStart)}${value}${text.slice(valueEnd, end)}`.replace(/\n$/u, '');
}

/** The text that a table is compiled from, or read as; undefined: none. */
export function textOf(table: string): string | undefined {
  return /^(?:hash|btree|lmdb|cdb|texthash):(.*)$/u.exec(table.replace(/^proxy:/u, ''))?.[1];
}
