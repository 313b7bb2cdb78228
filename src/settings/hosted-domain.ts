/**
 * One hosted domain: its names, where its mail goes, and its four settings. Immutable; read whole or not at all.
 */

import { hash } from 'node:crypto';
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { quoted } from '../text/printable.ts';
import type { Complaint } from '../toml/complaint.ts';
import { TableReader } from '../toml/table-reader.ts';
import { whereItBelongs } from './misplaced-key.ts';
import type { NextHop } from './next-hop.ts';
import { parseSetting, SETTING_KEYS, type SettingPool } from './parse-setting.ts';
import {
  type DeliverySetting,
  FLOWS,
  type Flow,
  HOPS,
  type Hop,
  type ReceiptSetting,
  type Setting,
} from './setting.ts';

/** The keys of `[domains."NAME"]`, in the order in which they are documented and exported. */
export const DOMAIN_KEYS = ['aliases', 'nexthop', 'incoming', 'outgoing'] as const;

/** The settings of one flow; undefined: TLS is not asked for. */
export interface FlowSettings {
  readonly receipt: ReceiptSetting | undefined;
  readonly delivery: DeliverySetting | undefined;
}

/** The four settings of a domain, defaults included. */
export type DomainSettings = Readonly<Record<Flow, FlowSettings>>;

/** A domain as it is in force. The same object as long as nothing about it changes ({@link reuseDomain}). */
export interface HostedDomain {
  readonly name: DomainName;
  readonly aliases: readonly DomainName[];
  /** {@link BY_MX} where the settings name none. */
  readonly nexthop: NextHop;
  readonly settings: DomainSettings;
  /** The file it stands in, relative to the settings directory; with Redis, the server's name. */
  readonly file: string;
  /** 48 bits that change when what the tables hold for this domain changes, and only then. */
  readonly tableDigest: number;
}

/** The settings of {@link FLOWS} × {@link HOPS} that hold for every domain that lacks them: `[defaults]`, already read. */
export type Defaults = DomainSettings;

const NO_FLOW_SETTINGS: FlowSettings = { receipt: undefined, delivery: undefined };
/** A main file without `[defaults]`. */
export const NO_DEFAULTS: Defaults = { incoming: NO_FLOW_SETTINGS, outgoing: NO_FLOW_SETTINGS };

/** What reading a domain needs besides its table: the same for all domains of one load. */
export interface DomainContext {
  readonly defaults: Defaults;
  /** Whether `postfix.relayhost` is set: only then can outgoing mail ask for a certificate. */
  readonly hasRelayhost: boolean;
  readonly pool: SettingPool;
}

/** Names of one domain besides its own. */
const MAX_ALIASES = 10_000;

const NO_ALIASES: readonly DomainName[] = [];
/** Stands for a setting that is not there. */
const NONE = {};
const sharedFlows = new WeakMap<object, WeakMap<object, FlowSettings>>();
const sharedSettings = new WeakMap<object, WeakMap<object, DomainSettings>>();

/** Equal pairs become one object. The pools hold nothing that nobody has any more. */
function share<C extends object>(
  pool: WeakMap<object, WeakMap<object, C>>,
  a: object | undefined,
  b: object | undefined,
  make: () => C,
): C {
  const [outerKey, innerKey] = [a ?? NONE, b ?? NONE];
  let inner = pool.get(outerKey);
  if (inner === undefined) {
    inner = new WeakMap();
    pool.set(outerKey, inner);
  }
  let found = inner.get(innerKey);
  if (found === undefined) {
    found = make();
    inner.set(innerKey, found);
  }
  return found;
}

/**
 * Reads `[domains."NAME"]`. On any mistake complaints are added and the result is undefined: a domain is never half in
 * force. `file` names where it stands.
 */
export function parseHostedDomain(
  writtenName: string,
  value: unknown,
  file: string,
  context: DomainContext,
  complaints: Complaint[],
): HostedDomain | undefined {
  const before = complaints.length;
  const place = { file, domain: writtenName };
  const name = parseDomain(writtenName);
  if (name === undefined) {
    complaints.push({ ...place, message: 'is no valid domain name' });
    return undefined;
  }
  const reader = new TableReader(value, place, DOMAIN_KEYS, complaints, whereItBelongs);
  const aliases = parseAliases(reader, name);
  const nexthop = context.pool.nextHop(reader.string('nexthop') ?? '');
  if (nexthop === undefined)
    reader.complain('nexthop', `${quoted(reader.string('nexthop') ?? '')} is no next hop; write "[host]:port"`);
  const settings = parseSettings(reader, [name, ...aliases], context, complaints);
  if (complaints.length > before || nexthop === undefined) return undefined;
  const digest = tableDigest(name, aliases, nexthop, settings);
  // One literal: objects put together by spreading have a hidden class each, which a million domains cannot afford.
  return { name, aliases, nexthop, settings, file, tableDigest: digest };
}

