/**
 * How Postfix reaches the policy service that listens at an address of `server.listen`. Pure.
 */

/** `inet:127.0.0.1:10040`, `unix:/run/tlswarden/policy`; a listener on all addresses is reached by loopback. */
export function policyServiceAt(listen: string): string {
  if (listen.startsWith('unix:')) return listen;
  const colon = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, colon), listen.slice(colon + 1)];
  const reached = host === '0.0.0.0' || host === '*' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return normalServiceAddress(`inet:${reached}:${port}`);
}

/** One spelling for one service: `inet:10040` and `inet:localhost:10040` are on 127.0.0.1. */
export function normalServiceAddress(address: string, queueDirectory = ''): string {
  const [type = '', rest = ''] = [address.slice(0, address.indexOf(':')), address.slice(address.indexOf(':') + 1)];
  if (type === 'unix') return `unix:${rest.startsWith('/') ? rest : `${queueDirectory}/${rest}`}`;
  if (type !== 'inet') return address;
  const host = rest.includes(':') ? rest.slice(0, rest.lastIndexOf(':')) : 'localhost';
  return `inet:${host.toLowerCase() === 'localhost' ? '127.0.0.1' : host}:${rest.slice(rest.lastIndexOf(':') + 1)}`;
}
