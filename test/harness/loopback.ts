// Addresses of the test's own. All of 127.0.0.0/8 is this machine, so every server of a test gets a random address there
// and its well-known port: port 25 for a destination that is found by MX, port 53 for a name server.
// Never gives 127.0.x.y, where the machine's own services are.

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** A random address in 127.0.0.0/8. */
export function randomLoopbackAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}

/**
 * Calls `bind` with random loopback addresses until one is not in use, and returns what it returns.
 */
export async function onFreeLoopbackAddress<T>(bind: (address: string) => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await bind(randomLoopbackAddress());
    } catch (error) {
      if (attempts === 20 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') {
        throw error;
      }
    }
  }
}

/** A loopback address on which the TCP port is free, for a server that another process will start. */
export async function freeLoopbackAddress(port: number): Promise<string> {
  return await onFreeLoopbackAddress(
    (address) =>
      new Promise<string>((resolve, reject) => {
        const probe = createServer();
        probe.once('error', reject);
        probe.listen(port, address, () => {
          probe.close(() => resolve(address));
        });
      }),
  );
}

/** A TCP port that is free on an address now, for a server that another process will start. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, address, () => {
      const bound = probe.address();
      probe.close(() => {
        if (bound === null || typeof bound === 'string') {
          reject(new Error(`no port on ${address}`));
        } else {
          resolve(bound.port);
        }
      });
    });
  });
}
