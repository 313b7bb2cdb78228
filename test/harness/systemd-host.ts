// A mail host of the test's own with systemd as its init: an overlay of this machine's files in namespaces of its own, where
// packages can be installed and units started. What is done there is gone with it; this machine sees nothing of it, and
// none of its other services runs there. Where a machine does not allow such a thing, it says why.

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { attempt, type CommandResult } from './command.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

/** The program and the tests as they are built; the host has them at the same place, and so it has the workspace. */
const REPOSITORY = dirname(dirname(fileURLToPath(new URL('..', import.meta.url))));

/** Another system to make the host of, such as one of debootstrap(8); absent: this machine. */
const SYSTEM = process.env['TLSWARDEN_TEST_SYSTEM'] ?? '/';

const INIT = '/lib/systemd/systemd';

/** Where the host sees what it has changed of the system below. */
const CHANGES = '/run/changes';

/** Exit status of {@link SETUP} when the machine does not allow it. */
const NOT_ALLOWED = 77;

/**
 * Makes the host's files and becomes its init. $1 is an empty folder, $2 the system below, $3 a Node.js if that has none, the
 * rest folders that are shared. What reaches beyond the host (/sys, /proc/sys) is read-only; of the units that come with the
 * system only the journal is started.
 */
const SETUP = `
not_allowed() { echo "this machine allows no $1" >&2; exit ${NOT_ALLOWED}; }
place=$1 system=$2 node=$3; shift 3
root=$place/root
mount --make-rprivate / && mount -t tmpfs tmpfs "$place" || not_allowed 'mounting'
mkdir "$place/upper" "$place/work" "$root"
mount -t overlay overlay -o "lowerdir=$system,upperdir=$place/upper,workdir=$place/work" "$root" || not_allowed 'overlay'
mount -t proc proc "$root/proc" || not_allowed 'procfs of its own'
mount --bind "$root/proc/sys" "$root/proc/sys" && mount -o remount,bind,ro "$root/proc/sys" || not_allowed 'read-only /proc/sys'
mount -t sysfs sysfs "$root/sys" -o ro || not_allowed 'sysfs of its own'
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || not_allowed 'control groups of its own'
set -e
mount -t tmpfs tmpfs "$root/run" -o mode=755
mount -t tmpfs tmpfs "$root/dev" -o mode=755
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
ln -s pts/ptmx "$root/dev/ptmx"
for path; do
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
done
if ! [ -e "$root/usr/bin/node" ]; then
  touch "$root/usr/bin/node"
  mount --bind "$node" "$root/usr/bin/node"
fi
mkdir "$root${CHANGES}"
mount --bind "$place/upper" "$root${CHANGES}"
rm -f "$root/var/lib/man-db/auto-update"
rm -rf "$root"/etc/systemd/system/* "$root"/lib/systemd/system/*.target.wants "$root"/etc/rc?.d "$root/usr/sbin/policy-rc.d"
mkdir "$root/lib/systemd/system/sockets.target.wants"
ln -s /dev/null "$root/etc/systemd/system/tmp.mount"
ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$root/lib/systemd/system/sockets.target.wants/"
cd "$root"
pivot_root . mnt
umount -l /mnt
# As systemd would do if it did not see that it is in a container: credentials come by this way.
mount --make-rshared /
exec env -i container=test PATH="$PATH" ${INIT} --unit=multi-user.target --log-target=journal --show-status=no
`;

const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8', 'HOME=/root'];

export class SystemdHost {
  readonly #workspace: Workspace;
  readonly #pid: number;

  private constructor(workspace: Workspace, pid: number) {
    this.#workspace = workspace;
    this.#pid = pid;
  }

