// The keys of a JSON document that a command prints, at whatever depth.

import assert from 'node:assert/strict';

function keysOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(keysOf)];
}

/** Asserts that each is written as the keys of the settings are: `require_tls`. */
export function assertNamedAsSettings(document: unknown): void {
  const keys = keysOf(document);
  assert.ok(keys.length > 0);
  assert.deepEqual(
    keys.filter((key) => /[a-z][A-Z]/u.test(key)),
    [],
  );
}
