// What the README has the administrator add to the units for Redis on another host.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The text of the drop-in, and in it another address for the README's. */
export function redisDropIn(address = '192.0.2.10'): string {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const [, text] = /```ini\n(\[Service\]\n[^`]*IPAddressAllow=[^`]*)```/u.exec(readme) ?? [];
  assert.ok(text !== undefined, 'the README shows no drop-in for Redis');
  return text.replace(/(?<=^IPAddressAllow=).*/mu, address);
}
