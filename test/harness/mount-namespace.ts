// The processes of a mount namespace: how a test finds each process that it caused, also those that left their process
// group. Reads /proc; never touches the namespace that this process itself is in.

import { readdirSync, readlinkSync } from 'node:fs';

/** The mount namespace of a process, `mnt:[…]`; undefined if the process is gone. */
export function mountNamespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/** The processes that live in a mount namespace other than our own. Those that have ended do not count. */
export function processesInMountNamespace(namespace: string): readonly number[] {
  if (namespace === mountNamespaceOf('self')) {
    throw new Error('this is the namespace that the test itself runs in');
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => mountNamespaceOf(pid) === namespace);
}

/** Ends all processes of a mount namespace at once. */
export function killMountNamespace(namespace: string): void {
  for (const pid of processesInMountNamespace(namespace)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended on its own.
    }
  }
}
