/**
 * From what stands under `[domains."d".FLOW.HOP]` or `[defaults.FLOW.HOP]` to a compiled setting. Every mistake becomes
 * a complaint with its key; a setting with a mistake is none. It reads no files.
 */

import { hash } from 'node:crypto';
import type { DomainName } from '../address/domain-name.ts';
import { quoted } from '../text/printable.ts';
import type { Complaint } from '../toml/complaint.ts';
import type { TableReader } from '../toml/table-reader.ts';
import {
  CIPHER_GRADES,
  DEFAULT_GRADE,
  DEFAULT_VERSION,
  LEVELS,
  type Level,
  TLS_VERSIONS,
  type TlsVersion,
  versionRank,
} from './level.ts';
import { type NextHop, parseNextHop } from './next-hop.ts';
import { ALL_TABLE_KEYS, indexTableKeys, NO_TABLE_KEYS, People, type TableKeys } from './people.ts';
import {
  type Condition,
  type DeliverySetting,
  ENFORCEMENTS,
  type Enforcement,
  type Flow,
  type Hop,
  listName,
  type Setting,
} from './setting.ts';

const COMMON_KEYS = ['require_tls', 'senders', 'recipients', 'when', 'enforcement'] as const;

/** The keys of a setting of each hop, in the order in which they are documented and exported. */
export const SETTING_KEYS: Readonly<Record<Hop, readonly string[]>> = {
  receipt: [...COMMON_KEYS, 'min_protocol', 'min_cipher_bits', 'on_failure'],
  delivery: [...COMMON_KEYS, 'level', 'certificate_names', 'fingerprints', 'protocols', 'ciphers', 'on_failure'],
};

/** Upper bound of own-side entries times names of the domain, at each of which they hold: the size that tables may grow to. */
const MAX_OWN_ADDRESSES = 1_000_000;

const ALWAYS: Condition = { kind: 'always' };

/** A setting that was read, and that is compiled only if it is a new one. */
interface Draft {
  /** The same for the same setting, beside what settings of both hops have. */
  readonly text: string;
  readonly compile: () => Setting;
}

/** Where a setting stands: the same text may be a mistake elsewhere. */
export interface SettingContext {
  readonly flow: Flow;
  readonly hop: Hop;
  /** The hosted domain and its aliases; undefined in a default. */
  readonly names: readonly DomainName[] | undefined;
  /** Whether outgoing mail has one next hop of its own, which a certificate can be asked of. */
  readonly hasRelayhost: boolean;
}

/** Keys that are longer are kept as their digest. */
const MAX_KEY = 256;
/** How many settings it takes before those that are gone are looked for. */
const FIRST_SWEEP = 1_000;
/** Next hops are few; if they are not, they are shared among those that come after. */
const MAX_NEXT_HOPS = 100_000;

/**
 * Equal settings become one object, so that a fleet of domains with the same few settings holds them once. Settings that
 * no domain has any more are not held: a service lives through any number of changes.
 */
export class SettingPool {
  readonly #settings = new Map<string, WeakRef<Setting>>();
  readonly #nextHops = new Map<string, NextHop>();
  #sweepAt = FIRST_SWEEP;

