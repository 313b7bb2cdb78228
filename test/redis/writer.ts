// Writes changes whose halves can be told: a number that stands twice in one domain, and in two domains that change together.

import assert from 'node:assert/strict';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { HostedDomain } from '../../src/settings/hosted-domain.ts';
import type { Settings } from '../../src/settings/settings.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import type { Panel } from './host.ts';

const FIRST = 'first.example' as DomainName;
const SECOND = 'second.example' as DomainName;

/** What `min_cipher_bits` takes; where writes fail at once there are more of them, and the numbers begin again. */
const MOST = 4096;

export class Writer {
  readonly #panel: Panel;
  #last = 0;

  constructor(panel: Panel) {
    this.#panel = panel;
  }

  /** Writes the next number. If that fails, nobody knows whether it was written. */
  async write(): Promise<void> {
    this.#last = (this.#last % MOST) + 1;
    await this.#panel.set({ [FIRST]: record(this.#last), [SECOND]: record(this.#last) });
  }

  /** Fails if these settings hold half a change. */
  check(settings: Settings): void {
    const [first, second] = [settings.find(FIRST), settings.find(SECOND)];
    if (first === undefined && second === undefined) return;
    assert.equal(numberOf(first), numberOf(second));
  }

  isLast(settings: Settings | undefined): boolean {
    return settings !== undefined && numberOf(settings.find(FIRST)) === this.#last;
  }
}

function record(n: number): Table {
  return { nexthop: `[mx${n}.example]:25`, incoming: { receipt: { require_tls: 'always', min_cipher_bits: n } } };
}

/** The one number that both places say. */
function numberOf(domain: HostedDomain | undefined): number {
  const bits = domain?.settings.incoming.receipt?.minCipherBits ?? -1;
  assert.equal(domain?.nexthop, `[mx${bits}.example]:25`);
  return bits;
}
