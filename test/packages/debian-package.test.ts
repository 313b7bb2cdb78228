// The Debian package: what is in it; and, where the machine allows a host of the test's own with systemd as its init, its whole
// life there, from installation to purge, with the units at work.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { attempt, run } from '../harness/command.ts';
import { SystemdHost } from '../harness/systemd-host.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import type { Seen } from '../systemd/postfix-like-clients.ts';
import { redisDropIn } from '../systemd/redis-drop-in.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const clients = fileURLToPath(new URL('../systemd/postfix-like-clients.js', import.meta.url));

const workspace = await Workspace.create();
after(() => workspace.dispose());
const build = join(repository, 'packaging', 'debian', 'build');
const deb = (await run(build, [workspace.path('deb')])).trim();
const booted = await SystemdHost.boot(workspace);

/** What takes long is tried on demand. */
const long = process.env['LONG'] === '1' ? false : 'LONG=1 is not set';

const SERVICES = ['tlswarden.service', 'tlswarden-maps.service'];
const UNITS = ['tlswarden.socket', ...SERVICES];

suite('the Debian package', () => {
  test('holds what runs, and its documentation, as root', async () => {
    const lines = (await run('dpkg-deb', ['--contents', deb])).trimEnd().split('\n');
    assert.deepEqual(
      lines.filter((line) => line.split(/\s+/u)[1] !== 'root/root'),
      [],
    );
    const files = lines.filter((line) => !line.startsWith('d')).map((line) => line.replace(/^(?:\S+\s+){5}\./u, ''));
    const expected = [
      /^\/etc\/tlswarden\/tlswarden\.toml$/u,
      /^\/usr\/bin\/tlswarden -> \.\.\/lib\/tlswarden\/dist\/src\/main\.js$/u,
      /^\/usr\/lib\/systemd\/system\/tlswarden(?:-maps)?\.(?:service|socket)$/u,
      /^\/usr\/lib\/tlswarden\/(?:package\.json|(?:dist\/src|node_modules)\/.+\.[cm]?js(?:on)?)$/u,
      /^\/usr\/share\/bash-completion\/completions\/tlswarden$/u,
      /^\/usr\/share\/doc\/tlswarden\/(?:README\.md|changelog\.gz|changelog\.Debian\.gz|copyright|examples\/.+)$/u,
      /^\/usr\/share\/man\/man(?:8\/tlswarden\.8|5\/tlswarden\.toml\.5)\.gz$/u,
      /^\/usr\/share\/zsh\/vendor-completions\/_tlswarden$/u,
    ];
    const unexpected = files.filter((file) => !expected.some((pattern) => pattern.test(file)));
    assert.deepEqual(unexpected, []);
    for (const pattern of expected)
      assert.ok(
        files.some((file) => pattern.test(file)),
        String(pattern),
      );
    assert.deepEqual(
      files.filter((file) => /\/tests?\/|\.test\.|fast-check|typescript/u.test(file)),
      [],
    );
  });

  test('runs by itself', async () => {
    const root = workspace.path('root');
    await run('dpkg-deb', ['--extract', deb, root]);
    const { version } = JSON.parse(await run('node', ['-p', `JSON.stringify(require('${repository}package.json'))`]));
    assert.equal(await run(join(root, 'usr/bin/tlswarden'), ['--version']), `${version}\n`);
    const config = join(root, 'etc/tlswarden/tlswarden.toml');
    assert.match(await run(join(root, 'usr/bin/tlswarden'), ['--config', config, 'check']), /^no domains|^0 domains/u);
  });

  test('is made of the same bytes again', { skip: long }, async () => {
    const again = (await run(build, [workspace.path('again')])).trim();
    await run('cmp', [deb, again]);
  });

  const lintian = long || (existsSync('/usr/bin/lintian') ? false : 'lintian is not installed');
  test('has nothing that lintian calls an error', { skip: lintian }, async () => {
    const { status, stdout } = await attempt('lintian', ['--fail-on=error', deb]);
    assert.equal(status, 0, stdout);
  });
});

