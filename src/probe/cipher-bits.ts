/**
 * How many bits of key a cipher has, from OpenSSL's or the standard's name for it: Node does not say. As OpenSSL counts.
 */

const PATTERNS: readonly (readonly [RegExp, number])[] = [
  [/CHACHA20/u, 256],
  [/(?:AES|CAMELLIA|ARIA)[-_]?256/u, 256],
  [/(?:AES|CAMELLIA|ARIA)[-_]?128/u, 128],
  [/3DES|DES[-_]CBC3/u, 112],
  [/SEED|RC4|IDEA/u, 128],
  [/NULL-|WITH_NULL/u, 0],
];

/** undefined for a cipher that is not known. */
export function cipherBits(name: string): number | undefined {
  return PATTERNS.find(([pattern]) => pattern.test(name))?.[1];
}