  /** The setting that was shared under this text, or a new one. */
  share(text: string, make: () => Setting): Setting {
    const key = text.length > MAX_KEY ? hash('sha256', text, 'base64') : text;
    const known = this.#settings.get(key)?.deref();
    if (known !== undefined) return known;
    if (this.#settings.size >= this.#sweepAt) this.#sweep();
    const setting = make();
    this.#settings.set(key, new WeakRef(setting));
    return setting;
  }

  /** As {@link parseNextHop}; what is written alike is read once, and becomes one string. */
  nextHop(text: string): NextHop | undefined {
    const known = this.#nextHops.get(text);
    if (known !== undefined) return known;
    const nexthop = parseNextHop(text);
    if (nexthop === undefined) return undefined;
    if (this.#nextHops.size >= MAX_NEXT_HOPS) this.#nextHops.clear();
    this.#nextHops.set(text, nexthop);
    return nexthop;
  }

  #sweep(): void {
    for (const [key, setting] of this.#settings) if (setting.deref() === undefined) this.#settings.delete(key);
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#settings.size);
  }
}

/** The setting that `reader` reads ({@link SETTING_KEYS}), or undefined for `never` and for one with a complaint. */
export function parseSetting(
  reader: TableReader,
  context: SettingContext,
  pool: SettingPool,
  complaints: readonly Complaint[],
): Setting | undefined {
  const before = complaints.length;
  const condition = parseCondition(reader, context);
  const enforcement = reader.oneOf('enforcement', ENFORCEMENTS) ?? 'enforce';
  const parse = context.hop === 'receipt' ? parseReceipt : parseDelivery;
  const draft = parse(reader, context, condition ?? ALWAYS, enforcement);
  if (complaints.length > before || condition === undefined) return undefined;
  // Of all that stands in this text only who is meant has spaces or signs.
  const text = `${context.flow} ${context.hop} ${enforcement} ${draft.text} ${wordCondition(condition)}`;
  return pool.share(text, draft.compile);
}

function wordCondition(condition: Condition): string {
  if (condition.kind === 'always') return 'always';
  return `${condition.kind} ${condition.own.canonical} ${condition.far.canonical}`;
}

function parseCondition(reader: TableReader, context: SettingContext): Condition | undefined {
  const requireTls = reader.oneOf('require_tls', ['never', 'always', 'specific']);
  const when = reader.oneOf('when', ['either', 'both']);
  // require_tls is wrong, so nothing can be said of the lists.
  if (requireTls === undefined && reader.has('require_tls')) return undefined;
  if (requireTls !== 'specific') {
    for (const key of ['senders', 'recipients', 'when']) {
      if (reader.has(key))
        reader.complain(key, `has a meaning only with require_tls = "specific", not "${requireTls ?? 'never'}"`);
    }
    return requireTls === 'always' ? ALWAYS : undefined;
  }
  const compile = (side: 'own' | 'far'): { people: People; given: boolean } => {
    const key = listName(context.flow, side);
    let entries = reader.list(key);
    const names = context.names?.length ?? 1;
    if (side === 'own' && entries !== undefined && entries.length * names > MAX_OWN_ADDRESSES) {
      reader.complain(
        key,
        `${entries.length} entries at ${names} names are more than ${MAX_OWN_ADDRESSES} addresses; list fewer, or give names a domain of their own`,
      );
      entries = undefined;
    }
    const people = People.compile(entries ?? [], side, context.names, (message) => reader.complain(key, message));
    // A list that is none has had its complaint.
    return { people, given: entries === undefined ? reader.has(key) : entries.length > 0 };
  };
  const own = compile('own');
  const far = compile('far');
  if (!own.given && !far.given) {
    reader.complain('require_tls', '"specific" with nobody listed: name senders or recipients');
  }
  if (when !== 'both') return { kind: 'either', own: own.people, far: far.people };
  return {
    kind: 'both',
    own: own.given ? own.people : People.everyone('own'),
    far: far.given ? far.people : People.everyone('far'),
  };
}

/** Contract section 7, "Which keys a setting gives". */
function tableKeysOf(condition: Condition): TableKeys {
  if (condition.kind === 'always') return ALL_TABLE_KEYS;
  if (condition.kind === 'either') return condition.far.everyone ? ALL_TABLE_KEYS : condition.own.tableKeys;
  return condition.far.everyone ? condition.own.tableKeys : NO_TABLE_KEYS;
}

function parseReceipt(
  reader: TableReader,
  { flow }: SettingContext,
  condition: Condition,
  enforcement: Enforcement,
): Draft {
  const minProtocol = reader.oneOf('min_protocol', TLS_VERSIONS) ?? DEFAULT_VERSION;
  const onFailure = reader.oneOf('on_failure', ['reject', 'defer']) ?? 'reject';
  const minCipherBits = reader.integer('min_cipher_bits', 0, 4096) ?? 128;
  return {
    text: `${onFailure} ${minProtocol} ${minCipherBits}`,
    compile: () => {
      // receipt_access knows recipients only, and answers with a reject.
      const inTable = flow === 'incoming' && enforcement === 'enforce' && onFailure === 'reject';
      const tableKeys = inTable ? tableKeysOf(condition) : NO_TABLE_KEYS;
      return {
        hop: 'receipt',
        condition,
        enforcement,
        minProtocol,
        minRank: versionRank(minProtocol),
        minCipherBits,
        onFailure,
        tableKeys,
        tableIndex: indexTableKeys(tableKeys),
        tableText: inTable ? JSON.stringify(tableKeys) : '',
      };
    },
  };
}

function parseDelivery(
  reader: TableReader,
  context: SettingContext,
  condition: Condition,
  enforcement: Enforcement,
): Draft {
  const level = reader.oneOf('level', LEVELS) ?? 'encrypt';
  const certificateNames = parseCertificateNames(reader, level);
  const fingerprints = parseFingerprints(reader, level);
  const minProtocol = parseProtocols(reader, context);
  const ciphers = reader.oneOf('ciphers', CIPHER_GRADES) ?? DEFAULT_GRADE;
  const onFailure = reader.oneOf('on_failure', ['defer', 'bounce']) ?? 'defer';
  if (context.flow === 'outgoing' && !context.hasRelayhost) {
    for (const [key, list] of [
      ['certificate_names', certificateNames],
      ['fingerprints', fingerprints],
    ] as const) {
      if (list.length > 0) {
        reader.complain(
          key,
          'of outgoing mail needs postfix.relayhost: without it every recipient domain has servers of its own',
        );
      }
    }
  }
  const terms = { level, certificateNames, fingerprints, minProtocol, ciphers, onFailure };
  return {
    text: `${onFailure} ${minProtocol} ${level} ${ciphers} ${certificateNames} ${fingerprints}`,
    compile: () => {
      const tableKeys = enforcement === 'enforce' ? tableKeysOf(condition) : NO_TABLE_KEYS;
      return {
        hop: 'delivery',
        condition,
        enforcement,
        ...terms,
        tableKeys,
        tableIndex: indexTableKeys(tableKeys),
        tableText:
          tableKeys === NO_TABLE_KEYS
            ? sharedText(context.flow, enforcement, terms)
            : JSON.stringify([tableKeys, terms]),
      };
    },
  };
}

/** What a setting without table keys of its own still says of its next hop in the tables; '' if nothing but defaults. */
function sharedText(
  flow: Flow,
  enforcement: Enforcement,
  terms: Pick<DeliverySetting, 'minProtocol' | 'ciphers' | 'certificateNames' | 'fingerprints'>,
): string {
  const { minProtocol, ciphers, certificateNames, fingerprints } = terms;
  if (enforcement === 'monitor') return '';
  const strength = flow === 'incoming' ? [minProtocol, ciphers] : [DEFAULT_VERSION, DEFAULT_GRADE];
  const text = JSON.stringify([strength, certificateNames, fingerprints]);
  return text === JSON.stringify([[DEFAULT_VERSION, DEFAULT_GRADE], [], []]) ? '' : text;
}

function parseCertificateNames(reader: TableReader, level: Level): readonly string[] {
  const names = reader.list('certificate_names') ?? [];
  if (names.length > 0 && level !== 'verify' && level !== 'secure') {
    reader.complain('certificate_names', `has a meaning only with level "verify" or "secure", not "${level}"`);
  }
  for (const name of names) {
    // Postfix's own words for the names it derives, a host name, or .domain for all names below one.
    if (!/^(?:nexthop|dot-nexthop|hostname|\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+)$/iu.test(name)) {
      reader.complain('certificate_names', `${quoted(name)} is no name that Postfix's match= takes`);
    }
  }
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

function parseFingerprints(reader: TableReader, level: Level): readonly string[] {
  const given = reader.list('fingerprints') ?? [];
  if (level === 'fingerprint' && given.length === 0) {
    reader.complain('fingerprints', 'must name at least one SHA-256 fingerprint with level "fingerprint"');
  }
  if (level !== 'fingerprint' && given.length > 0) {
    reader.complain('fingerprints', `has a meaning only with level "fingerprint", not "${level}"`);
  }
  const fingerprints = given.map((text) => {
    const hex = text.replaceAll(':', '').toLowerCase();
    if (!/^[0-9a-f]{64}$/u.test(hex)) {
      reader.complain('fingerprints', `${quoted(text)} is no SHA-256 fingerprint (32 pairs of hexadecimal digits)`);
    }
    return (hex.match(/../gu) ?? []).join(':');
  });
  return [...new Set(fingerprints)].sort();
}

const PROTOCOLS = TLS_VERSIONS.map((version) => `>=${version}` as const);
const OUTGOING_PROTOCOLS = PROTOCOLS.slice(TLS_VERSIONS.indexOf(DEFAULT_VERSION));
const withoutBlanks = (text: string): string => text.replaceAll(' ', '');

function parseProtocols(reader: TableReader, context: SettingContext): TlsVersion {
  if (!reader.has('protocols')) return DEFAULT_VERSION;
  // Outgoing mail reaches next hops that it shares with others; it may raise what they ask, never lower it.
  const words = context.flow === 'outgoing' ? OUTGOING_PROTOCOLS : PROTOCOLS;
  const found = reader.oneOf('protocols', words, withoutBlanks);
  return found === undefined ? DEFAULT_VERSION : (found.slice(2) as TlsVersion);
}
