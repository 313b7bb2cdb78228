// The manual and the README's reference, held against the program: every key, command and option is in them, and none that is
// not there. A new one that nobody has written about fails here.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { type Block, parseMarkdown, plainText, type Text } from '../../manual/markdown.ts';
import { formatPage } from '../../manual/roff.ts';
import { LOG_LEVELS, MAIN_FILE_KEYS, MAP_TYPES } from '../../src/main-file/main-file.ts';
import { makeProgram } from '../../src/program.ts';
import { DOMAIN_KEYS } from '../../src/settings/hosted-domain.ts';
import { CIPHER_GRADES, LEVELS } from '../../src/settings/level.ts';
import { SETTING_KEYS } from '../../src/settings/parse-setting.ts';
import { ENFORCEMENTS } from '../../src/settings/setting.ts';
import { attempt } from '../harness/command.ts';
import { Workspace } from '../harness/workspace.ts';

const repository = new URL('../../../', import.meta.url);
const readme = parseMarkdown(readFileSync(new URL('README.md', repository), 'utf8'));
const pages = ['tlswarden.8', 'tlswarden.toml.5'].map((name) => fileURLToPath(new URL(`dist/man/${name}`, repository)));

/** A page as a reader sees it. Fails if groff(1) has anything to say against it. */
async function rendered(page: string): Promise<string> {
  const plain = ['-Tutf8', '-P-cbou', '-rLL=80n', '-rLT=80n'];
  const { status, stdout, stderr } = await attempt('groff', ['-man', '-ww', ...plain, page]);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, page);
  return stdout;
}

/** A page as one line: where lines break depends on the reader. */
async function words(page: string): Promise<string> {
  return (await rendered(page)).replace(/\s+/gu, ' ');
}

/** The words in code. */
function codeIn(text: Text | undefined): readonly string[] {
  return (text ?? []).filter(({ style }) => style === 'code').map((span) => span.text);
}

type Table = Extract<Block, { kind: 'table' }>;

/** The README's first table with such a header. */
function tableOf(...header: readonly string[]): Table['rows'] {
  const table = readme.find((block): block is Table => block.kind === 'table' && block.header.join() === header.join());
  assert.ok(table !== undefined, `the README has no table of ${header.join(', ')}`);
  return table.rows;
}

const settings = tableOf('key', 'of', 'values', 'meaning');
const mainFile = tableOf('key', 'values', 'meaning');
const commands = tableOf('command', 'what it does');

/** The values that the README gives for a key. */
function valuesOf(rows: Table['rows'], key: string): readonly string[] {
  const row = rows.find(([first]) => codeIn(first).includes(key));
  return codeIn(row?.at(-2)).filter((word) => !/\d{3}/u.test(word));
}

test('the pages of the manual are without a warning', async () => {
  for (const page of pages) assert.match(await rendered(page), /^NAME\n/mu);
});

test('every key of a setting is documented, and no other', () => {
  for (const hop of ['receipt', 'delivery'] as const) {
    const rows = settings.filter(([, of = []]) => ['both', hop].includes(plainText(of)));
    assert.deepEqual(rows.flatMap(([key]) => codeIn(key)).sort(), SETTING_KEYS[hop].toSorted(), hop);
  }
});

test('every key of the main file is documented, and no other', () => {
  const keys = Object.entries(MAIN_FILE_KEYS).flatMap(([section, names]) => names.map((name) => `${section}.${name}`));
  assert.deepEqual(mainFile.flatMap(([key]) => codeIn(key)).sort(), [...keys, 'defaults.FLOW.HOP'].sort());
});

test('the words that a key takes are those that are documented', () => {
  assert.deepEqual(valuesOf(settings, 'level'), LEVELS);
  assert.deepEqual(valuesOf(settings, 'ciphers'), CIPHER_GRADES);
  assert.deepEqual(valuesOf(settings, 'enforcement'), ENFORCEMENTS);
  assert.deepEqual(valuesOf(mainFile, 'log.level'), LOG_LEVELS);
  assert.deepEqual(valuesOf(mainFile, 'maps.type'), MAP_TYPES);
});

