/**
 * Tells systemd how the service is, sd_notify(3): ready, reloading, stopping, status, watchdog.
 *
 * Node has no UNIX datagram sockets, so each message is a run of systemd-notify(1), which is there wherever systemd
 * is. The unit therefore needs `NotifyAccess=all`: the message comes from a child. systemd-notify of systemd 246 and
 * later waits until systemd has taken the message, so it cannot be lost by the child being gone too soon.
 *
 * Messages go out one after the other, in order. It never fails and never delays the service: without systemd it does
 * nothing, and when systemd-notify cannot be run it says so once, and tries again with the next message: a service that fell
 * silent for want of a process would be killed by its watchdog. While a child is started
 * nothing else runs, so none of this belongs in the path of a request, and a watchdog wants half a minute or more.
 */

import { spawn } from 'node:child_process';
import type { EventLog } from '../log/event-log.ts';

const COMMAND = 'systemd-notify';

/** Milliseconds after which a message is given up. */
const SEND_TIMEOUT_MS = 5_000;

/** Messages that may wait; more than these come from a loop that has gone wrong. */
const MAX_WAITING = 16;

/** One for the process, made before it starts any other child. */
export class ServiceNotifier {
  readonly #socket: string;
  readonly #log: EventLog;
  readonly #waiting: string[][] = [];
  #sent: Promise<void> = Promise.resolve();
  #isFailing = false;

  /** Milliseconds within which systemd wants to hear {@link watchdog}, undefined if it does not. */
  readonly watchdogMs: number | undefined;

  /**
   * Takes NOTIFY_SOCKET and the watchdog's variables out of the environment, so that no other child speaks for the
   * service. Without them every call does nothing.
   */
  constructor(environment: NodeJS.ProcessEnv, pid: number, log: EventLog) {
    this.#log = log;
    this.#socket = environment['NOTIFY_SOCKET'] ?? '';
    const watchdogPid = environment['WATCHDOG_PID'];
    const watchdogUsec = Number(environment['WATCHDOG_USEC']);
    const forUs = watchdogPid === undefined || watchdogPid === String(pid);
    this.watchdogMs = this.#socket !== '' && forUs && watchdogUsec > 0 ? watchdogUsec / 1000 : undefined;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']) delete environment[name];
  }

  /** Requests are answered from now on; also ends {@link reloading}. */
  ready(status: string): void {
    this.#notify(['READY=1', statusOf(status)]);
  }

  /** A reload has begun; `Type=notify-reload` asks for the monotonic clock, whose microseconds Node's hrtime counts. */
  reloading(): void {
    this.#notify(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`]);
  }

  /** The end has begun: from now on systemd counts TimeoutStopSec=. */
  stopping(): void {
    this.#notify(['STOPPING=1']);
  }

  /** A line for `systemctl status`. */
  status(status: string): void {
    this.#notify([statusOf(status)]);
  }

  /** The service is alive. */
  watchdog(): void {
    this.#notify(['WATCHDOG=1']);
  }

  /** Resolves when all messages so far are sent or given up; never rejects. */
  async settled(): Promise<void> {
    await this.#sent;
  }

  #notify(assignments: string[]): void {
    if (this.#socket === '' || this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(assignments);
    this.#sent = this.#sent.then(() => this.#sendNext());
  }

  async #sendNext(): Promise<void> {
    const assignments = this.#waiting.shift();
    if (assignments === undefined) return;
    const problem = await run(assignments, this.#socket);
    if (problem !== undefined && !this.#isFailing) {
      this.#log.warn({ command: COMMAND, problem }, 'cannot tell systemd how the service is');
    }
    this.#isFailing = problem !== undefined;
  }
}

/** One line: a line break would begin another assignment. */
function statusOf(status: string): string {
  return `STATUS=${status.replace(/[^\x20-\x7e]/g, ' ')}`;
}

/** Runs the command; what went wrong, if anything. */
function run(assignments: readonly string[], socket: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.name);
    try {
      const child = spawn(COMMAND, assignments, {
        env: { PATH: process.env['PATH'], NOTIFY_SOCKET: socket },
        stdio: 'ignore',
        timeout: SEND_TIMEOUT_MS,
      });
      child.on('error', fail);
      child.on('exit', (status, signal) => {
        resolve(status === 0 ? undefined : `${signal ?? `exit status ${status}`}`);
      });
    } catch (error) {
      // Thrown at once where the host lacks memory for another process.
      fail(error as NodeJS.ErrnoException);
    }
  });
}
