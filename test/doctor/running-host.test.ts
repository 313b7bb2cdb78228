// doctor on a host of the test's own with systemd as its init, where Postfix and the units run: what is found is what was done to
// it, and the commands that doctor prints, typed there as they are printed, end it. Findings that are only about what stands in
// files are doctor.test.ts's.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../../src/doctor/finding.ts';
import { downloadPackages, isDebian, isInstalled } from '../debian-packages.ts';
import { selfSignedCertificate } from '../harness/certificates.ts';
import { SystemdHost } from '../harness/systemd-host.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { idsOf } from './patient.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

const MAIN_CF = `
compatibility_level = 3.6
myhostname = mx.test
mydestination = $myhostname
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
alias_maps =
recipient_delimiter = +
maillog_file = /var/log/mail.log
relay_domains = example.com, by-mx.example, firm.example
transport_maps = inline:{ { example.com = smtp:[mx.example.com]:25 }, { firm.example = smtp:[mx.firm.example]:25 } }
`;

const SETTINGS = `
[domains."example.com"]
nexthop = "[mx.example.com]:25"
[domains."example.com".incoming.receipt]
require_tls = "always"
[domains."example.com".incoming.delivery]
require_tls = "always"

[domains."by-mx.example".incoming.delivery]
require_tls = "always"
level = "secure"

[domains."firm.example"]
nexthop = "[mx.firm.example]:25"
[domains."firm.example".outgoing.delivery]
require_tls = "always"
`;

const MAIN_FILE = '/etc/tlswarden/tlswarden.toml';
/** What is typed on the host writes here: it has no terminal. */
const SAID = '/tmp/said';

/** What takes long is tried on demand. */
const LONG = process.env['LONG'] === '1';

/** A resolver that validates `org` without asking anybody: the zone is its own, signed by the key that it trusts. */
const RESOLVER_CONF = `
server:
    trust-anchor-file: "/etc/unbound/org.key"
auth-zone:
    name: "org."
    zonefile: "/etc/unbound/org.zone"
    for-downstream: no
    for-upstream: yes
`;

const ORG_ZONE = `
org. 3600 IN SOA ns.org. root.org. 1 3600 600 86400 60
org. 3600 IN NS ns.org.
ns.org. 3600 IN A 192.0.2.53
`;

const workspace = await Workspace.create();
after(() => workspace.dispose());

/** Why no resolver can be installed on the host, which has no network: packages have to be there before it boots. */
const noResolver = getResolver();
const booted = await SystemdHost.boot(workspace);

function getResolver(): string | false {
  if (!LONG) return 'LONG=1 is not set';
  if (!isDebian()) return 'this is no Debian system';
  if (isInstalled('unbound')) return 'unbound is installed on this machine';
  return downloadPackages(['unbound', 'ldnsutils'], workspace.path('archives')) ?? false;
}

