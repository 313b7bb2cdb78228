/**
 * Prints the copyright file of the Debian package, in the machine-readable format 1.0: tlswarden's own licence, and those of the
 * modules that come with it, as the modules have them. A module whose licence is not known here is an error.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Licences that may be given away; with the place of the text on every Debian system, if it is there. */
const LICENSES: Readonly<Record<string, string | undefined>> = {
  MIT: undefined,
  ISC: undefined,
  'BSD-3-Clause': undefined,
  'Apache-2.0': '/usr/share/common-licenses/Apache-2.0',
};

const [repository = '.', modules = '.'] = process.argv.slice(2);

/** What a module says of its authors: text, or a table. */
type Person = string | { readonly name: string; readonly email?: string } | undefined;

/** The stanza of the files of one package. */
function stanza(files: string, directory: string): string {
  const { name, license, author } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly license: string;
    readonly author: Person;
  };
  if (!Object.hasOwn(LICENSES, license)) throw new Error(`${name} has the licence ${license}: may it be given away?`);
  const file = readdirSync(directory).find((entry) => /^licen[cs]e(?:\.md|\.txt)?$/iu.test(entry));
  const text = file === undefined ? '' : readFileSync(join(directory, file), 'utf8');
  const holders = (text.match(/^ *Copyright (?:\(c\) .*|.*\d{4}.*)$/gmu) ?? []).map((line) =>
    line.replace(/^ *Copyright (?:\(c\) )?/iu, ''),
  );
  const authors = holders.length > 0 ? holders : [wordPerson(author, name)];
  const place = LICENSES[license];
  const terms =
    place === undefined ? termsOf(text, name) : `On Debian systems the text of this licence is in ${place}.`;
  const lines = terms.split('\n').map((line) => (line.trim() === '' ? ' .' : ` ${line.trim()}`));
  return [`Files: ${files}`, `Copyright: ${authors.join('\n           ')}`, `License: ${license}`, ...lines].join('\n');
}

/** A licence without its heading and its holders, who are told before it. */
function termsOf(text: string, name: string): string {
  const from = text.search(/^(?:Permission|Redistribution) /mu);
  if (from === -1) throw new Error(`${name} has no text of its licence`);
  return text.slice(from).trim();
}

function wordPerson(person: Person, name: string): string {
  if (person === undefined) return `the authors of ${name}`;
  if (typeof person === 'string') return person;
  return person.email === undefined ? person.name : `${person.name} <${person.email}>`;
}

/** The folders of the modules, those of scopes too, relative to `modules`. */
function moduleFolders(): readonly string[] {
  return readdirSync(modules)
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
    )
    .sort();
}

const all = [
  'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: tlswarden',
  stanza('*', repository),
  ...moduleFolders().map((name) => stanza(`usr/lib/tlswarden/node_modules/${name}/*`, join(modules, name))),
];
process.stdout.write(`${all.join('\n\n')}\n`);
