/**
 * Whether anybody listens where Postfix is about to ask. It asks nothing.
 */
import { connect } from 'node:net';

const PATIENCE_MS = 2_000;

/** Why `inet:host:port` or `unix:/path` is not reached; undefined: it is. */
export function reachService(policyService: string): Promise<string | undefined> {
  const [kind, ...rest] = policyService.split(':');
  const address = rest.join(':');
  const colon = address.lastIndexOf(':');
  const target =
    kind === 'unix'
      ? { path: address }
      : { host: address.slice(0, colon).replace(/^\[|\]$/gu, ''), port: Number(address.slice(colon + 1)) };
  return new Promise((resolve) => {
    const socket = connect(target);
    const answer = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(PATIENCE_MS, () => answer('no answer'));
    socket.once('connect', () => answer(undefined));
    socket.once('error', (error) => answer(error.message));
  });
}
