// A policy service that listens on nothing but what systemd has passed in. A process of its own, for the tests.

import { takePassedSockets } from '../../src/service/passed-sockets.ts';
import { PolicyServer } from '../../src/service/server.ts';
import { KeptLog } from './kept-log.ts';

const sockets = takePassedSockets(process.env, process.pid);
const server = new PolicyServer({ handler: () => 'DUNNO', log: new KeptLog(), maxConnections: 10 });
try {
  await server.listen(sockets, { allowRemote: false });
  process.once('SIGTERM', () => void server.stop());
  process.stdout.write(`${JSON.stringify(server.addresses)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
  await server.stop();
}
