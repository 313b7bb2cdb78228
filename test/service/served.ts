// A policy server of a test's own, on a port of its own, gone when the test is.

import type { TestContext } from 'node:test';
import type { ListenAddress } from '../../src/service/listen-address.ts';
import { type PolicyHandler, PolicyServer } from '../../src/service/server.ts';
import { HeldClock } from './held-clock.ts';
import { KeptLog } from './kept-log.ts';
import { PolicyClient } from './policy-client.ts';

export interface Served {
  readonly server: PolicyServer;
  readonly log: KeptLog;
  readonly clock: HeldClock;
  readonly address: string;
  client(): Promise<PolicyClient>;
}

const ANY_PORT: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** Starts a server; `handler` answers WARN and the recipient when it is not given. */
export async function serve(
  t: TestContext,
  options: { readonly handler?: PolicyHandler; readonly maxConnections?: number; readonly listen?: ListenAddress } = {},
): Promise<Served> {
  const log = new KeptLog();
  const clock = new HeldClock();
  const server = new PolicyServer({
    handler: options.handler ?? (({ recipient }) => `WARN ${recipient}`),
    log,
    maxConnections: options.maxConnections ?? 100,
    clock,
  });
  const clients: PolicyClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    await server.stop();
  });
  await server.listen([options.listen ?? ANY_PORT], { allowRemote: false });
  const [address = ''] = server.addresses;
  return {
    server,
    log,
    clock,
    address,
    async client() {
      const client = await PolicyClient.to(address);
      clients.push(client);
      return client;
    },
  };
}
