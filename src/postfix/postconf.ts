/**
 * postconf(1): what a Postfix has in force, and the editing of its files. What is to be set is somebody else's.
 */
import { type Ended, runProgram } from '../process/run-program.ts';

/** postconf is missing or failed. */
export class PostconfError extends Error {
  readonly configDirectory: string;
  /** Without the place. */
  readonly reason: string;

  constructor(configDirectory: string, reason: string, options?: ErrorOptions) {
    super(`${configDirectory}: ${reason}`, options);
    this.name = 'PostconfError';
    this.configDirectory = configDirectory;
    this.reason = reason;
  }
}

/** A parameter's value with all `$name` in it expanded; '' if this Postfix has no parameter of that name. */
export async function parameterValue(configDirectory: string, name: string): Promise<string> {
  return (await postconf(configDirectory, ['-xh', name])).trim();
}

/** What a parameter is where no main.cf says otherwise. */
export async function parameterDefault(name: string): Promise<string> {
  return (await run(['-dh', name], 'postconf')).trim();
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

/** What main.cf itself sets; what is left to its default is absent, and so is what nothing in Postfix refers to. */
export async function setParameters(configDirectory: string): Promise<ReadonlyMap<string, string>> {
  return readAssignments(await postconf(configDirectory, ['-n']));
}

/** The entries of master.cf, by `name/type`, each in one line. */
export async function masterEntries(configDirectory: string): Promise<ReadonlyMap<string, string>> {
  const entries = new Map<string, string>();
  for (const line of (await postconf(configDirectory, ['-M'])).split('\n')) {
    const [name, type] = line.trim().split(/\s+/u);
    if (name !== undefined && type !== undefined) entries.set(`${name}/${type}`, line.trim());
  }
  return entries;
}

/** `name = value` lines, as all of postconf(1) prints them. */
export function readAssignments(text: string): ReadonlyMap<string, string> {
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

/** Runs postconf for one Postfix, and gives what it prints. Rejects with {@link PostconfError}. */
export function postconf(configDirectory: string, args: readonly string[]): Promise<string> {
  return run(['-c', configDirectory, ...args], configDirectory);
}

/** The parameters that stand in main.cf more than once, with different values: each program of Postfix warns of them. */
export async function repeatedParameters(configDirectory: string): Promise<readonly string[]> {
  const { stderr } = await runWhole(['-c', configDirectory, '-n'], configDirectory);
  const names = [...stderr.matchAll(/overriding earlier entry: ([^=\s]+)=/gu)].map(([, name = '']) => name);
  return [...new Set(names)].sort();
}

async function run(args: readonly string[], place: string): Promise<string> {
  return (await runWhole(args, place)).stdout;
}

async function runWhole(args: readonly string[], place: string): Promise<Ended> {
  const ended = await runProgram('postconf', args, {
    toError: (reason, options) => new PostconfError(place, reason, options),
  });
  if (ended.failure === undefined) return ended;
  throw new PostconfError(place, `postconf failed: ${ended.stderr.trim() || ended.failure}`);
}
