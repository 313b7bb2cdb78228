import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { likelyMeant } from '../../src/toml/likely-meant.ts';

describe('a misspelt word', () => {
  it('probably means the word that differs least', () => {
    assert.equal(likelyMeant('requiretls', ['require_tls', 'recipients']), 'require_tls');
    assert.equal(likelyMeant('Always', ['never', 'always', 'specific']), 'always');
    assert.equal(likelyMeant('colour', ['never', 'always', 'specific']), undefined);
  });

  it('means none of several that differ as little', () => {
    assert.equal(likelyMeant('TLSv1.4', ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']), undefined);
  });

  it('means the one that it begins, or that begins it', () => {
    assert.equal(likelyMeant('warning', ['fatal', 'error', 'warn', 'info']), 'warn');
    assert.equal(likelyMeant('min_cipher', ['require_tls', 'min_protocol', 'min_cipher_bits']), 'min_cipher_bits');
    assert.equal(likelyMeant('min_', ['require_tls', 'min_protocol', 'min_cipher_bits']), undefined);
  });
});
