/**
 * main.cf and master.cf as bytes: read together, replaced each whole or not at all. What stands in them is not looked at.
 */
import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTemporaries, writeFilesAtomically } from '../files/replace-files.ts';

/** In the order in which apply replaces them: main.cf names what master.cf has. */
export const FILES = ['master.cf', 'main.cf'] as const;
/** Relative to Postfix's config_directory. */
export type FileName = (typeof FILES)[number];

/** The bytes of both. */
export type ConfigurationFiles = Readonly<Record<FileName, Buffer>>;
/** SHA-256 of both, in hexadecimal. */
export type Digests = Readonly<Record<FileName, string>>;

/** Something of both. */
export function eachFile<T>(of: (name: FileName) => T): Readonly<Record<FileName, T>> {
  return { 'master.cf': of('master.cf'), 'main.cf': of('main.cf') };
}

/** Rejects with the system's error if one of them cannot be read. */
export async function readConfigurationFiles(directory: string): Promise<ConfigurationFiles> {
  const [master, main] = await Promise.all(FILES.map((name) => readFile(join(directory, name))));
  return { 'master.cf': master as Buffer, 'main.cf': main as Buffer };
}

/** Replaces those that differ, in this order; owner, mode and symbolic links stay. */
export async function replaceConfigurationFiles(
  directory: string,
  from: ConfigurationFiles,
  to: ConfigurationFiles,
  order: readonly FileName[],
): Promise<void> {
  const changes = order
    .filter((name) => !from[name].equals(to[name]))
    .map((name) => ({
      path: join(directory, name),
      text: to[name],
    }));
  await writeFilesAtomically(changes, undefined);
}

/** Removes what a run that was killed has left beside the files. Only with the lock. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of FILES) await removeTemporaries(dirname(await realpath(join(directory, name))));
}

/** By which it is known later whether somebody else has changed one. */
export function digestsOf(files: ConfigurationFiles): Digests {
  return eachFile((name) => createHash('sha256').update(files[name]).digest('hex'));
}

/** Each file from before where it is now as a change has `left` it; one that somebody has changed since from `others`. */
export function takenBack(
  now: ConfigurationFiles,
  left: Digests,
  before: ConfigurationFiles,
  others: ConfigurationFiles,
): ConfigurationFiles {
  const digests = digestsOf(now);
  return eachFile((name) => (digests[name] === left[name] ? before : others)[name]);
}

/** Byte for byte. */
export function isSameFiles(a: ConfigurationFiles, b: ConfigurationFiles): boolean {
  return FILES.every((name) => a[name].equals(b[name]));
}
