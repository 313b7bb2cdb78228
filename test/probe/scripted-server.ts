// An SMTP server on a loopback address of its own that does to each connection what the test says, sane or not. For what
// a destination never does: to hang, to send garbage, to break off.

import { createServer, type Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import { onFreeLoopbackAddress } from '../harness/loopback.ts';
import type { Workspace } from '../harness/workspace.ts';

export interface ScriptedServer {
  readonly address: string;
  /** How many connections there were. */
  readonly connections: number;
}

/** Starts a server; `serve` gets each connection as it comes. */
export async function startScriptedServer(
  workspace: Workspace,
  serve: (socket: Socket) => void,
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  const address = await onFreeLoopbackAddress(
    (at) =>
      new Promise<string>((resolve, reject) => {
        server.once('error', reject);
        server.listen(25, at, () => resolve(at));
      }),
  );
  workspace.push({
    dispose: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  });
  return {
    address,
    get connections() {
      return connections;
    },
  };
}

/** A session up to and with STARTTLS, in which TLS is then spoken on these terms; `serve` gets what is inside. */
export function upgrading(
  context: SecureContextOptions,
  serve: (socket: Socket) => void,
  go = '220 go on\r\n',
): (socket: Socket) => void {
  const greet = scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '' });
  return (socket) => {
    greet(socket);
    const onData = (piece: Buffer): void => {
      if (!piece.toString('latin1').toUpperCase().startsWith('STARTTLS')) return;
      socket.removeAllListeners('data');
      socket.write(go);
      const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(context) });
      secure.on('error', () => {});
      serve(secure);
    };
    socket.on('data', onData);
  };
}

/** Serves replies by the first word of each line; `connect` is the greeting. A reply of '' is none at all. */
export function scripted(replies: Readonly<Record<string, string>>): (socket: Socket) => void {
  return (socket) => {
    const say = (word: string): void => {
      const reply = replies[word] ?? '502 5.5.2 unknown command\r\n';
      if (reply !== '') socket.write(reply);
    };
    say('connect');
    let pending = '';
    socket.on('data', (piece: Buffer) => {
      pending += piece.toString('latin1');
      for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
        const word = pending.slice(0, end).split(' ', 1)[0] ?? '';
        pending = pending.slice(end + 2);
        say(word.toUpperCase());
      }
    });
  };
}
