/**
 * What the policy service needs of a log: a pino logger is one. Fields carry what varies, messages are constants;
 * neither ever holds bytes that a client sent.
 */

export interface ServiceLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
