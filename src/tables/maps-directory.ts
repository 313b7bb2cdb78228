/**
 * The maps directory as it lies on the disk. A generation is a directory of its own with all texts and all compiled
 * tables; `current` is a symbolic link to the one in force, and main.cf's names go through it. So one rename moves all
 * tables together: were they renamed one by one, a crash could leave a domain in neither of two.
 */
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readdir, readFile, readlink, rename, rm, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DomainName } from '../address/domain-name.ts';
import { sync } from '../files/bring-to-disk.ts';
import { putInPlace } from '../files/replace-file.ts';
import type { Transport } from '../route/transport.ts';
import { readDigest } from './domains-file.ts';
import { CURRENT_LINK, DOMAINS_FILE, parseStamp, type Stamp, stampFile } from './stamp.ts';
import { transportOfTable } from './table.ts';
import { errorCode, TablesError, wordSystemError } from './tables-error.ts';

const GENERATION_PREFIX = '.generation-';
/** Where the next generation is built, by whoever has the lock. */
export const BUILDING = '.building';
/** Held by the one writer; it stays. */
export const LOCK_FILE = '.lock';
const NEW_CURRENT = '.current.new';
/** What stamp.json is before it is whole. */
export const NEW_STAMP = '.stamp.new';

/**
 * `maps.directory`. What cannot be read of the set in force counts as not there; other trouble is a
 * {@link TablesError}.
 */
export class MapsDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** A path in it. */
  file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** Makes the directory if only its last part is missing: more would rather be a mistake in the main file. */
  async ensure(): Promise<void> {
    try {
      await mkdir(this.path, 0o755);
      // Under a umask of 077 the service, which is somebody else, would not find the stamp.
      await chmod(this.path, 0o755);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') {
        throw new TablesError('directory', this.path, 'cannot be made: the directory above it does not exist', error);
      }
      if (errorCode(error) !== 'EEXIST') throw new TablesError('directory', this.path, wordSystemError(error), error);
    }
    await this.entries();
  }

  /** The names in it, '.' and '..' not among them. */
  async entries(): Promise<readonly string[]> {
    try {
      return await readdir(this.path);
    } catch (error) {
      throw new TablesError('directory', this.path, wordSystemError(error), error);
    }
  }

  /** The generation in force, if any: its directory's name. */
  async current(): Promise<string | undefined> {
    const target = await linkTarget(this.file(CURRENT_LINK));
    return target?.startsWith(GENERATION_PREFIX) && !target.includes('/') ? target : undefined;
  }

  /** undefined: there is none, or none that proves anything. */
  async stamp(): Promise<Stamp | undefined> {
    const text = await readFile(stampFile(this.path), 'utf8').catch(() => '');
    return parseStamp(text);
  }

  /** The policies that have a table in force, to which master.cf may refer: none of them ever vanishes. */
  async policiesKept(): Promise<readonly Transport[]> {
    const names = await readdir(this.file(CURRENT_LINK)).catch((): string[] => []);
    return names.map(transportOfTable).filter((transport) => transport !== undefined);
  }

  /**
   * What the tables of a generation, or of {@link CURRENT_LINK}, hold by domain; read in pieces, so nobody waits. Rejects with
   * the system's error if they are gone.
   */
  async digests(generation: string): Promise<ReadonlyMap<DomainName, number>> {
    const digests = new Map<DomainName, number>();
    let rest = '';
    for await (const part of createReadStream(this.file(generation, DOMAINS_FILE), { encoding: 'utf8' })) {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) readDigest(line, digests);
    }
    return digests;
  }

  /** Removes what a writer left that did not come to its end. Only with the lock. */
  async clean(): Promise<void> {
    const current = await this.current();
    for (const name of await this.entries()) {
      const isLeft = name === BUILDING || name === NEW_CURRENT || name === NEW_STAMP;
      if (isLeft || (name.startsWith(GENERATION_PREFIX) && name !== current)) await removeTree(this.file(name));
    }
  }

  /**
   * Puts what was built in force by one rename. The stamp goes first, so that none stands beside tables that it does not
   * describe; the old generations go last, since their end is what tells Postfix that its tables have changed.
   */
  async swap(generation: string): Promise<void> {
    const name = await this.#freeName(generation);
    await rename(this.file(BUILDING), this.file(name));
    await symlink(name, this.file(NEW_CURRENT));
    await sync(this.path);
    await unlinkIfThere(stampFile(this.path));
    await sync(this.path);
    await putInPlace(this.file(NEW_CURRENT), this.file(CURRENT_LINK));
    await this.clean();
  }

  /** A name for a generation that is not the one in force, also where that has the same content and has to be mended. */
  async #freeName(generation: string): Promise<string> {
    const plain = `${GENERATION_PREFIX}${generation}`;
    return (await this.current()) === plain ? `${plain}.1` : plain;
  }
}

/** The content that a generation's name stands for; `.1` marks a second generation of the same content. */
export function contentOf(generation: string): string {
  return generation.slice(GENERATION_PREFIX.length).replace(/\.1$/u, '');
}

/** Where a symbolic link leads; undefined if there is none. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch {
    return undefined;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
}

/** Removes a file or a directory with all that is in it, also while a killed writer's postmap(1) still writes there. */
async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
