/**
 * What any part of the program needs of a log to tell what has happened: a pino logger is one. Fields carry what varies, messages
 * are constants; neither ever holds bytes that a client sent.
 */

/** Fields are in snake_case, and values that JSON has. */
export interface EventLog {
  info(fields: object, message: string): void;
  /** Something that went wrong, and was coped with. */
  warn(fields: object, message: string): void;
  /** Something that somebody has to look at, or a bug in tlswarden. */
  error(fields: object, message: string): void;
}
