/**
 * How the bytes of an accepted connection reach us: through one buffer that all connections share, net.Socket's option
 * `onread`, instead of 64 KiB allocated, trimmed and passed through a stream for each read, which costs a
 * good part of all that a request of Postfix does.
 *
 * Node offers `onread` to sockets that it connects, not to those that it accepts, so an accepted socket's handle is
 * moved to a socket that has it. That is not documented; where it does not look as expected, the accepted socket
 * itself is used, with its 'data' events, which behaves the same and costs more.
 */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/** As much as is read at once: many requests of Postfix, and little enough that others wait for no time worth speaking of. */
export const READ_BYTES = 16_384;

/** Valid until the next read of any connection, that is while the {@link BytesReader} runs. */
const sharedBytes = Buffer.alloc(READ_BYTES);
const sharedView = viewOf(sharedBytes);

/** Takes the first `length` bytes that have come, in `bytes` and its view; keeps neither. */
export type BytesReader = (bytes: Buffer, view: DataView, length: number) => void;

/** The view of a whole buffer. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The socket to use from now on, which reads from the accepted connection. It is half-open like the accepted one. */
export function readFrom(accepted: Socket, reader: BytesReader): Socket {
  const handle = takeHandle(accepted);
  if (handle === undefined) {
    accepted.on('data', (chunk: Buffer) => reader(chunk, viewOf(chunk), chunk.length));
    return accepted;
  }
  const options: SocketConstructorOpts & { readonly handle: object; readonly onread: OnReadOpts } = {
    handle,
    allowHalfOpen: accepted.allowHalfOpen,
    onread: {
      buffer: sharedBytes,
      callback(length) {
        reader(sharedBytes, sharedView, length);
        return true;
      },
    },
  };
  return new Socket(options);
}

function takeHandle(accepted: Socket): object | undefined {
  const owner = accepted as unknown as { _handle?: { readonly useUserBuffer?: unknown } | null };
  const handle = owner._handle;
  if (typeof handle?.useUserBuffer !== 'function') return undefined;
  owner._handle = null;
  // Without a handle this closes nothing; it takes the connection off its server's count.
  accepted.destroy();
  return handle;
}
