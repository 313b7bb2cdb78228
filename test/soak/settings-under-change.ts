// The settings of the soak: domains whose right answers are obvious, and two that change all the time, in numbered versions. Knows
// which versions there may be at a moment. Never looks at an answer.

import type { Table } from '../../src/toml/table-reader.ts';
import { Panel } from '../redis/host.ts';

/** The right answers; `version` and `parity` follow the version of the settings that was in force. */
export type Answer =
  | { readonly kind: 'exactly' | 'begins'; readonly action: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'parity' };

/** How a version of the settings shows in the next hop of `versions.example`. */
const BEFORE_VERSION = 'FILTER tlswarden-encrypt:[v';
const AFTER_VERSION = '.versions.example]:25';

/** The domains that stay as they are. */
export function lastingDomains(nexthop: string): Readonly<Record<string, Table>> {
  return {
    'always.example': { nexthop, incoming: { receipt: { require_tls: 'always' } } },
    'never.example': { nexthop, incoming: { receipt: { require_tls: 'never' } } },
    'listed.example': { nexthop, incoming: { receipt: { require_tls: 'specific', senders: ['*@bank.example'] } } },
    'strong.example': { nexthop, incoming: { receipt: { require_tls: 'always', min_protocol: 'TLSv1.2' } } },
    'strict.example': { nexthop, incoming: { delivery: { require_tls: 'always' } } },
    'firm.example': { nexthop, outgoing: { delivery: { require_tls: 'specific', senders: ['payroll'] } } },
  };
}

/** Whoever changes the settings, one version after another. */
export class SettingsUnderChange {
  readonly #panel: Panel;
  /** The newest version that may be in force anywhere. */
  begun = 0;
  /** The newest version that Redis is known to hold. */
  written = 0;

  constructor(url: string) {
    this.#panel = new Panel(url);
  }

  async begin(nexthop: string): Promise<void> {
    await this.#panel.set(lastingDomains(nexthop));
    await this.change();
  }

  /** Writes the next version: both changing domains in one change. */
  async change(): Promise<void> {
    this.begun += 1;
    await this.#panel.set({
      'versions.example': {
        nexthop: `[v${this.begun}${AFTER_VERSION}`,
        incoming: { delivery: { require_tls: 'always' } },
      },
      'parity.example': { incoming: { receipt: { require_tls: this.begun % 2 === 1 ? 'always' : 'never' } } },
    });
    this.written = this.begun;
  }

  /** The version that an answer for `versions.example` names. */
  static versionIn(action: string): number | undefined {
    if (!action.startsWith(BEFORE_VERSION) || !action.endsWith(AFTER_VERSION)) return undefined;
    const version = Number(action.slice(BEFORE_VERSION.length, -AFTER_VERSION.length));
    return Number.isInteger(version) ? version : undefined;
  }
}

/**
 * Whether an answer is right while the versions `oldest` to `newest` may be in force.
 */
export function isRight(action: string, wanted: Answer, oldest: number, newest: number): boolean {
  switch (wanted.kind) {
    case 'exactly':
      return action === wanted.action;
    case 'begins':
      return action.startsWith(wanted.action);
    case 'version': {
      const version = SettingsUnderChange.versionIn(action);
      return version !== undefined && version >= oldest && version <= newest;
    }
    case 'parity': {
      const parity = action.startsWith('550 5.7.10 ') ? 1 : action === 'DUNNO' ? 0 : undefined;
      return parity !== undefined && (newest > oldest || newest % 2 === parity);
    }
  }
}

/** What is right, in words. */
export function wordAnswer(wanted: Answer, oldest: number, newest: number): string {
  if (wanted.kind === 'exactly' || wanted.kind === 'begins') return wanted.action;
  return `${wanted.kind} of versions ${oldest} to ${newest}`;
}
