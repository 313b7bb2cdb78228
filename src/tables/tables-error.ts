/**
 * What keeps tables from being written or read, as a value with its place; the edge words and exits. The set in force is
 * never touched by whatever ends in one of these, except where `kind` is `reload`.
 */

/**
 * - directory: the maps directory is missing, no directory, or not ours to use.
 * - type: a table type that this program cannot compile for.
 * - lock: flock(1) is missing or failed.
 * - withheld: they hold a domain whose settings nobody knows now.
 * - write: a file could not be written (full disk, read-only, …).
 * - postmap: postmap(1) is missing or failed.
 * - reload: the tables are in place, but Postfix could not be told.
 */
export type TablesTrouble = 'directory' | 'type' | 'lock' | 'withheld' | 'write' | 'postmap' | 'reload';

/** The message is the file, a colon, and a sentence without a full stop. */
export class TablesError extends Error {
  readonly kind: TablesTrouble;
  /** The file or directory concerned. */
  readonly file: string;

  constructor(kind: TablesTrouble, file: string, message: string, cause?: unknown) {
    super(`${file}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = 'TablesError';
    this.kind = kind;
    this.file = file;
  }
}

/** The sentence for an error of the operating system. */
export function wordSystemError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space left';
    case 'EFBIG':
      return 'the file grows beyond the limit on file sizes';
    case 'EROFS':
      return 'the file system is read-only';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOENT':
      return 'does not exist';
    case 'ENOTDIR':
      return 'is not a directory';
    default:
      return message;
  }
}

/** The error's code, if the operating system gave one. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
