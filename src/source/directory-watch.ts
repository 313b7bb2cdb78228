/**
 * Tells when something in the settings directory may have changed: by what the system says at once, and by a look every second,
 * which sees what the system does not say. It reads no file.
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename, join } from 'node:path';
import { stateOrNone, wordState } from '../files/file-state.ts';
import { Burst } from './burst.ts';

/** How long it must be quiet before changes are told, and how long that is waited for: a file may be written in parts. */
const QUIET_MS = 50;
const MOST_MS = 400;
const POLL_MS = 1000;

/** What changes when something has changed, as far as a look at the directory and at what links lead to can tell. */
interface Look {
  readonly inode: bigint;
  readonly content: string;
  readonly links: string;
}

/** It watches from the moment that it is made. */
export class DirectoryWatch {
  readonly #path: string;
  readonly #links: () => readonly string[];
  readonly #changed: Burst;
  readonly #poll: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #isHeard = false;
  #isStopped = false;

  /** `links`: the names of files that are symbolic links. `changed` is called once for a burst. */
  constructor(path: string, links: () => readonly string[], changed: () => void) {
    this.#path = path;
    this.#links = links;
    this.#changed = new Burst(QUIET_MS, MOST_MS, changed);
    this.#open();
    let last = this.#look();
    this.#poll = setInterval(async () => {
      const before = await last;
      last = this.#look();
      this.#compare(before, await last);
    }, POLL_MS).unref();
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#isStopped = true;
    this.#watcher?.close();
    clearInterval(this.#poll);
    this.#changed.stop();
  }

  #open(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#isStopped) return;
    try {
      const watcher = watch(this.#path, { persistent: false }, (_, name) => this.#hear(name));
      watcher.on('error', () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch {
      // Out of inotify watches, or no such directory just now: the poll goes on looking.
    }
  }

  #hear(name: string | null): void {
    this.#isHeard = true;
    // Of the directory itself: it may be gone, and one that is made at once may have its inode.
    if (name === basename(this.#path)) this.#open();
    if (!this.#isStopped) this.#changed.tell();
  }

  #compare(before: Look, now: Look): void {
    if (this.#isStopped) return;
    // The directory may be another one under the same name: watch that.
    const isUnwatched = this.#watcher === undefined || now.inode !== before.inode;
    if (isUnwatched) this.#open();
    const isMissed = now.content !== before.content && !this.#isHeard;
    // What links lead to is watched by nobody: that something else was heard says nothing of it.
    if (isUnwatched || isMissed || now.links !== before.links) this.#changed.tell();
    this.#isHeard = false;
  }

  async #look(): Promise<Look> {
    const state = await stateOrNone(this.#path);
    const links = await Promise.all(
      this.#links().map(async (name) => wordState(await stateOrNone(join(this.#path, name)))),
    );
    return { inode: state.inode, content: wordState(state), links: links.join('\n') };
  }
}
