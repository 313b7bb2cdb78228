/**
 * How many files this process may have open, connections among them (RLIMIT_NOFILE). Beyond it the kernel lets connections
 * wait or fall away without a word, and settings cannot be read: so that the service turns clients away before.
 */
import { readFileSync } from 'node:fs';

/** Files that are no connections: settings, tables, the log, Redis, metrics, Node's own. */
const RESERVE = 128;

/** The most connections that there is room for; undefined: nobody says. */
export function roomForConnections(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return undefined;
  }
  // Node raises the soft limit to the hard one when it starts.
  const soft = /^Max open files +(\d+)/mu.exec(limits)?.[1];
  return soft === undefined ? undefined : Math.max(1, Number(soft) - RESERVE);
}
