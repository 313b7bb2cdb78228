/**
 * Socket activation, sd_listen_fds(3): the listening sockets that systemd has opened for this process. They take the
 * place of `server.listen`. Nothing is opened here.
 */

import type { ListenAddress } from './listen-address.ts';

/** SD_LISTEN_FDS_START: the first file descriptor passed in. */
const FIRST_FD = 3;

/**
 * Takes LISTEN_FDS and its companions out of the environment, so that no child believes that they are for it, and gives
 * the sockets: none if there are none or if they are for another process. LISTEN_FDNAMES means nothing here, every
 * socket is one of the service's. Call it once, early: children keep the variables until it has been called.
 */
export function takePassedSockets(environment: NodeJS.ProcessEnv, pid: number): readonly ListenAddress[] {
  const passedTo = environment['LISTEN_PID'];
  const passed = environment['LISTEN_FDS'];
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete environment[name];
  if (passedTo !== String(pid) || passed === undefined || !/^\d{1,4}$/.test(passed)) return [];
  return Array.from({ length: Number(passed) }, (_, index) => ({ kind: 'passed', fd: FIRST_FD + index }));
}
