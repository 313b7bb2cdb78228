/**
 * postconf(1): what a Postfix has in force. It reads only; what is to be set is somebody else's.
 */
import { execFile } from 'node:child_process';

/** postconf is missing or failed. */
export class PostconfError extends Error {
  readonly configDirectory: string;

  constructor(configDirectory: string, message: string, cause: unknown) {
    super(`${configDirectory}: ${message}`, { cause });
    this.name = 'PostconfError';
    this.configDirectory = configDirectory;
  }
}

/** A parameter's value with all `$name` in it expanded; '' if this Postfix has no parameter of that name. */
export async function parameterValue(configDirectory: string, name: string): Promise<string> {
  return (await postconf(configDirectory, ['-xh', name])).trim();
}

/** Values of parameters as main.cf has them, `$name` and all; a parameter that this Postfix does not know is absent. */
export async function parameters(
  configDirectory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  return readAssignments(await postconf(configDirectory, names));
}

/** The same with every `$name` expanded. */
export async function expandedParameters(
  configDirectory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  return readAssignments(await postconf(configDirectory, ['-x', ...names]));
}

function readAssignments(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) values.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  return values;
}

/** What services of master.cf set for themselves, by `service/type/parameter`. */
export async function overridesOf(
  configDirectory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const all = readAssignments(await postconf(configDirectory, ['-P']));
  return new Map([...all].filter(([name]) => names.includes(name.slice(name.lastIndexOf('/') + 1))));
}

/** The type of table that this Postfix prefers. */
export function defaultDatabaseType(configDirectory: string): Promise<string> {
  return parameterValue(configDirectory, 'default_database_type');
}

function postconf(configDirectory: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('postconf', ['-c', configDirectory, ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else {
        const missing = error.code === 'ENOENT' ? 'postconf was not found in PATH' : undefined;
        reject(new PostconfError(configDirectory, missing ?? `postconf failed: ${stderr.trim()}`, error));
      }
    });
  });
}
