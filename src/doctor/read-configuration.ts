/**
 * Reads main.cf and master.cf whole, by postconf(1), and the file that myorigin may name. It reads nothing else and writes nothing.
 */
import { readFile } from 'node:fs/promises';
import { masterEntries, postconf, readAssignments, repeatedParameters } from '../postfix/postconf.ts';
import { type MasterService, PostfixConfiguration } from './postfix-configuration.ts';

/** Rejects with a PostconfError. */
export async function readConfiguration(directory: string): Promise<PostfixConfiguration> {
  const read = async (...options: readonly string[]): Promise<ReadonlyMap<string, string>> =>
    readAssignments(await postconf(directory, options));
  const [raw, expanded, fields, rawOptions, expandedOptions, entries, repeated] = await Promise.all([
    read(),
    read('-x'),
    read('-F'),
    read('-P'),
    read('-Px'),
    masterEntries(directory),
    repeatedParameters(directory),
  ]);
  const origin = await originOf(expanded.get('myorigin') ?? '');
  // What master.cf leaves open ("-") meant a chroot once (COMPATIBILITY_README).
  const chrooted = Number.parseFloat(expanded.get('compatibility_level') ?? '') < 1 ? ['y', '-'] : ['y'];
  const services: MasterService[] = [];
  for (const [field, command] of fields) {
    const name = /^(.*)\/command$/u.exec(field)?.[1];
    if (name === undefined) continue;
    services.push({
      name,
      entry: entries.get(name) ?? '',
      program: command.split(/\s/u, 1)[0] ?? '',
      isChrooted: chrooted.includes(fields.get(`${name}/chroot`) ?? ''),
      raw: optionsOf(name, rawOptions),
      expanded: optionsOf(name, expandedOptions),
    });
  }
  return new PostfixConfiguration({
    directory,
    raw,
    expanded: new Map([...expanded, ['myorigin', origin]]),
    services,
    repeated,
  });
}

/** Debian's Postfix takes the domain from the first line of a file, if myorigin is a path. */
async function originOf(value: string): Promise<string> {
  if (!value.startsWith('/')) return value;
  const text = await readFile(value, 'utf8').catch(() => '');
  return text.split('\n', 1)[0]?.trim() ?? '';
}

function optionsOf(service: string, all: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const prefix = `${service}/`;
  return new Map(
    [...all].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]),
  );
}
