/**
 * One row of what is counted: whose numbers they are, and its text form. Pure.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import { formatNumbers, type Numbers, parseNumbers } from './counters.ts';
import { isRemote, OTHERS } from './remote.ts';

/** Whose numbers: mail between one hosted domain and one remote. */
export interface RowKey {
  readonly flow: Flow;
  /** The hosted domain by its name, not an alias; {@link OTHERS} together where there are too many. */
  readonly domain: DomainName | typeof OTHERS;
  /** As {@link isRemote} allows it: a domain, an address, <>, or {@link OTHERS}. */
  readonly remote: string;
}

/** A row with its numbers, `numbers` in the order of {@link Numbers}. */
export interface Row extends RowKey {
  readonly numbers: Numbers;
}

/** What a row is found by: three words, separated by tabs. */
export const formatKey = ({ flow, domain, remote }: RowKey): string => `${domain}\t${flow}\t${remote}`;

/** Reads {@link formatKey} and {@link formatNumbers}; undefined: that is no row. */
export function parseRow(key: string, text: string): Row | undefined {
  const [domain = '', flow = '', remote = '', ...rest] = key.split('\t');
  const numbers = parseNumbers(text);
  const isRow =
    rest.length === 0 &&
    (domain === OTHERS || parseDomain(domain) === domain) &&
    (FLOWS as readonly string[]).includes(flow) &&
    isRemote(remote);
  if (!isRow || numbers === undefined) return undefined;
  return { flow: flow as Flow, domain: domain as DomainName | typeof OTHERS, remote, numbers };
}

/** A row as one line of the state file. */
export const formatRow = (row: Row): string => `${formatKey(row)}\t${formatNumbers(row.numbers)}`;

/** Reads {@link formatRow}; undefined: that is no row. */
export function parseRowLine(line: string): Row | undefined {
  const tab = line.lastIndexOf('\t');
  return tab < 0 ? undefined : parseRow(line.slice(0, tab), line.slice(tab + 1));
}
