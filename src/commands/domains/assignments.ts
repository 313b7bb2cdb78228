/**
 * What `domains set` is told, applied to a domain's table: `KEY=VALUE`, `KEY+=VALUE`, `KEY-=VALUE`, each for the
 * FLOW.HOP before it, or nothing. Pure; whether the result is valid the parser of the settings says.
 */
import { parseDomain } from '../../address/domain-name.ts';
import { parsePattern, type Side, splitList, wordPattern } from '../../address/pattern.ts';
import { LIST_KEYS } from '../../settings/domain-record.ts';
import { settingsWith } from '../../settings/misplaced-key.ts';
import { SETTING_KEYS } from '../../settings/parse-setting.ts';
import { FLOWS, type Flow, HOPS, type Hop, listName } from '../../settings/setting.ts';
import { likelyMeant } from '../../toml/likely-meant.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';
import { UsageError } from '../command-context.ts';

/** `incoming.receipt` and its three siblings. */
export const HOP_NAMES: readonly string[] = FLOWS.flatMap((flow) => HOPS.map((hop) => `${flow}.${hop}`));

/** Which of a domain's four settings: what FLOW.HOP says on the command line. */
export interface Hops {
  readonly flow: Flow;
  readonly hop: Hop;
}

interface Assignment {
  readonly place: Hops | undefined;
  readonly key: string;
  readonly operator: '=' | '+=' | '-=';
  readonly value: string;
}

/** A domain's table after the words of one `domains set`; not validated. */
export interface Assigned {
  /** The whole table; what no word is about stands there as it stood. */
  readonly table: Table;
  /** What was done that was not asked for in so many words. */
  readonly notes: readonly string[];
}

const OWN_KEYS = ['aliases', 'nexthop'];
const SPECIFIC_KEYS = ['senders', 'recipients', 'when'];

/** Reads `incoming.receipt`; throws {@link UsageError}. */
export function parseHopName(word: string): Hops {
  const [flow, hop] = word.split('.') as [Flow, Hop];
  if (HOP_NAMES.includes(word)) return { flow, hop };
  const swapped = `${hop}.${flow}`;
  const meant = HOP_NAMES.includes(swapped) ? swapped : likelyMeant(word, HOP_NAMES);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw new UsageError(`"${word}" is none of ${HOP_NAMES.join(', ')}${hint}`);
}

/** Applies the words of one `domains set` to a table. Throws {@link UsageError}. */
export function assign(before: Table, words: readonly string[]): Assigned {
  const assignments = parseWords(words);
  // Only what is changed takes another form: what else stands there stays as it was written.
  const table = structuredClone({ ...before }) as Record<string, unknown>;
  const notes: string[] = [];
  for (const { flow, hop } of assignments.hops) settingAt(table, flow, hop);
  for (const assignment of assignments.all) apply(table, assignment, notes);
  for (const hops of assignments.hops) dropLists(table, hops, assignments.all, notes);
  for (const hops of assignments.hops) dropEmptied(table, before, hops, notes);
  return { table, notes };
}

function parseWords(words: readonly string[]): { readonly hops: readonly Hops[]; readonly all: readonly Assignment[] } {
  const hops: Hops[] = [];
  const all: Assignment[] = [];
  for (const [i, word] of words.entries()) {
    const match = /^([^=]*?)([+-]?=)(.*)$/su.exec(word);
    if (match === null) {
      const torn = tornAssignment(words, i);
      if (torn !== undefined) throw new UsageError(`write ${torn} in one word, without blanks around "="`);
      if (wordsBeforeKey(word) !== undefined) throw new UsageError(`"${word}" is a key: write ${word}=VALUE`);
      hops.push(parseHopName(word));
      continue;
    }
    const [, key = '', operator = '=', value = ''] = match;
    const isOwn = OWN_KEYS.includes(key);
    const place = isOwn ? undefined : hops.at(-1);
    const inOneWord = HOP_NAMES.find((name) => key.startsWith(`${name}.`));
    if (inOneWord !== undefined) {
      const rest = word.slice(inOneWord.length + 1);
      throw new UsageError(`"${word}": the setting is a word of its own: ${inOneWord} ${rest}`);
    }
    if (!isOwn && place === undefined) {
      throw new UsageError(`"${word}" belongs to no setting: say which before it, ${HOP_NAMES.join(', ')}`);
    }
    checkKey(key, place);
    if (operator !== '=' && !LIST_KEYS.includes(key))
      throw new UsageError(`"${word}": ${key} is no list; write ${key}=…`);
    all.push({ place, key, operator: operator as Assignment['operator'], value });
  }
  // An empty setting would take the place of the default, and ask for nothing.
  const bare = hops.find((here) => !all.some(({ place }) => place === here));
  if (bare !== undefined) {
    throw new UsageError(`nothing is said of ${bare.flow}.${bare.hop}: write KEY=VALUE behind it`);
  }
  return { hops, all };
}

/** The words behind which `domains set` takes this key; undefined: no domain or setting has a key of this name. */
export function wordsBeforeKey(word: string): '' | 'FLOW.HOP ' | undefined {
  if (OWN_KEYS.includes(word)) return '';
  return settingsWith(word, FLOWS).length > 0 ? 'FLOW.HOP ' : undefined;
}