/** The object that stood for the domain before, if nothing about it changed: what was decided by it still holds. */
export function reuseDomain(before: HostedDomain | undefined, now: HostedDomain): HostedDomain {
  if (before === undefined || before.name !== now.name || before.file !== now.file) return now;
  if (before.settings !== now.settings || before.nexthop !== now.nexthop) return now;
  return before.aliases.join(' ') === now.aliases.join(' ') ? before : now;
}

function parseAliases(reader: TableReader, name: DomainName): readonly DomainName[] {
  const written = reader.list('aliases') ?? [];
  if (written.length === 0) return NO_ALIASES;
  if (written.length > MAX_ALIASES) {
    reader.complain('aliases', `has more than ${MAX_ALIASES} entries`);
    return NO_ALIASES;
  }
  const aliases = new Set<DomainName>();
  for (const text of written) {
    const alias = parseDomain(text);
    if (alias === undefined) reader.complain('aliases', `${quoted(text)} is no valid domain name`);
    else if (alias === name) reader.complain('aliases', `${quoted(text)} is the domain itself`);
    else if (aliases.has(alias)) reader.complain('aliases', `${quoted(text)} stands here twice`);
    else aliases.add(alias);
  }
  return [...aliases];
}

function parseSettings(
  reader: TableReader,
  names: readonly DomainName[],
  context: DomainContext,
  complaints: Complaint[],
): DomainSettings {
  const flow = (which: Flow): FlowSettings => {
    return shareFlow(parseFlow(reader, which, names, context, complaints));
  };
  const incoming = flow('incoming');
  const outgoing = flow('outgoing');
  return share(sharedSettings, incoming, outgoing, () => ({ incoming, outgoing }));
}

function shareFlow(flow: FlowSettings): FlowSettings {
  return share(sharedFlows, flow.receipt, flow.delivery, () => flow);
}

/** `parent` reads the table that the flow's own stands in. */
function parseFlow(
  parent: TableReader,
  flow: Flow,
  names: readonly DomainName[] | undefined,
  context: Pick<DomainContext, 'defaults' | 'hasRelayhost' | 'pool'>,
  complaints: Complaint[],
): FlowSettings {
  if (!parent.has(flow)) return context.defaults[flow];
  const reader = parent.table(flow, HOPS);
  const read = (hop: Hop): Setting | undefined => {
    if (!reader.has(hop)) return context.defaults[flow][hop];
    const settingContext = { flow, hop, names, hasRelayhost: context.hasRelayhost };
    return parseSetting(reader.table(hop, SETTING_KEYS[hop]), settingContext, context.pool, complaints);
  };
  return {
    receipt: read('receipt') as ReceiptSetting | undefined,
    delivery: read('delivery') as DeliverySetting | undefined,
  };
}

/** Reads `[defaults]` of the main file. */
export function parseDefaults(
  value: unknown,
  file: string,
  context: Omit<DomainContext, 'defaults'>,
  complaints: Complaint[],
): Defaults {
  if (value === undefined) return NO_DEFAULTS;
  const reader = new TableReader(value, { file, key: 'defaults' }, FLOWS, complaints, whereItBelongs);
  const flow = (which: Flow): FlowSettings =>
    parseFlow(reader, which, undefined, { ...context, defaults: NO_DEFAULTS }, complaints);
  return { incoming: flow('incoming'), outgoing: flow('outgoing') };
}

function tableDigest(
  name: DomainName,
  aliases: readonly DomainName[],
  nexthop: NextHop,
  { incoming, outgoing }: DomainSettings,
): number {
  const texts = [incoming.delivery?.tableText, outgoing.delivery?.tableText, incoming.receipt?.tableText];
  if (texts.every((text) => text === undefined || text === '')) return 0;
  const text = [name, ...aliases, nexthop, ...texts].join('\n');
  return Number.parseInt(hash('sha256', text).slice(0, 12), 16);
}
