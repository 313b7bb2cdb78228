// A host whose Postfix is to be told, or is told, of tlswarden: a configuration that `postfix check` is content with, tables,
// and the program. Postfix does not run here, and neither does the service.

import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tablesOptions } from '../../src/commands/maps.ts';
import { readMainFile } from '../../src/main-file/main-file.ts';
import { loadSettings } from '../../src/main-file/open-source.ts';
import { writeTables } from '../../src/tables/write-tables.ts';
import { attempt, type CommandResult, run } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import { Postfix, type PostfixOptions } from '../harness/postfix.ts';
import { type Ending, Workspace } from '../harness/workspace.ts';

/** One domain whose mail goes by `tlswarden-encrypt`. */
const SETTINGS = `[domains."a.example"]
nexthop = "[mx.a.example]:25"
[domains."a.example".incoming.receipt]
require_tls = "always"
[domains."a.example".incoming.delivery]
require_tls = "always"
`;

/** What `--json postfix apply` and `revert` print. */
export interface Told {
  readonly changed: boolean;
  readonly 'main.cf': readonly {
    readonly parameter: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  readonly 'master.cf': readonly {
    readonly service: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  readonly overrides: readonly { readonly service: string; readonly parameter: string; readonly to: string }[];
  readonly notes: readonly string[];
  readonly backup: string | null;
  readonly reload: string;
  readonly queued: readonly { readonly id: string; readonly transport: string }[];
}

export class Host {
  readonly workspace: Workspace;
  readonly postfix: Postfix;
  readonly config: string;
  #programs = '';

  private constructor(workspace: Workspace, postfix: Postfix) {
    this.workspace = workspace;
    this.postfix = postfix;
    this.config = workspace.path('tlswarden.toml');
  }

  static async of(ending: Ending, options: PostfixOptions = {}): Promise<Host> {
    const workspace = await Workspace.of(ending);
    const host = new Host(workspace, await Postfix.create(workspace, options));
    // Each Postfix program waits until main.cf looks two seconds old.
    const age = 'touch -d "1 minute ago" "$2/main.cf"';
    host.#programs = await workspace.program('postfix', `${age} && PATH=\${PATH#*:} exec postfix "$@"`);
    await mkdir(workspace.path('domains.d'));
    await host.settings(SETTINGS);
    await host.mainFile();
    await host.writeTables();
    return host;
  }

  async settings(text: string): Promise<void> {
    await writeFile(this.workspace.path('domains.d', 'a.toml'), text);
  }

  async mainFile({ listen = '127.0.0.1:10040', maps = 'maps' as string | null } = {}): Promise<void> {
    const tables = maps === null ? '' : `[maps]\ndirectory = "${maps}"\ntype = "lmdb"\n`;
    const postfix = `[postfix]\nconfig_directory = "${this.postfix.configDirectory}"\n`;
    await writeFile(this.config, `[server]\nlisten = ["${listen}"]\n${tables}${postfix}`);
  }

  async writeTables(): Promise<void> {
    const main = await readMainFile(this.config);
    await writeTables(await loadSettings(main), await tablesOptions(main));
  }

  /** The maps directory as main.cf names it. */
  get tables(): string {
    return this.workspace.path('maps', 'current');
  }

  async run(...args: readonly string[]): Promise<string> {
    return await run(process.execPath, [MAIN, '--config', this.config, ...args], { env: this.#env });
  }

  /** Runs the program, whatever its exit status: by a program that runs others, if one is named. */
  async attempt(
    args: readonly string[],
    { through = [] }: { readonly through?: readonly string[] } = {},
  ): Promise<CommandResult> {
    const [first = '', ...rest] = [...through, process.execPath, MAIN, '--config', this.config, ...args];
    return await attempt(first, rest, { env: this.#env });
  }

  get #env(): Readonly<Record<string, string>> {
    return { PATH: `${this.#programs}:${process.env['PATH']}` };
  }

  async told(command: 'apply' | 'revert', ...flags: readonly string[]): Promise<Told> {
    return JSON.parse(await this.run('--json', 'postfix', command, ...flags)) as Told;
  }

  /** main.cf and master.cf, and when each was written. */
  async files(): Promise<{ readonly main: string; readonly master: string; readonly times: readonly number[] }> {
    const { mainFile, masterFile } = this.postfix;
    const [main, master] = await Promise.all([mainFile, masterFile].map((file) => readFile(file, 'utf8')));
    const times = await Promise.all([mainFile, masterFile].map(async (file) => (await stat(file)).mtimeMs));
    return { main: main as string, master: master as string, times };
  }

  /** Replaces main.cf, master.cf or both. Postfix programs wait while main.cf looks new. */
  async write(files: { readonly main?: string; readonly master?: string }): Promise<void> {
    if (files.main !== undefined) await writeFile(this.postfix.mainFile, files.main);
    if (files.master !== undefined) await writeFile(this.postfix.masterFile, files.master);
    const old = Date.now() / 1000 - 60;
    for (const file of [this.postfix.mainFile, this.postfix.masterFile]) await utimes(file, old, old);
  }

  /** What main.cf says of where this Postfix lies: to be added to another main.cf. */
  async places(): Promise<string> {
    const { main } = await this.files();
    return main
      .split('\n')
      .filter((line) =>
        /^(?:queue_directory|data_directory|maillog_file|maillog_file_prefixes|inet_|my|smtp_bind)/u.test(line),
      )
      .concat('')
      .join('\n');
  }

  /** The value of a parameter, or the options of a service, as Postfix reads them. */
  async value(...args: readonly string[]): Promise<string> {
    return (await this.postfix.postconf(...args)).trim();
  }

  backup(...parts: readonly string[]): string {
    return join(this.postfix.configDirectory, 'tlswarden-backup', ...parts);
  }
}
