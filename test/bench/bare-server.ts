/**
 * What the service is measured against: a Node server that finds the end of each request and answers a constant. It
 * reads nothing of a request and could not do the job.
 */
import { createServer } from 'node:net';

const ANSWER = Buffer.from('action=DUNNO\n\n');
const LF = 0x0a;

const server = createServer({ noDelay: true }, (socket) => {
  let last = 0;
  socket.on('data', (chunk) => {
    let requests = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (byte === LF && last === LF) requests += 1;
      last = byte;
    }
    if (requests === 1) socket.write(ANSWER);
    else if (requests > 1) socket.write(Buffer.concat(new Array<Buffer>(requests).fill(ANSWER)));
  });
  socket.on('error', () => socket.destroy());
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
