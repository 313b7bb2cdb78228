/**
 * The built program in a test: run as a process of its own, with a main file and settings directory of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../harness/main.ts';

/** The program on a terminal of 120 columns: its exit status, and all that is shown. */
export async function onTerminal(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly status: number | null; readonly shown: string }> {
  const command = `stty columns 120 && exec ${[process.execPath, MAIN, ...args].join(' ')}`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await once(child, 'close');
  return { status: child.exitCode, shown };
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Program {
  readonly directory: string;
  readonly config: string;
  readonly settings: string;

  constructor(test: { after(body: () => void): void }, files: Readonly<Record<string, string>> = {}, main = '') {
    this.directory = mkdtempSync(join(tmpdir(), 'tlswarden-program-'));
    test.after(() => rmSync(this.directory, { recursive: true, force: true }));
    this.config = join(this.directory, 'tlswarden.toml');
    this.settings = join(this.directory, 'domains.d');
    mkdirSync(this.settings);
    writeFileSync(this.config, main);
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.settings, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.settings, name), 'utf8');
  }

  names(): readonly string[] {
    return readdirSync(this.settings)
      .filter((name) => !name.startsWith('.tlswarden.lock'))
      .sort();
  }

  start(args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, TLSWARDEN_CONFIG: this.config } });
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], input = ''): Promise<Result> {
    const child = this.start(args);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, stdout, stderr };
  }
}
