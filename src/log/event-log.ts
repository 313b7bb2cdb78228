/**
 * What any part of the program needs of a log to tell what has happened: a pino logger is one. Fields carry what varies, messages
 * are constants; neither ever holds bytes that a client sent.
 */

export interface EventLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
