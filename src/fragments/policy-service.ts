/**
 * How Postfix reaches the policy service that listens at an address of `server.listen`. Pure.
 */

/** `inet:127.0.0.1:10040`, `unix:/run/tlswarden/policy`; a listener on all addresses is reached by loopback. */
export function policyServiceAt(listen: string): string {
  if (listen.startsWith('unix:')) return listen;
  const colon = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, colon), listen.slice(colon + 1)];
  const reached = host === '0.0.0.0' || host === '*' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return `inet:${reached}:${port}`;
}