/** `KEY = VALUE` that the shell has made several words of, put together; undefined if the word here is none of these. */
function tornAssignment(words: readonly string[], at: number): string | undefined {
  const [before = '', word = '', after = '', last = ''] = [words[at - 1], ...words.slice(at, at + 3)];
  if (/^[+-]?=$/u.test(after)) return `${word}${after}${last}`;
  if (/^[+-]?=/u.test(after)) return `${word}${after}`;
  // KEY= alone takes a key away, and a FLOW.HOP may follow it.
  return /^[^=]+=$/u.test(before) && likelyMeant(word, HOP_NAMES) === undefined ? `${before}${word}` : undefined;
}

function checkKey(key: string, place: Hops | undefined): void {
  const known = place === undefined ? OWN_KEYS : SETTING_KEYS[place.hop];
  if (known.includes(key)) return;
  const where = place === undefined ? '' : ` of ${place.flow}.${place.hop}`;
  throw new UsageError(`"${key}" is no key${where}${hint(key, known, place)}`);
}

/** The setting that has this key, or else the key that was meant, or else all there are. */
function hint(key: string, known: readonly string[], place: Hops | undefined): string {
  const [other] = place === undefined ? [] : settingsWith(key, [place.flow]);
  if (other !== undefined) return `: it is one of ${other}`;
  const meant = likelyMeant(key, [...known, ...OWN_KEYS]);
  return meant === undefined ? `: there are ${known.join(', ')}` : `; did you mean "${meant}"?`;
}

/** The table of this setting within the domain's, made if need be. */
function settingAt(table: Record<string, unknown>, flow: Flow, hop: Hop): Record<string, unknown> {
  const hops = isTable(table[flow]) ? (table[flow] as Record<string, unknown>) : {};
  table[flow] = hops;
  const setting = isTable(hops[hop]) ? (hops[hop] as Record<string, unknown>) : {};
  hops[hop] = setting;
  return setting;
}

function apply(table: Record<string, unknown>, assignment: Assignment, notes: string[]): void {
  const { place, key, operator, value } = assignment;
  const target = place === undefined ? table : settingAt(table, place.flow, place.hop);
  if (value === '' && operator === '=') {
    delete target[key];
    return;
  }
  if (!LIST_KEYS.includes(key)) {
    target[key] = key === 'min_cipher_bits' && /^\d{1,9}$/u.test(value) ? Number(value) : value;
    return;
  }
  const given = splitList(value);
  const present = operator === '=' ? [] : listOf(target[key]);
  const form = (entry: string): string => normalEntry(entry, place, key);
  const result = new Map(present.map((entry) => [form(entry), entry]));
  for (const entry of given) {
    const known = result.has(form(entry));
    if (operator === '-=') {
      if (!known) notes.push(`${key}: "${entry}" was not listed`);
      result.delete(form(entry));
    } else if (!known) result.set(form(entry), entry);
  }
  if (result.size === 0) delete target[key];
  else target[key] = [...result.values()];
}

/** `Payroll` and `payroll`, `@example.com` and `*@example.com`, a domain's U-labels and its A-labels are one entry. */
function normalEntry(entry: string, place: Hops | undefined, key: string): string {
  if (key === 'aliases') return parseDomain(entry) ?? entry;
  if (key === 'fingerprints') return entry.replaceAll(':', '').toLowerCase();
  if (place === undefined || (key !== 'senders' && key !== 'recipients')) return entry.toLowerCase();
  const side: Side = listName(place.flow, 'own') === key ? 'own' : 'far';
  const pattern = parsePattern(entry, side);
  return typeof pattern === 'string' ? entry : wordPattern(pattern);
}

/** The entries of a list as it may stand in a domain's table: one string or several; of anything else none. */
function listOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return splitList(value);
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

/** With its last key a setting goes whole: an empty one would take the place of the default, and ask for nothing. */
function dropEmptied(table: Record<string, unknown>, before: Table, { flow, hop }: Hops, notes: string[]): void {
  if (Object.keys(settingAt(table, flow, hop)).length > 0) return;
  const present = before[flow];
  const setting = isTable(present) ? present[hop] : undefined;
  if (isTable(setting) && Object.keys(setting).length === 0) return;
  const hops = table[flow] as Record<string, unknown>;
  delete hops[hop];
  if (Object.keys(hops).length === 0) delete table[flow];
  if (setting !== undefined)
    notes.push(`${flow}.${hop} has no keys left and is taken away: what [defaults] says holds`);
}

/** `require_tls` that is set to something else than specific leaves no use for the lists: they go, and it is said. */
function dropLists(table: Record<string, unknown>, hops: Hops, all: readonly Assignment[], notes: string[]): void {
  const here = all.filter(({ place }) => place?.flow === hops.flow && place.hop === hops.hop);
  const setting = settingAt(table, hops.flow, hops.hop);
  if (setting['require_tls'] === 'specific' || !here.some(({ key }) => key === 'require_tls')) return;
  for (const key of SPECIFIC_KEYS) {
    // What is given in the same breath is a contradiction, which the parser of the settings names.
    if (!Object.hasOwn(setting, key) || here.some((assignment) => assignment.key === key)) continue;
    notes.push(
      `${hops.flow}.${hops.hop}: ${key} dropped, since require_tls is not "specific" any more; it was ${JSON.stringify(setting[key])}`,
    );
    delete setting[key];
  }
}
