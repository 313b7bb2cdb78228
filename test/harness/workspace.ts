// A test's own place: a temporary folder, and a stack of things to put away at its end. Everything that a test starts is
// pushed here, so that nothing stays behind: not when the test fails, nor when its process gets SIGINT or SIGTERM, nor
// when it dies of an uncaught error. Never touches anything outside its folder.

import { rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The end of a test or of a suite, as node:test offers it. */
export interface Ending {
  after(put: () => Promise<void>): void;
}

/** Something to put away when the workspace ends. */
export interface Disposer {
  /** Puts it away. */
  readonly dispose: () => Promise<void> | void;
  /** Does what can be done at once, when the process ends without time to wait. */
  readonly abandon?: () => void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Those that are in use in this process. */
const live = new Set<Workspace>();

/** A temporary folder and what has to be put away with it. */
export class Workspace {
  /** The folder: root's, and readable by all, since Postfix reads in it as its own user. */
  readonly directory: string;
  readonly #disposers: Disposer[] = [];
  #ended: Promise<void> | undefined;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes a workspace that lasts until {@link Workspace.dispose}. */
  static async create(): Promise<Workspace> {
    const directory = await mkdtemp(join(tmpdir(), 'tlswarden-test-'));
    await chmod(directory, 0o755);
    const workspace = new Workspace(directory);
    if (live.size === 0) {
      for (const signal of signals) {
        process.once(signal, onSignal);
      }
      process.once('exit', onExit);
    }
    live.add(workspace);
    return workspace;
  }

  /** Makes a workspace that ends with a test: `await Workspace.of(t)`. */
  static async of(ending: Ending): Promise<Workspace> {
    const workspace = await Workspace.create();
    ending.after(() => workspace.dispose());
    return workspace;
  }

  /** A path in the folder. */
  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Writes a file in the folder, making the folders on the way, and gives its path. */
  async write(name: string, text: string | Uint8Array): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Writes a program, a shell script of these commands, and gives the folder to put before others in PATH. */
  async program(name: string, commands: string): Promise<string> {
    const path = await this.write(join('programs', name), `#!/bin/sh\n${commands}\n`);
    await chmod(path, 0o755);
    return dirname(path);
  }

  /** Has something put away at the end; what was pushed last goes first. */
  push(disposer: Disposer): void {
    this.#disposers.push(disposer);
  }

  /** Puts everything away and removes the folder. Goes on after an error, and throws the errors in the end. */
  async dispose(): Promise<void> {
    this.#ended ??= this.#dispose();
    await this.#ended;
  }

  async #dispose(): Promise<void> {
    const errors: unknown[] = [];
    for (let next = this.#disposers.pop(); next !== undefined; next = this.#disposers.pop()) {
      try {
        await next.dispose();
      } catch (error) {
        errors.push(error);
        next.abandon?.();
      }
    }
    await rm(this.directory, { recursive: true, force: true });
    live.delete(this);
    if (live.size === 0) {
      for (const signal of signals) {
        process.removeListener(signal, onSignal);
      }
      process.removeListener('exit', onExit);
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, 'not everything could be put away');
    }
  }

  /** Puts away what can be put away without waiting. */
  abandon(): void {
    for (let next = this.#disposers.pop(); next !== undefined; next = this.#disposers.pop()) {
      try {
        next.abandon?.();
      } catch {
        // The process is ending: the others still have to be put away.
      }
    }
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  }
}

/** Puts everything away, then lets the signal do what it would have done. */
function onSignal(signal: NodeJS.Signals): void {
  void Promise.allSettled([...live].map((workspace) => workspace.dispose())).then(() => {
    process.kill(process.pid, signal);
  });
}

function onExit(): void {
  for (const workspace of live) {
    workspace.abandon();
  }
}
