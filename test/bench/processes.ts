/**
 * What the kernel says of processes, from outside of them: CPU time, memory, open files. Linux alone; it changes nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in ticks of 10 ms (proc(5), `sysconf(_SC_CLK_TCK)`). */
const TICK_US = 10_000;

/**
 * CPU time of processes so far, user and system, with all their threads and the children that they have waited for, in
 * microseconds. Processes that are gone count as nothing.
 */
export function cpuMicroseconds(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    try {
      // In nanoseconds, where /proc/PID/stat has ticks; but the children's.
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]) / 1000;
      }
      const stat = statOf(pid);
      sum += (Number(stat[13]) + Number(stat[14])) * TICK_US;
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return sum;
}

/** Resident memory of a process in MB. */
export function residentMegabytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return (Number(match?.[1] ?? 0) * 1024) / 1_000_000;
}

/** Open file descriptors of a process. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The processes of a session: whoever called setsid(2), and all that it started. */
export function sessionOf(leader: number): readonly number[] {
  const members: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/u.test(name)) continue;
    try {
      const stat = statOf(Number(name));
      if (Number(stat[3]) === leader && stat[0] !== 'Z') members.push(Number(name));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return members;
}

/** The fields of /proc/PID/stat from the third on, `state`. */
function statOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}