test('the manual has every key, those of a domain too', async () => {
  const page = await words(pages[1] ?? '');
  const keys = [...Object.values(MAIN_FILE_KEYS).flat(), ...Object.values(SETTING_KEYS).flat(), ...DOMAIN_KEYS];
  assert.deepEqual(
    keys.filter((key) => !page.includes(key)),
    [],
  );
});

interface Leaf {
  readonly path: string;
  readonly options: readonly string[];
}

/** The commands that do something. */
function leaves(command: Command, path: readonly string[] = []): readonly Leaf[] {
  if (command.commands.length > 0) return command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]));
  return [{ path: path.join(' '), options: command.options.flatMap(({ long }) => long ?? []) }];
}

const programLeaves = leaves(makeProgram(false));

/** What a row of the README's table names: commands, the first one's group holding for the others, and options. */
function namedIn(row: readonly Text[]): { readonly paths: readonly string[]; readonly options: readonly string[] } {
  const groups = new Set(programLeaves.flatMap(({ path }) => (path.includes(' ') ? [path.split(' ')[0]] : [])));
  const paths: string[] = [];
  const options: string[] = [];
  for (const code of codeIn(row[0])) {
    const all = code.split(/[\s[\]]+/u);
    options.push(...all.filter((word) => word.startsWith('--')));
    const [first = '', second = ''] = all.filter((word) => /^[a-z]/u.test(word));
    const group = paths[0]?.split(' ')[0] ?? '';
    if (groups.has(first)) paths.push(`${first} ${second}`);
    else if (programLeaves.some(({ path }) => path === `${group} ${first}`)) paths.push(`${group} ${first}`);
    else if (first !== '') paths.push(first);
  }
  return { paths, options };
}

test('every command is in the table of commands, and no other', () => {
  const named = new Set(commands.flatMap((row) => namedIn(row).paths));
  assert.deepEqual([...named].sort(), programLeaves.map(({ path }) => path).sort());
});

test('an option in the table of commands is one of a command beside it', () => {
  for (const row of commands) {
    const { paths, options } = namedIn(row);
    const known = programLeaves.filter(({ path }) => paths.includes(path)).flatMap((leaf) => leaf.options);
    assert.deepEqual(
      options.filter((option) => !known.includes(option)),
      [],
      paths.join(),
    );
  }
});

test('the manual has every command with all its options', async () => {
  const page = await rendered(pages[0] ?? '');
  for (const { path, options } of programLeaves) {
    const [, part] = page.split(`\n   ${path}\n`);
    assert.ok(part !== undefined, path);
    for (const option of options) assert.ok(part.split(/\n {3}\S/u)[0]?.includes(option), `${path} ${option}`);
  }
});

test('what would be a request of roff, or a mark of Markdown, is a character in the manual', async (t: TestContext) => {
  const workspace = await Workspace.of(t);
  const text = "it is 'so' with C:\\new and \\fB, `.TH` -- and *@*.bank.example; ü…";
  const page = formatPage({
    name: 'sample',
    section: 8,
    version: '1',
    summary: 'a page',
    blocks: [
      { kind: 'heading', level: 2, text: 'Text' },
      { kind: 'paragraph', text: [{ style: 'plain', text: `.PP ${text}` }] },
      { kind: 'code', lines: ["'quoted' ^~`-`", '.so /etc/passwd', '', text] },
    ],
  });
  const seen = await rendered(await workspace.write('sample.8', page));
  const written = text.replace('…', '...');
  assert.ok(seen.replace(/\s+/gu, ' ').includes(`.PP ${written}`), seen);
  assert.ok(seen.includes("'quoted' ^~`-`\n"), seen);
  assert.ok(seen.includes('.so /etc/passwd\n'), seen);
});

test('Markdown that the manual does not know is an error, not a wrong page', () => {
  for (const unknown of [
    '> quoted',
    '<b>bold</b>',
    '| a | b |\n| 1 | 2 |',
    '| a |\n| --- |\n| 1 | 2 |',
    '```\nopen',
    '    set in',
  ]) {
    assert.throws(() => parseMarkdown(`Text.\n\n${unknown}\n`), Error, unknown);
  }
});
