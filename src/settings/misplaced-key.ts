/**
 * What somebody probably meant by a key that stands where it has no meaning, in words. It is asked only about keys that
 * are a mistake already, and judges no values.
 */
import type { Place } from '../toml/complaint.ts';
import { alternatives, isTable, type Table } from '../toml/table-reader.ts';
import { SETTING_KEYS } from './parse-setting.ts';
import { FLOWS, type Flow, HOPS, type Hop } from './setting.ts';

/** Keys of a domain that are of no setting. */
const DOMAIN_ONLY = ['aliases', 'nexthop'];

/** Where a key of a domain, or of `[defaults]`, belongs; undefined if nothing has such a key. `place` is the table that it is in. */
export function whereItBelongs(key: string, value: unknown, place: Place): string | undefined {
  const path = (place.key ?? '').split('.').filter((part) => part !== '' && part !== 'defaults');
  const [flow] = path;
  if (flow === undefined) {
    if (isHop(key)) return `write ${alternatives(flowsWithin(value).map((within) => `${within}.${key}`))}`;
    const name = place.domain === undefined ? undefined : dottedName(place.domain, key, value);
    if (name !== undefined) return `write the domain in quotes: [domains."${name}"]`;
  }
  if (flow !== undefined && place.domain !== undefined && DOMAIN_ONLY.includes(key))
    return 'it belongs to the domain itself';
  const settings = settingsWith(key, flow === undefined ? FLOWS : [flow as Flow]);
  return settings.length === 0 ? undefined : `it belongs to ${alternatives(settings)}`;
}

/** `incoming.receipt` and the like, of these flows, that have this key. */
export function settingsWith(key: string, flows: readonly Flow[]): readonly string[] {
  return flows.flatMap((flow) => HOPS.filter((hop) => SETTING_KEYS[hop].includes(key)).map((hop) => `${flow}.${hop}`));
}

/** The name of a domain that is written without quotes: its labels are tables within one another. */
function dottedName(first: string, key: string, value: unknown): string | undefined {
  // What is in quotes has its dots already.
  if (first.includes('.') || !isTable(value)) return undefined;
  const labels = [first, key];
  for (let table: Table = value; ; ) {
    const next = Object.entries(table).find(([label, within]) => isTable(within) && !isFlow(label) && !isHop(label));
    if (next === undefined) return labels.join('.');
    labels.push(next[0]);
    table = next[1] as Table;
  }
}

/** `[domains."d".receipt.incoming]`: the flows that stand under the hop; both, if it says none. */
function flowsWithin(value: unknown): readonly Flow[] {
  const within = FLOWS.filter((flow) => isTable(value) && Object.hasOwn(value, flow));
  return within.length === 0 ? FLOWS : within;
}

const isFlow = (word: string): word is Flow => (FLOWS as readonly string[]).includes(word);
const isHop = (word: string): word is Hop => (HOPS as readonly string[]).includes(word);
