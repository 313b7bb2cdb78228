/**
 * What is found where smtp(8) may go on too long with a connection that is open. Pure.
 */
import { MOST_REUSE_S } from '../fragments/connection-reuse.ts';
import type { Finding } from './finding.ts';

/** Place and commands are the finder's. */
export function reuseFinding(time: string): Omit<Finding, 'where' | 'mend'> {
  return {
    id: 'connection-reuse',
    severity: 'breach',
    what: `It is ${time}; the service counts on ${MOST_REUSE_S}s at most.`,
    why: 'A domain that begins to ask for TLS may get mail by a plaintext session that is open already.',
  };
}