  /** Boots a host that lasts as long as the workspace; where that is not possible, why. */
  static async boot(workspace: Workspace): Promise<SystemdHost | { readonly reason: string }> {
    if (!existsSync(join(SYSTEM, INIT))) return { reason: 'there is no systemd on this machine' };
    const group = makeControlGroup();
    if (group === undefined) return { reason: 'this machine allows no control groups of its own' };
    workspace.push({ dispose: () => removeControlGroup(group), abandon: () => removeControlGroup(group) });

    const place = workspace.path('host');
    mkdirSync(place);
    const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--net', '--cgroup', '--fork', '--kill-child'];
    // Whatever becomes of the test, its host ends with it.
    const enter = `echo $$ > '${join(group, 'cgroup.procs')}' && exec setpriv --pdeathsig KILL unshare ${namespaces.join(' ')} sh -c "$@"`;
    const shared = [REPOSITORY, workspace.directory];
    const child = spawn('sh', ['-c', enter, 'host', SETUP, 'setup', place, SYSTEM, process.execPath, ...shared], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const kill = (): void => void child.kill('SIGKILL');
    workspace.push({
      dispose: () => {
        kill();
        return ended;
      },
      abandon: kill,
    });

    return await waitFor(
      async () => {
        if (child.exitCode === NOT_ALLOWED) return { reason: said.trim() };
        if (child.exitCode !== null)
          throw new Error(`the host has not come up (exit status ${child.exitCode}):\n${said}`);
        const pid = initOf(child);
        if (pid === undefined) return undefined;
        const host = new SystemdHost(workspace, pid);
        const { stdout } = await host.attempt('systemctl', ['is-system-running']);
        return stdout.trim() === 'running' ? host : undefined;
      },
      () => `the host to come up:\n${said}`,
      60_000,
    );
  }

  /** Runs a program on the host, as root, whatever its exit status. */
  async attempt(program: string, args: readonly string[], input?: string): Promise<CommandResult> {
    const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--net', '--cgroup'];
    const command = ['-t', String(this.#pid), ...namespaces, 'env', '-i', ...ENVIRONMENT, program, ...args];
    return await attempt('nsenter', command, input === undefined ? {} : { input });
  }

  /** Runs a program on the host, throws with all that it wrote unless it exits with 0, and gives its standard output. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.attempt(program, args);
    if (status === 0) return stdout;
    throw new Error(
      `${[program, ...args].join(' ')} exited with ${status}:\n${stderr}${stdout}${await this.journal()}`,
    );
  }

  /** Runs a shell script on the host. */
  async sh(script: string): Promise<string> {
    return await this.run('sh', '-ec', script);
  }

  /** Starts a program on the host, whose input and output are the caller's; it ends with the host. */
  start(program: string, ...args: readonly string[]): ChildProcessByStdio<Writable, Readable, null> {
    // It stays in this machine's process namespace: to enter another one nsenter has to fork, and would not pass a signal on.
    const command = ['-t', String(this.#pid), '--mount', '--net', 'env', '-i', ...ENVIRONMENT, program, ...args];
    const child = spawn('nsenter', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    const kill = (): void => void child.kill('SIGKILL');
    this.#workspace.push({ dispose: kill, abandon: kill });
    return child;
  }

  /** Files and folders that are here and not in the system below. */
  added(): readonly string[] {
    const changes = `/proc/${this.#pid}/root${CHANGES}`;
    const walk = (path: string): readonly string[] =>
      readdirSync(changes + path, { withFileTypes: true }).flatMap((entry) => {
        const inner = `${path}/${entry.name}`;
        // How overlayfs says that something is gone.
        if (entry.isCharacterDevice()) return [];
        const isNew = lstatSync(join(SYSTEM, inner), { throwIfNoEntry: false }) === undefined;
        return [...(isNew ? [inner] : []), ...(entry.isDirectory() ? walk(inner) : [])];
      });
    return walk('');
  }

  /** What systemd knows of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.run('systemctl', 'show', '--value', `--property=${name}`, unit)).trim();
  }

  /** The end of the journal: what units have said. */
  async journal(): Promise<string> {
    return (await this.attempt('journalctl', ['--no-pager', '--output=short-monotonic', '--lines=60'])).stdout;
  }
}

/** The init of a host: the one child of unshare(1). */
function initOf(unshare: ChildProcess): number | undefined {
  try {
    const children = readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').trim();
    if (!/^\d+$/u.test(children)) return undefined;
    // Until then it is still the shell that makes the host.
    return readFileSync(`/proc/${children}/comm`, 'utf8').trim() === 'systemd' ? Number(children) : undefined;
  } catch {
    return undefined;
  }
}

let groups = 0;

/** Makes a control group beside our own; undefined where that is not allowed. */
function makeControlGroup(): string | undefined {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '));
  const path = mount?.split(' ')[4];
  if (path === undefined) return undefined;
  groups += 1;
  const group = join(path, `tlswarden-test-${process.pid}-${groups}`);
  try {
    mkdirSync(group);
    // Wherever it may be made it may be joined, but for read-only mounts.
    writeFileSync(join(group, 'cgroup.procs'), '', { flag: 'r+' });
    return group;
  } catch {
    return undefined;
  }
}

/** Removes a control group with those in it, as soon as those that lived there have ended. */
function removeControlGroup(group: string): void {
  const tree = (path: string): readonly string[] => [
    ...readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? tree(join(path, entry.name)) : [],
    ),
    path,
  ];
  const deadline = Date.now() + 5_000;
  for (;;) {
    try {
      for (const path of tree(group)) rmdirSync(path);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
