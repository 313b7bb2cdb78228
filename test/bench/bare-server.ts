/**
 * What the service is measured against: a Node server that answers a constant to whatever comes. It does not even look for
 * the end of a request, which of a client like Postfix, that sends each in one piece and waits, is all the same.
 */
import { createServer } from 'node:net';

const ANSWER = Buffer.from('action=DUNNO\n\n');

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', () => socket.write(ANSWER));
  socket.on('error', () => socket.destroy());
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