suite('the Debian package on a host', { skip: 'reason' in booted ? booted.reason : false }, () => {
  const host = booted as SystemdHost;

  async function install(file: string): Promise<void> {
    // Where Node.js is no Debian package, it is there all the same.
    const { status } = await host.attempt('dpkg', ['--status', 'nodejs']);
    const force = status === 0 ? [] : ['--force-depends'];
    await host.run('dpkg', ...force, '--force-confold', '--install', file);
  }

  /** The service's answer about plaintext mail from someone to an address. */
  async function answer(recipient: string): Promise<string> {
    const request = [
      'request=smtpd_access_policy',
      'protocol_state=RCPT',
      'sender=someone@partner.example',
      `recipient=${recipient}`,
      'encryption_protocol=',
    ];
    const script = 'exec 3<>/dev/tcp/127.0.0.1/10040; printf "$0\\n\\n" >&3; head -n 1 <&3';
    return (await host.run('bash', '-c', script, request.join('\\n'))).trim();
  }

  async function isRefused(domain: string): Promise<boolean> {
    return (await answer(`info@${domain}`)).startsWith('action=550 5.7.10 ');
  }

  /** Whether the tables in force ask for TLS of mail to a domain. */
  async function holds(domain: string): Promise<boolean> {
    return (await host.sh('cat /etc/postfix/tlswarden/current/receipt_access')).includes(`\n${domain} `);
  }

  async function activeUnits(): Promise<readonly string[]> {
    return (await host.attempt('systemctl', ['is-active', ...UNITS])).stdout.trim().split('\n');
  }

  /** Does something while Postfix asks, which must not notice. */
  async function unnoticed(body: () => Promise<void>): Promise<void> {
    const asking = host.start('node', clients, '127.0.0.1:10040');
    const said = createInterface(asking.stdout)[Symbol.asyncIterator]();
    assert.equal((await said.next()).value, 'asking');
    await body();
    asking.stdin.end();
    const seen = JSON.parse((await said.next()).value) as Seen;
    assert.deepEqual({ refused: seen.refused, lost: seen.lost }, { refused: 0, lost: 0 });
    assert.ok(seen.answered > 0);
  }

  const mainCf = [
    'compatibility_level = 3.6',
    'myhostname = gateway.example',
    // postmap(1) looks for these on this host's interfaces.
    'inet_interfaces = 127.0.0.1, 192.0.2.1',
    'maillog_file = /var/log/mail.log',
  ];
  let before: readonly string[] = [];

  test('puts the units to work', async () => {
    await host.sh(
      `ip address add 192.0.2.1/32 dev lo; mkdir -p /etc/postfix; printf '%s\\n' '${mainCf.join("' '")}' > /etc/postfix/main.cf`,
    );
    before = host.added();
    await install(deb);
    assert.deepEqual(await activeUnits(), ['active', 'active', 'active']);
    const { stdout } = await host.attempt('systemctl', ['is-enabled', ...UNITS]);
    assert.deepEqual(stdout.trim().split('\n'), ['enabled', 'enabled', 'enabled']);
    assert.match(await host.property('tlswarden.service', 'StatusText'), /^answers on 127\.0\.0\.1:10040$/u);
    assert.equal(await answer('info@example.com'), 'action=DUNNO');
    await waitFor(
      () => host.attempt('test', ['-e', '/etc/postfix/tlswarden/stamp.json']).then(({ status }) => status === 0),
      'tables',
    );
    assert.doesNotMatch(await host.journal(), /warning|error|fatal/iu);
  });

  test('has the service run as nobody that anybody else is, and neither unit with a capability', async () => {
    const uids: string[] = [];
    for (const unit of SERVICES) {
      const status = await host.run('cat', `/proc/${await host.property(unit, 'MainPID')}/status`);
      assert.match(status, /^CapEff:\s+0+$/mu);
      assert.match(status, /^CapBnd:\s+0+$/mu);
      assert.match(status, /^NoNewPrivs:\s+1$/mu);
      assert.match(status, /^Seccomp:\s+2$/mu);
      uids.push(/^Uid:\s+(\d+)/mu.exec(status)?.[1] ?? '');
    }
    const [service, maps] = uids;
    assert.ok(Number(service) >= 61184 && Number(service) <= 65519, service);
    assert.equal(maps, '0');
  });

  test('has a change in the settings in the tables within seconds, whoever makes it', async () => {
    await host.run('tlswarden', 'domains', 'set', 'one.example', 'incoming.receipt', 'require_tls=always');
    await waitFor(() => holds('one.example'), 'the domain that a command has set');
    const two = '[domains."two.example".incoming.receipt]\\nrequire_tls = "always"\\n';
    await host.sh(`cd /etc/tlswarden/domains.d; printf '${two}' > .two.swp; mv .two.swp two.toml`);
    await waitFor(() => holds('two.example'), 'the domain that an editor has saved');
    await waitFor(
      async () => /^action=550 5\.7\.10 /u.test(await answer('info@two.example')),
      'the service to know it',
    );
    await host.sh('rm /etc/tlswarden/domains.d/two.toml');
    await waitFor(async () => !(await holds('two.example')), 'the domain to be gone');
  });

  test('has Postfix, when it runs, read anew what it reads once', async () => {
    await host.run('postfix', 'start');
    await host.sh(
      `sed -i 's/^# *\\[receipt\\]/[receipt]/; s/^# *exempt_clients.*/exempt_clients = ["192.0.2.0\\/24"]/' /etc/tlswarden/tlswarden.toml`,
    );
    await host.run('systemctl', 'restart', 'tlswarden-maps.service');
    await waitFor(async () => /reload -- version/u.test(await host.sh('cat /var/log/mail.log')), 'Postfix to reload');
    await host.run('postfix', 'stop');
  });

  test('refuses no connection and loses no request while the service restarts', async () => {
    await unnoticed(async () => {
      for (let restart = 0; restart < 3; restart += 1) await host.run('systemctl', 'restart', 'tlswarden.service');
    });
  });

  test('tells systemd of a reload', async () => {
    await host.run('systemctl', 'reload', 'tlswarden.service');
    await waitFor(
      async () => (await host.property('tlswarden.service', 'StatusText')) === 'settings read again',
      'the status to change',
    );
    assert.equal(await host.property('tlswarden.service', 'ActiveState'), 'active');
  });

  test('is started again when it hangs, the socket staying open', { skip: long }, async () => {
    const directory = '/run/systemd/system/tlswarden.service.d';
    await host.sh(
      `mkdir -p ${directory}; printf '[Service]\\nWatchdogSec=2\\nRestartSec=0\\n' > ${directory}/watchdog.conf`,
    );
    await host.sh('systemctl daemon-reload; systemctl restart tlswarden.service');
    const hung = await host.property('tlswarden.service', 'MainPID');
    await host.run('kill', '-STOP', hung);
    assert.ok(await isRefused('one.example'));
    await host.sh(`rm -r ${directory}; systemctl daemon-reload`);
    assert.notEqual(await host.property('tlswarden.service', 'MainPID'), hung);
  });

  test('keeps what was counted, for root to read', async () => {
    await host.run('systemctl', 'restart', 'tlswarden.service');
    assert.match(await host.run('tlswarden', 'report'), /two\.example/u);
  });

  test('follows a Redis on another host with what the README has added, and starts without it from the snapshot', {
    skip: long,
  }, async () => {
    const main = '/etc/tlswarden/tlswarden.toml';
    const url = '/etc/tlswarden/redis-url';
    await host.sh(`
      ip address add 192.0.2.10/32 dev lo
      cp ${main} ${main}.kept
      sed -i 's|^source = .*|source = "redis://settings.example"\\nsnapshot = "/var/lib/tlswarden/snapshot"|' ${main}
      umask 077; echo redis://:secret@192.0.2.10/0 > ${url}`);
    const redis = host.start(
      'redis-server',
      '--bind',
      '192.0.2.10',
      '--requirepass',
      'secret',
      '--save',
      '',
      '--dir',
      '/tmp',
    );
    const ended = once(redis, 'close');
    const set = ['domains', 'set', 'redis.example', 'incoming.receipt', 'require_tls=always'];
    const command = ['env', `TLSWARDEN_REDIS_URL_FILE=${url}`, 'tlswarden', ...set];
    await waitFor(async () => (await host.attempt('env', command.slice(1))).status === 0, 'Redis to hold a domain');
    await host.run('systemctl', 'restart', ...SERVICES);
    assert.equal(await answer('info@redis.example'), '', 'the unit may not reach another host unless it is told so');
    for (const service of SERVICES) {
      const directory = `/etc/systemd/system/${service}.d`;
      await host.sh(`mkdir ${directory}; cat > ${directory}/override.conf << 'END'\n${redisDropIn('192.0.2.10')}END`);
    }
    await host.sh(`systemctl daemon-reload; systemctl restart ${SERVICES.join(' ')}`);
    await waitFor(() => isRefused('redis.example'), 'the service to know the domain');
    await waitFor(() => holds('redis.example'), 'the tables to hold the domain');
    await host.run('env', ...command.slice(1).map((word) => word.replace('redis.example', 'later.example')));
    await waitFor(() => isRefused('later.example'), 'the service to follow a change');
    await waitFor(() => holds('later.example'), 'the tables to follow a change');
    redis.kill();
    await ended;
    await host.run('systemctl', 'restart', 'tlswarden.service');
    assert.ok(await isRefused('redis.example'), await host.journal());
    await host.sh(`mv ${main}.kept ${main}; rm -r ${url} /etc/systemd/system/tlswarden*.d; systemctl daemon-reload`);
    await host.run('systemctl', 'restart', ...SERVICES);
    await waitFor(() => holds('one.example'), 'the tables to hold what the directory says again');
  });

  test('keeps an edited main file on upgrade, refuses nobody meanwhile, and then is the new version', async () => {
    const newer = workspace.path('newer');
    await run('dpkg-deb', ['--raw-extract', deb, newer]);
    await run('sed', ['-i', 's/^Version: .*/Version: 99.0-1/', join(newer, 'DEBIAN/control')]);
    await run('sed', ['-i', 's/"version": ".*"/"version": "99.0.0"/', join(newer, 'usr/lib/tlswarden/package.json')]);
    await run('sh', ['-c', `echo '# new' >> '${newer}/etc/tlswarden/tlswarden.toml'`]);
    const upgrade = workspace.path('newer.deb');
    await run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', newer, upgrade]);
    await host.sh("echo '# edited' >> /etc/tlswarden/tlswarden.toml");
    const pids = await Promise.all(SERVICES.map((service) => host.property(service, 'MainPID')));
    await unnoticed(() => install(upgrade));
    assert.match(await host.sh('cat /etc/tlswarden/tlswarden.toml'), /# edited\n$/u);
    assert.deepEqual(await activeUnits(), ['active', 'active', 'active']);
    const later = await Promise.all(SERVICES.map((service) => host.property(service, 'MainPID')));
    assert.ok(later.every((pid, i) => pid !== pids[i]));
    assert.equal(await host.run('tlswarden', '--version'), '99.0.0\n');
    assert.ok(await isRefused('one.example'));
  });

  test('leaves a unit disabled on upgrade that the administrator has disabled', { skip: long }, async () => {
    await host.run('systemctl', 'disable', '--now', 'tlswarden-maps.service');
    await install(deb);
    assert.deepEqual(await activeUnits(), ['active', 'active', 'inactive']);
    await host.run('systemctl', 'enable', '--now', 'tlswarden-maps.service');
  });

  test('stops when it is removed, keeping the settings, and says so if Postfix still asks it', async () => {
    await host.sh(
      "echo 'smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:10040 # tlswarden' >> /etc/postfix/main.cf",
    );
    const { stderr } = await host.attempt('dpkg', ['--remove', 'tlswarden']);
    assert.match(stderr, /main\.cf still refers to tlswarden/u);
    assert.deepEqual(await activeUnits(), ['inactive', 'inactive', 'inactive']);
    await host.run('test', '-e', '/etc/tlswarden/domains.d/one.example.toml');
    await host.run('test', '-e', '/etc/postfix/tlswarden/current/transport');
  });

  test('leaves nothing behind when it is purged', async () => {
    await host.run('dpkg', '--purge', 'tlswarden');
    const others = /^\/var\/(?:log|tmp|lib\/dpkg|lib\/postfix|spool\/postfix|cache)\/|^\/tmp\//u;
    assert.deepEqual(
      host.added().filter((path) => !before.includes(path) && !others.test(path)),
      [],
    );
    assert.equal((await host.attempt('getent', ['passwd', 'tlswarden'])).stdout, '');
  });
});
