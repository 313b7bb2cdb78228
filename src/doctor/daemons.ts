/**
 * tlswarden's own processes that stay, the service and the table writer, where no systemd knows them: which of them run by a
 * main file, as proc(5) tells. It looks, and signals nobody.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { DEFAULT_PATH } from '../main-file/main-file.ts';

/** A process of tlswarden's that stays. */
export interface Daemon {
  readonly pid: number;
  /** The words of the command: `serve`, or `maps --watch`. */
  readonly command: readonly string[];
}

const COMMANDS = [['serve'], ['maps', '--watch']] as const;

/** What has them run: the units of systemd, or, where there is none, the processes themselves. */
export async function whatRuns(mainPath: string): Promise<'units' | readonly Daemon[]> {
  return existsSync('/run/systemd/system') ? 'units' : await readDaemons(mainPath);
}

/** Those of `mainPath`. A process of another user is seen only where it names the main file by an absolute path, or not at all. */
async function readDaemons(mainPath: string): Promise<readonly Daemon[]> {
  const found: Daemon[] = [];
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/u.test(pid)) continue;
    const words = (await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')).split('\0');
    const args = argumentsOf(words);
    const command = COMMANDS.find((all) => all.every((word) => args.includes(word)));
    if (command === undefined) continue;
    if ((await mainFileOf(join('/proc', pid), args)) === resolve(mainPath)) found.push({ pid: Number(pid), command });
  }
  return found;
}

/** What the program was given; nothing for another program. node(1) has a script's path in front of it. */
function argumentsOf([program = '', script = '', ...rest]: readonly string[]): readonly string[] {
  const isOurs = basename(program).startsWith('node') && ['main.js', 'tlswarden'].includes(basename(script));
  return isOurs ? rest : [];
}

async function mainFileOf(process: string, args: readonly string[]): Promise<string | undefined> {
  const at = args.indexOf('--config');
  const given = at < 0 ? args.find((word) => word.startsWith('--config='))?.slice('--config='.length) : args[at + 1];
  const path = given ?? (await variable(process, 'TLSWARDEN_CONFIG')) ?? DEFAULT_PATH;
  const directory = await readlink(join(process, 'cwd')).catch(() => undefined);
  return directory === undefined ? path : resolve(directory, path);
}

async function variable(process: string, name: string): Promise<string | undefined> {
  const all = (await readFile(join(process, 'environ'), 'utf8').catch(() => '')).split('\0');
  return all.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}
