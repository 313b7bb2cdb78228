/**
 * Whether the running Postfix knows what stands in its files: they are read at a start, a reload, and by each new process.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { PostfixConfiguration } from './postfix-configuration.ts';

/** What the running Postfix shows of itself. */
export interface RunningPostfix {
  /** When its queue manager was started, which is at each reload; milliseconds since the epoch. undefined: not known. */
  readonly since: number | undefined;
  /** When main.cf and master.cf were changed last. */
  readonly changed: number;
  /** Names of the UNIX sockets of its services: those of master.cf that it knows. undefined: they cannot be seen. */
  readonly sockets: ReadonlySet<string> | undefined;
}

/** undefined: it does not run. `hidden`: only root can see whether it does. */
export async function readRunning(postfix: PostfixConfiguration): Promise<RunningPostfix | 'hidden' | undefined> {
  const queue = postfix.value('queue_directory');
  const text = await readFile(join(queue, 'pid', 'master.pid'), 'utf8').catch((error: NodeJS.ErrnoException) =>
    error.code === 'EACCES' ? undefined : '',
  );
  if (text === undefined) return 'hidden';
  const master = Number(text.trim());
  if (!Number.isInteger(master) || master <= 0) return undefined;
  // A number that was left behind may be somebody else's by now.
  if ((await processOf(master))?.name !== 'master') return undefined;
  const changes = ['main.cf', 'master.cf'].map((name) =>
    stat(join(postfix.directory, name)).then(({ mtimeMs }) => mtimeMs),
  );
  return {
    since: await startOfQueueManager(master),
    changed: Math.max(...(await Promise.all(changes))),
    sockets: await readdir(join(queue, 'private')).then(
      (names) => new Set(names),
      () => undefined,
    ),
  };
}

/** proc_pid_stat(5) counts in these; Linux has no other number for user space. */
const TICKS_PER_SECOND = 100;

async function startOfQueueManager(master: number): Promise<number | undefined> {
  // btime of proc_stat(5) is in whole seconds; this is in hundredths.
  const uptime = Number((await readFile('/proc/uptime', 'utf8').catch(() => '')).split(' ', 1)[0]);
  const booted = Date.now() - uptime * 1000;
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/u.test(pid)) continue;
    const found = await processOf(Number(pid));
    if (found?.parent === master && found.name === 'qmgr' && uptime > 0) {
      return booted + (found.startTicks / TICKS_PER_SECOND) * 1000;
    }
  }
  return undefined;
}

async function processOf(
  pid: number,
): Promise<{ readonly name: string; readonly parent: number; readonly startTicks: number } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [, name, rest = ''] = /^\d+ \((.*)\) (.*)$/su.exec(text) ?? [];
  if (name === undefined) return undefined;
  const fields = rest.split(' ');
  return { name, parent: Number(fields[1]), startTicks: Number(fields[19]) };
}

/** A file's time and a process's are told by different clocks. */
const SLACK_MS = 500;

/** `running`: what {@link readRunning} gives, `hidden` but for. */
export function examineRunning(
  { postfix, fragments, mending }: Host,
  running: RunningPostfix | undefined,
): readonly Finding[] {
  if (running === undefined) {
    return [
      {
        id: 'postfix-not-running',
        severity: 'advice',
        where: postfix.directory,
        what: 'This Postfix does not run.',
        why: 'What stands in its files is what is told here.',
        mend: mending.start,
      },
    ];
  }
  const { sockets, since, changed } = running;
  const unknown = fragments.services
    .map(({ service }) => service)
    .filter((service) => postfix.services.some(({ name }) => name === service))
    .find((service) => sockets !== undefined && !sockets.has(service.slice(0, service.lastIndexOf('/'))));
  if (unknown === undefined && (since === undefined || changed <= since + SLACK_MS)) return [];
  return [
    {
      id: 'reload-due',
      severity: 'fault',
      where: postfix.directory,
      what:
        unknown === undefined
          ? 'main.cf or master.cf was changed after Postfix has read them.'
          : `master.cf has ${unknown}, and the running Postfix does not know it yet.`,
      why: 'Some of its processes still go by what stood there before.',
      mend: mending.reload,
    },
  ];
}
