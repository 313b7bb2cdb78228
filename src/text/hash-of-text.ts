/**
 * A text as a number of 32 bits, for tables that are kept in numbers. Not cryptographic: whoever knows the seed can find
 * texts that collide.
 */
import { codeAt } from './code-at.ts';

/** Equal for equal texts and seeds; spread over all 32 bits. */
export function hashOfText(text: string, seed: number): number {
  let hash = seed ^ text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ codeAt(text, i), 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x27d4eb2f);
  return hash ^ (hash >>> 13);
}
