/**
 * Drives a policy service over a number of connections, one request under way on each, as Postfix does; measures the
 * server's own CPU time from outside. It checks no answers.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** User and system time of a process so far, in microseconds. */
export function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime, in ticks of 10 ms (proc(5)).
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Resident memory of a process in MiB. */
export function residentMebibytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1] ?? 0) / 1024;
}

export interface LoadResult {
  readonly requests: number;
  /** The server's CPU time for one request, in microseconds. */
  readonly cpuPerRequest: number;
  /** Milliseconds from a request to its answer. */
  readonly p50: number;
  readonly p99: number;
}

/** Sends all requests, `connections` at a time. */
export async function drive(
  port: number,
  pid: number,
  connections: number,
  requests: readonly Buffer[],
): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const times: number[] = [];
  let next = 0;
  // Never asleep: else the server would pay for waking this process up, the more often the slower it is.
  let isDriving = true;
  const spin = (): void => {
    if (isDriving) setImmediate(spin);
  };
  spin();
  const before = cpuMicroseconds(pid);
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          let sentAt = 0;
          const send = (): void => {
            const request = requests[next++];
            if (request === undefined) {
              socket.end();
              resolve();
              return;
            }
            sentAt = performance.now();
            socket.write(request);
          };
          let tail = 0;
          socket.on('data', (chunk) => {
            tail = chunk[chunk.length - 1] ?? 0;
            if (tail !== 0x0a) return;
            times.push(performance.now() - sentAt);
            send();
          });
          socket.on('error', reject);
          socket.on('close', () =>
            next > requests.length ? resolve() : reject(new Error('the server closed a connection')),
          );
          send();
        }),
    ),
  );
  isDriving = false;
  const used = cpuMicroseconds(pid) - before;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { requests: times.length, cpuPerRequest: used / times.length, p50: at(0.5), p99: at(0.99) };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? 0)) / 2;
}
