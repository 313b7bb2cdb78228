// A maps directory in a workspace, with a Postfix configuration that postmap takes, and looks at what lies there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../src/settings/settings.ts';
import type { TablesOptions } from '../../src/tables/check-tables.ts';
import { tablePath } from '../../src/tables/stamp.ts';
import { writeTables } from '../../src/tables/write-tables.ts';
import { compile } from '../decision/core.ts';
import { groupId, userId } from '../harness/account.ts';
import { run } from '../harness/command.ts';
import type { Writer } from '../harness/crash-points.ts';
import { type Ending, Workspace } from '../harness/workspace.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { texts } from './postfix-lookups.ts';
import type { Job, Outcome } from './write-process.ts';

const writeProcess = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'write-process.ts' : 'write-process.js', import.meta.url),
);

export class MapsSite {
  readonly workspace: Workspace;
  readonly options: TablesOptions;
  /** Programs that take the place of Postfix's. */
  readonly #bin: string;
  #jobs = 0;

  private constructor(workspace: Workspace, options: TablesOptions, bin: string) {
    this.workspace = workspace;
    this.options = options;
    this.#bin = bin;
  }

  static async of(ending: Ending, type = 'texthash'): Promise<MapsSite> {
    const workspace = await Workspace.of(ending);
    const parameters = [
      'compatibility_level = 3.6',
      'myhostname = tables.test',
      `queue_directory = ${workspace.path('queue')}`,
      `data_directory = ${workspace.path('data')}`,
    ];
    const main = await workspace.write('config/main.cf', `${parameters.join('\n')}\n`);
    // Postfix programs wait until main.cf has not changed for a while.
    await utimes(main, 1_000_000_000, 1_000_000_000);
    await workspace.write('config/master.cf', '');
    await mkdir(workspace.path('queue', 'pid'), { recursive: true });
    await mkdir(workspace.path('data'));
    await chown(workspace.path('data'), userId('postfix'), groupId('postfix'));
    const options = {
      directory: workspace.path('maps'),
      type,
      configDirectory: workspace.path('config'),
      exemptClients: ['127.0.0.0/8'],
    };
    const site = new MapsSite(workspace, options, workspace.path('bin'));
    await mkdir(site.#bin);
    return site;
  }

  /** Has a shell script run instead of a program. */
  async program(name: string, script: string): Promise<void> {
    await chmod(await this.workspace.write(`bin/${name}`, `#!/bin/sh\n${script}\n`), 0o755);
  }

  /** Stands in for a running master(8): holds its lock, and counts each SIGHUP that it gets. */
  async running(): Promise<void> {
    const script = `exec 9>>"$1" && flock 9 && trap 'echo reload >> "$2"' HUP && echo $$ > "$1" && echo running
      while :; do sleep 0.1 9>&-; done`;
    const files = [this.workspace.path('queue', 'pid', 'master.pid'), this.workspace.path('told')];
    const child = spawn('sh', ['-c', script, 'master', ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
    const kill = (): void => void child.kill('SIGKILL');
    this.workspace.push({ dispose: kill, abandon: kill });
    await once(child.stdout, 'data');
  }

  /** How often the stand-in was told to reload. */
  async told(): Promise<number> {
    const text = await readFile(this.workspace.path('told'), 'utf8').catch(() => '');
    return text.split('\n').length - 1;
  }

  get path(): string {
    return `${this.#bin}:${process.env['PATH'] ?? ''}`;
  }

  file(...names: string[]): string {
    return join(this.options.directory, ...names);
  }

  /** Writes the tables in this process. */
  async write(raw: RawSettings, options: Partial<TablesOptions> = {}): Promise<boolean> {
    const { changed } = await writeTables(compile(raw).settings, { ...this.options, ...options });
    return changed;
  }

  /** A writer of its own, to be started by others. */
  async writer(job: Omit<Job, 'options'>): Promise<Writer> {
    const text = JSON.stringify({ ...job, options: this.options } satisfies Job);
    const file = await this.workspace.write(`job-${++this.#jobs}`, text);
    return { command: [writeProcess, file], env: { PATH: this.path } };
  }

  /** Starts a writer of its own; resolves with what it said when it has ended. */
  async process(
    job: Omit<Job, 'options'>,
    before: readonly string[] = [],
  ): Promise<{ outcomes: Outcome[]; killed: boolean }> {
    const { command } = await this.writer(job);
    const [program = '', ...args] = [...before, process.execPath, ...command];
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PATH: this.path },
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      said += piece;
    });
    const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    const lines = said.split('\n').filter((line) => line !== '');
    return { outcomes: lines.map((line) => JSON.parse(line) as Outcome), killed: signal === 'SIGKILL' };
  }

  /** Which of these settings the tables in force are those of; undefined: no tables. Fails on a mixture. */
  inForce(all: readonly RawSettings[]): number | undefined {
    let current: string;
    try {
      current = readlinkSync(this.file('current'));
    } catch {
      return undefined;
    }
    const found = all.findIndex((raw) => this.#isSetOf(current, compile(raw).settings));
    assert.notEqual(found, -1, 'the tables in force are those of no settings');
    return found;
  }

  #isSetOf(current: string, settings: Settings): boolean {
    return [...texts(settings, this.options.exemptClients)].every(([name, lines]) => {
      const text = readFileSync(this.file(current, name), 'utf8').split('\n').slice(1, -1);
      return text.length === lines.length && text.every((line, i) => line === lines[i]);
    });
  }

  /** Everything that lies in the directory, with what would show that it was touched. */
  snapshot(): readonly string[] {
    const seen: string[] = [];
    const walk = (path: string): void => {
      for (const name of readdirSync(join(this.options.directory, path)).sort()) {
        const file = join(path, name);
        const { ino, mtimeMs, ctimeMs, size, mode } = lstatSync(this.file(file));
        seen.push(`${file} ${ino} ${mtimeMs} ${ctimeMs} ${size} ${mode}`);
        if (lstatSync(this.file(file)).isDirectory()) walk(file);
      }
    };
    const { mtimeMs } = lstatSync(this.options.directory);
    walk('');
    return [`. ${mtimeMs}`, ...seen];
  }

  /** What postmap finds under a key in a table, by main.cf's name for it; undefined: nothing. */
  async query(table: string, key: string): Promise<string | undefined> {
    const { configDirectory, type } = this.options;
    return run('postmap', [
      '-c',
      configDirectory,
      '-q',
      key,
      `${type}:${tablePath(this.options.directory, table)}`,
    ]).then(
      (text) => text.trimEnd(),
      () => undefined,
    );
  }
}
