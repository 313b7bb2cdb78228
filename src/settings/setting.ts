/**
 * A setting, compiled: what one hosted domain says of one hop of one flow. `never` is no setting at all (undefined).
 * Settings are immutable, and equal ones are one object, so that a million domains cost little. No I/O, no defaults.
 */
import type { Address } from '../address/address.ts';
import type { CipherGrade, Level, TlsVersion } from './level.ts';
import type { People, TableKeys, TableKeysIndex } from './people.ts';

/** incoming: mail to a hosted domain. outgoing: mail from one. */
export const FLOWS = ['incoming', 'outgoing'] as const;
/** The first half of a setting's name, as in `incoming.receipt`. */
export type Flow = (typeof FLOWS)[number];

/** receipt: from the sending server or user to this Postfix. delivery: from this Postfix to the next server. */
export const HOPS = ['receipt', 'delivery'] as const;
/** The second half of a setting's name. */
export type Hop = (typeof HOPS)[number];

/** enforce: refuse or defer what has no TLS. monitor: decide, log and count, but let the mail pass. */
export const ENFORCEMENTS = ['enforce', 'monitor'] as const;
/** A value of `enforcement`. */
export type Enforcement = (typeof ENFORCEMENTS)[number];

/** Who is meant: everyone, or as the two lists say. */
export type Condition =
  | { readonly kind: 'always' }
  | { readonly kind: 'either' | 'both'; readonly own: People; readonly far: People };

interface SettingBase {
  readonly condition: Condition;
  readonly enforcement: Enforcement;
  /** Whom of its own side the setting always asks for, as far as a table can hold it; nobody under monitor. */
  readonly tableKeys: TableKeys;
  /** {@link tableKeys}, for look-ups. */
  readonly tableIndex: TableKeysIndex;
  /** The same text for the same table entries: what "the tables hold this" compares. '' where no table is concerned. */
  readonly tableText: string;
}

/** What a session has to have (contract section 5). */
export interface ReceiptSetting extends SettingBase {
  readonly hop: 'receipt';
  readonly minProtocol: TlsVersion;
  /** The rank of minProtocol, see versionRank in level.ts. */
  readonly minRank: number;
  /** Bits of the symmetric cipher. */
  readonly minCipherBits: number;
  readonly onFailure: 'reject' | 'defer';
}

/** What the next hop has to have (contract section 7). */
export interface DeliverySetting extends SettingBase {
  readonly hop: 'delivery';
  readonly level: Level;
  /** Postfix's `match=` patterns, for verify and secure; empty: the level's own default. */
  readonly certificateNames: readonly string[];
  /** SHA-256, in Postfix's colon form and lower case, for fingerprint. */
  readonly fingerprints: readonly string[];
  readonly minProtocol: TlsVersion;
  readonly ciphers: CipherGrade;
  readonly onFailure: 'defer' | 'bounce';
}

/** A setting that asks for TLS; `hop` tells which. */
export type Setting = ReceiptSetting | DeliverySetting;

/**
 * Whether the setting asks for TLS between these two (contract section 3, `require_tls` and `when`). `own` is the
 * address at the hosted domain: the recipient of incoming, the sender of outgoing mail.
 */
export function isRequired(setting: Setting, own: Address, far: Address): boolean {
  const { condition } = setting;
  switch (condition.kind) {
    case 'always':
      return true;
    case 'either':
      return condition.own.match(own) !== undefined || condition.far.match(far) !== undefined;
    case 'both':
      return condition.own.match(own) !== undefined && condition.far.match(far) !== undefined;
  }
}

/** The name of the list that an own or far side stands for. */
export function listName(flow: Flow, side: 'own' | 'far'): 'senders' | 'recipients' {
  return (flow === 'incoming') === (side === 'own') ? 'recipients' : 'senders';
}
