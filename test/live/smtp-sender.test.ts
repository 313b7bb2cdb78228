// The session by which doctor sends its own mail, with servers that will not have it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { SessionTrouble, SmtpSender } from '../../src/live/smtp-sender.ts';

describe('a session of doctor --live', () => {
  for (const [what, replies, message] of [
    ['greets with a refusal', ['554 5.7.1 no'], /^greets with "554 5.7.1 no"$/u],
    ['refuses EHLO', ['220 mx.test', '502 5.5.1 no'], /^answers EHLO with "502 5.5.1 no"$/u],
  ] as const) {
    test(`is over where the server ${what} and waits`, { timeout: 10_000 }, async () => {
      const server = createServer({ allowHalfOpen: true });
      try {
        await once(server.listen(0, '127.0.0.1'), 'listening');
        const { port } = server.address() as AddressInfo;
        const ended = once(server, 'connection').then(async ([socket]: readonly Socket[]) => {
          const [greeting, answer] = replies;
          socket?.write(`${greeting}\r\n`);
          socket?.once('data', () => answer !== undefined && socket.write(`${answer}\r\n`));
          await once(socket as Socket, 'end');
          socket?.destroy();
        });
        const opening = SmtpSender.open({ host: '127.0.0.1', port }, 'doctor.test', new AbortController().signal);
        await assert.rejects(opening, (error) => error instanceof SessionTrouble && message.test(error.message));
        await ended;
      } finally {
        server.close();
      }
    });
  }
});
