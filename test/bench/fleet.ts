/**
 * A fleet for the benchmark: any number of hosted domains with a mix of settings, the same for the same number. Written
 * once, and its tables too, for whoever measures something with it.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workspace } from '../harness/workspace.ts';

const DOMAINS_A_FILE = 1000;

/** What each of ten domains says, by the last digit of its number. */
export const KINDS = [
  'nothing',
  'nothing',
  'nothing',
  'nothing',
  'nothing',
  /** TLS of everyone, on both hops. */
  'receipt',
  /** TLS to it, whoever writes. */
  'delivery',
  'listed receipt',
  'listed delivery',
  /** TLS from it, to whomever it writes. */
  'outgoing',
] as const;
export type Kind = (typeof KINDS)[number];

export const domainName = (i: number): string => `c${i}.customer.example`;
export const nextHop = (i: number): string => `[mx${i % 997}.hosting.example]:25`;
export const kindOf = (i: number): Kind => KINDS[i % KINDS.length] as Kind;

/** The domain's settings as they stand in a file, `more` behind the name. */
export function settingsOf(i: number): string {
  const name = domainName(i);
  const head = `[domains."${name}"]\nnexthop = "${nextHop(i)}"\n`;
  const aliases = i % 4 === 0 ? `aliases = ["c${i}.alias.example"]\n` : '';
  const table = (path: string, ...lines: string[]): string => `[domains."${name}".${path}]\n${lines.join('\n')}\n`;
  const always = 'require_tls = "always"';
  const listed = ['require_tls = "specific"', 'senders = "*@bank.example, ceo@partner.example"'];
  switch (kindOf(i)) {
    case 'nothing':
      return `${head}${aliases}`;
    case 'receipt':
      return `${head}${aliases}${table('incoming.receipt', always)}${table('incoming.delivery', always)}`;
    case 'delivery':
      return `${head}${aliases}${table('incoming.delivery', always, 'level = "secure"')}`;
    case 'listed receipt':
      return `${head}${aliases}${table('incoming.receipt', ...listed, 'recipients = ["payroll", "legal"]')}`;
    case 'listed delivery':
      return `${head}${aliases}${table('incoming.delivery', ...listed, 'recipients = "payroll"')}`;
    case 'outgoing':
      return `${head}${aliases}${table('outgoing.delivery', always)}`;
  }
}

/** The settings of `count` domains, in a directory of their own. */
export class Fleet {
  readonly count: number;
  /** `1,000 domains` */
  readonly name: string;
  readonly domains: string;
  readonly #workspace: Workspace;
  #files = 0;

  private constructor(workspace: Workspace, count: number) {
    this.#workspace = workspace;
    this.count = count;
    this.name = `${count.toLocaleString('en')} domains`;
    this.domains = workspace.path(`fleet-${count}`, 'domains.d');
  }

  static async write(workspace: Workspace, count: number): Promise<Fleet> {
    const fleet = new Fleet(workspace, count);
    await mkdir(fleet.domains, { recursive: true });
    for (let from = 0; from < count; from += DOMAINS_A_FILE) {
      let text = '';
      for (let i = from; i < Math.min(count, from + DOMAINS_A_FILE); i++) text += settingsOf(i);
      await writeFile(fleet.fileOf(from), text);
    }
    return fleet;
  }

  /** The file in which this domain stands. */
  fileOf(i: number): string {
    return join(this.domains, `fleet-${i - (i % DOMAINS_A_FILE)}.toml`);
  }

  /**
   * Writes a main file for these settings; gives its path. `maps`: the maps directory; `type`: its tables'; `counts`: for the
   * report, as the service does under systemd.
   */
  async mainFile(
    options: { readonly port?: number; readonly maps?: string; readonly type?: string; readonly counts?: boolean } = {},
  ): Promise<string> {
    const { port = 10_040, maps, type = 'lmdb', counts = false } = options;
    this.#files += 1;
    return await this.#workspace.write(
      `fleet-${this.count}/tlswarden-${this.#files}.toml`,
      [
        `[server]\nlisten = ["127.0.0.1:${port}"]`,
        `[settings]\nsource = "${this.domains}"`,
        maps === undefined ? '' : `[maps]\ndirectory = "${maps}"\ntype = "${type}"`,
        counts ? `[report]\nstate = "${this.#workspace.path(`fleet-${this.count}`, `report-${this.#files}`)}"` : '',
        '',
      ].join('\n'),
    );
  }
}