suite('doctor on a running host', { skip: 'reason' in booted ? booted.reason : false }, () => {
  const host = booted as SystemdHost;

  /** Has doctor look; or have it look by a command, as at a host that is otherwise. */
  async function doctor(by: readonly string[] = []): Promise<readonly Finding[]> {
    const [program = '', ...args] = [...by, 'tlswarden', '--json', 'doctor'];
    const { stdout, stderr } = await host.attempt(program, args);
    assert.notEqual(stdout, '', stderr);
    return (JSON.parse(stdout) as { readonly findings: readonly Finding[] }).findings;
  }

  /** Types commands as they are printed, each once, one after the other; says yes to whatever asks. */
  async function type(commands: readonly string[]): Promise<void> {
    const once = commands.filter((command, i) => commands.lastIndexOf(command) === i);
    const { status } = await host.attempt('sh', ['-ec', `exec > ${SAID} 2>&1\n${once.join('\n')}`], 'y\n');
    if (status !== 0) assert.fail(`${once.join('\n')}\n${await host.sh(`cat ${SAID}`)}`);
  }

  /** Finds these and nothing else; all that is printed ends them. What is restarted needs a moment. */
  async function cures(expected: readonly string[], by: readonly string[] = []): Promise<void> {
    const findings = await doctor(by);
    assert.deepEqual(idsOf(findings), [...expected].sort(), JSON.stringify(findings, undefined, 1));
    await type(findings.flatMap(({ mend }) => mend));
    let left = findings;
    await waitFor(
      async () => {
        left = await doctor(by);
        return left.length === 0;
      },
      () => `an end of ${JSON.stringify(left, undefined, 1)}`,
    );
  }

  before(async () => {
    const { certificateFile, keyFile } = await selfSignedCertificate(workspace, ['mx.test']);
    const files = {
      '/etc/postfix/main.cf': `${MAIN_CF}smtpd_tls_chain_files = ${keyFile}, ${certificateFile}\n`,
      '/etc/tlswarden/domains.d/all.toml': SETTINGS,
      '/usr/bin/tlswarden': '#!/bin/sh\nexec /usr/bin/node /usr/lib/tlswarden/dist/src/main.js "$@"\n',
    };
    // A bind mount, since a unit sees nothing below /home or /tmp.
    await host.sh(`
      mkdir -p /usr/lib/tlswarden /etc/tlswarden/domains.d
      mount --bind '${repository}' /usr/lib/tlswarden
      cp /usr/lib/tlswarden/postfix/example/tlswarden.toml ${MAIN_FILE}
      cp /usr/lib/tlswarden/systemd/* /etc/systemd/system/
      ${Object.entries(files)
        .map(([path, text]) => `cat > ${path} << 'END'\n${text}END`)
        .join('\n')}
      chmod 755 /usr/bin/tlswarden
      systemctl daemon-reload`);
  });

  test('tells a host that has Postfix, the units and settings all that there is to do', async () => {
    await cures([
      'advice postfix-not-running',
      'advice smtp-tls-off',
      'breach service-not-asked',
      'breach table-not-referenced',
      'fault no-authorities',
      'fault plaintext-reject-code',
      'fault receipt-class',
      'fault service-silent',
      'fault smtpd-tls-off',
      'fault tables-stale',
      'fault transport-missing',
    ]);
  });

  test('starts what has stopped', async () => {
    await host.sh('postfix stop; systemctl stop tlswarden.socket tlswarden.service');
    await cures(['advice postfix-not-running', 'fault service-silent']);
    await host.sh('systemctl start tlswarden-maps.service');
    await waitFor(async () => (await host.journal()).includes('"watching"'), 'the table writer to work');
  });

  test('has Postfix read what was edited', async () => {
    // What is changed within a moment of a start cannot be told from what was there before; and programs of Postfix wait for
    // a file that has just been changed, lest it be half written.
    await waitFor(async () => {
      await host.sh("postconf -e 'smtpd_banner = hello'; touch --date='2 seconds ago' /etc/postfix/main.cf");
      return (await doctor()).length > 0;
    }, 'the change to be found');
    await cures(['fault reload-due']);
  });

  test('has Postfix, the service and the table writer know what was edited, and whatever it changes', async () => {
    await host.sh(`
      sed -i 's|^# *\\[receipt\\]|[receipt]|; s|^# *exempt_clients.*|exempt_clients = ["192.0.2.0/24"]|' ${MAIN_FILE}
      postconf -e "smtpd_recipient_restrictions = permit_mynetworks, $(postconf -h smtpd_recipient_restrictions)" \\
        recipient_delimiter=- 'relayhost = [relay.example]:25'
      postconf -MX tlswarden-encrypt/unix
      touch --date='1 minute ago' /etc/postfix/main.cf /etc/postfix/master.cf
      postfix reload
      : > /etc/postfix/tlswarden/current/transport`);
    await cures([
      'breach next-hop-differs',
      'breach recipient-delimiter',
      'breach relayhost',
      'breach service-behind',
      'breach service-behind-permit',
      'breach tables-damaged',
      'fault transport-missing',
    ]);
  });

  test('gives a host a resolver that validates', { skip: noResolver }, async () => {
    await host.sh(`
      cp ${workspace.path('archives')}/*.deb /var/cache/apt/archives/
      apt-get install --yes --no-install-recommends ldnsutils
      mkdir -p /etc/unbound/unbound.conf.d
      cd /etc/unbound
      cat > unbound.conf.d/org.conf << 'END'
${RESOLVER_CONF}END
      cat > org << 'END'
${ORG_ZONE}END
      key=$(ldns-keygen -a ECDSAP256SHA256 -k org)
      ldns-signzone -f org.zone org $key
      mv $key.key org.key
      postconf -e "relay_domains = $(postconf -h relay_domains), dane.example"
      cat > /etc/tlswarden/domains.d/dane.toml << 'END'
[domains."dane.example"]
nexthop = "[relay.example]:25"
[domains."dane.example".incoming.delivery]
require_tls = "always"
level = "dane-only"
END`);
    await cures(['fault resolver-not-validating', 'fault transport-missing']);
  });

  test('starts the service, and starts it and the table writer anew, where no systemd does', async () => {
    await host.sh('systemctl stop tlswarden.socket tlswarden.service tlswarden-maps.service');
    const say = (word: string): Promise<boolean> =>
      waitFor(async () => (await host.sh(`cat ${SAID}`)).includes(`"${word}"`), `a process to say that it is ${word}`);
    const away = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run/systemd; exec "$@"', 'sh'];
    await cures(['fault service-silent'], away);
    await type(['tlswarden maps --watch &']);
    await say('watching');
    await host.sh(`sed -i 's/^recipient_delimiter.*/recipient_delimiter = "+"/' ${MAIN_FILE}`);
    await cures(['breach recipient-delimiter'], away);
    await say('watching');
    // Which it could not be if the one before still held its address.
    await say('ready');
  });
});
