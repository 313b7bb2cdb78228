/**
 * The URL of Redis where it does not stand in the main file, since it holds a password: in the environment, in a file that
 * the environment names, or in a systemd credential. It reads; what it finds it neither checks nor shows.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A URL that nobody is to see. */
export interface UrlSecret {
  /** With its credentials, not checked. */
  readonly url: string;
  /** Where it was found, for complaints. */
  readonly place: string;
}

/** The URL that takes the place of the main file's, if there is one. */
export async function findUrlSecret(environment: NodeJS.ProcessEnv): Promise<UrlSecret | undefined> {
  const { TLSWARDEN_REDIS_URL, TLSWARDEN_REDIS_URL_FILE, CREDENTIALS_DIRECTORY } = environment;
  if (TLSWARDEN_REDIS_URL) return { url: TLSWARDEN_REDIS_URL.trim(), place: 'TLSWARDEN_REDIS_URL' };
  if (TLSWARDEN_REDIS_URL_FILE) {
    return { url: (await readFile(TLSWARDEN_REDIS_URL_FILE, 'utf8')).trim(), place: TLSWARDEN_REDIS_URL_FILE };
  }
  if (!CREDENTIALS_DIRECTORY) return undefined;
  const path = join(CREDENTIALS_DIRECTORY, 'redis-url');
  try {
    return { url: (await readFile(path, 'utf8')).trim(), place: path };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
