/**
 * One entry of master.cf in one line, as `postconf -M` prints and takes it: its fields, its command, its options. Pure.
 */
import { splitWords } from '../fragments/value-list.ts';

/** `-o name=value` or `-o { name = value }`; other words of the command keep their place among them. */
type Word = { readonly option: string; readonly value: string } | { readonly word: string };

interface Entry {
  /** service type private unpriv chroot wakeup maxproc command */
  readonly fields: readonly string[];
  readonly words: readonly Word[];
}

const FIELDS = 8;

/** The same entry with these options set to these values, wherever they stand now, or at its end. */
export function withOptions(line: string, options: ReadonlyMap<string, string>): string {
  const { fields, words } = parseEntry(line);
  const rest = new Map(options);
  const changed = words.map((word): Word => {
    if (!('option' in word)) return word;
    const value = options.get(word.option);
    if (value === undefined) return word;
    // Of one that stands there twice Postfix takes the last.
    rest.delete(word.option);
    return { option: word.option, value };
  });
  return formatEntry({ fields, words: [...changed, ...[...rest].map(([option, value]) => ({ option, value }))] });
}

/**
 * The entry that stands there with the command and the options of `ours`: the options in `own` are ours alone, all others,
 * process limits and the like are kept.
 */
export function withOurs(standing: string, ours: string, own: ReadonlySet<string>): string {
  const [present, wanted] = [parseEntry(standing), parseEntry(ours)];
  const options = new Map(wanted.words.flatMap((word) => ('option' in word ? [[word.option, word.value]] : [])));
  const fields = [...present.fields.slice(0, FIELDS - 1), ...wanted.fields.slice(FIELDS - 1)];
  const words = present.words.filter(
    (word) => !('option' in word && own.has(word.option) && !options.has(word.option)),
  );
  return withOptions(formatEntry({ fields, words }), options);
}

/** The line as {@link withOptions} would write it: equal entries are equal texts. */
export function normalEntry(line: string): string {
  return formatEntry(parseEntry(line));
}

function parseEntry(line: string): Entry {
  const texts = splitWords(line);
  const words: Word[] = [];
  for (let i = FIELDS; i < texts.length; i++) {
    const text = texts[i] as string;
    const next = texts[i + 1];
    if (text !== '-o' || next === undefined) {
      words.push({ word: text });
      continue;
    }
    const assignment = next.startsWith('{') && next.endsWith('}') ? next.slice(1, -1) : next;
    const equals = assignment.indexOf('=');
    i += 1;
    if (equals < 0) words.push({ word: text }, { word: next });
    else words.push({ option: assignment.slice(0, equals).trim(), value: assignment.slice(equals + 1).trim() });
  }
  return { fields: texts.slice(0, FIELDS), words };
}

function formatEntry({ fields, words }: Entry): string {
  const texts = words.map((word) => ('word' in word ? word.word : `-o ${formatOption(word.option, word.value)}`));
  return [...fields, ...texts].join(' ');
}

/** What stands behind -o: `name=value`, or `{ name = value }` where that needs it. */
export function formatOption(name: string, value: string): string {
  return /[\s{}]/u.test(value) ? `{ ${name} = ${value} }` : `${name}=${value}`;
}
