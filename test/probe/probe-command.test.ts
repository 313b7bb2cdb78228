// `tlswarden probe` as one types it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertNamedAsSettings } from '../commands/json-keys.ts';
import { Authority, type Certificate, selfSignedCertificate } from '../harness/certificates.ts';
import { attempt, type CommandResult, run } from '../harness/command.ts';
import { Destination } from '../harness/destination.ts';
import { NameServer } from '../harness/name-server.ts';
import { Workspace } from '../harness/workspace.ts';
import { scripted, startScriptedServer } from './scripted-server.ts';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const main = fileURLToPath(new URL(`../../src/main.${extension}`, import.meta.url));

interface Site {
  readonly workspace: Workspace;
  readonly names: NameServer;
  readonly certificate: Certificate;
  readonly server: Destination;
  probe(...args: readonly string[]): Promise<CommandResult>;
}

/** A site that hosts example.com, whose MX host is mx1.example.com. */
async function siteOf(t: TestContext, settings = '[domains."example.com"]\n'): Promise<Site> {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const names = await NameServer.start(workspace);
  const certificate = await authority.issue(['mx1.example.com']);
  const server = await Destination.start(workspace, { certificate });
  names.set('example.com', { mx: ['10 mx1.example.com'] });
  names.set('mx1.example.com', { a: [server.address] });
  const config = await workspace.write('tlswarden.toml', '');
  await workspace.write('domains.d/example.toml', settings);
  const always = ['--config', config, 'probe', '--resolver', names.address, '--ca', authority.caFile];
  return {
    workspace,
    names,
    certificate,
    server,
    probe: (...args) => attempt(process.execPath, [main, ...always, ...args]),
  };
}

describe('tlswarden probe', () => {
  test('tells hosts, protocols, certificate, levels and the setting that would work', async (t) => {
    const { probe, server, certificate } = await siteOf(t);
    const { status, stdout, stderr } = await probe('Example.COM');
    assert.deepEqual([status, stderr], [0, '']);
    const date = /\(\d{4}-\d\d-\d\d\)/u;
    assert.deepEqual(
      stdout
        .replace(date, '(date)')
        .replace(/in \d+ days?/u, 'in n days')
        .split('\n'),
      [
        'example.com, by its MX records',
        '  mx1.example.com (MX 10)',
        `    ${server.address} offers STARTTLS: TLSv1.3, TLS_AES_256_GCM_SHA384, 256 bits`,
        '      protocols    TLSv1.3 TLSv1.2; not TLSv1.1 TLSv1',
        '      certificate  for mx1.example.com',
        '                   issued by Test authority authority; trusted',
        '                   expires in n days (date)',
        `      SHA-256      ${certificate.certificateFingerprint}`,
        `      public key   ${certificate.publicKeyFingerprint}`,
        '      TLSA         none',
        '      encrypt      works',
        '      fingerprint  works',
        '      dane-only    does not work: it has no TLSA records',
        '      verify       works',
        '      secure       works',
        '  Strongest that works: level secure, TLSv1.3 or newer',
        '',
        '  tlswarden domains set example.com incoming.delivery require_tls=always level=secure',
        '',
      ],
    );
  });

  test('says what it says as one JSON document', async (t) => {
    const { probe, server, certificate } = await siteOf(t);
    const { status, stdout } = await probe('--json', 'example.com');
    assert.equal(status, 0);
    const document = JSON.parse(stdout);
    assertNamedAsSettings(document);
    const [domain] = document.domains;
    assert.deepEqual(Object.keys(domain), [
      ...[
        'domain',
        'nexthop',
        'nexthop_from',
        'could_require',
        'problem',
        'mx_authenticated',
        'hosts',
        'hosts_skipped',
      ],
      ...['all_hosts', 'setting', 'suggestion'],
    ]);
    assert.equal(domain.could_require, true);
    assert.equal(domain.all_hosts.strongest_level, 'secure');
    assert.equal(domain.suggestion.level, 'secure');
    const [address] = domain.hosts[0].addresses;
    assert.deepEqual(
      [address.address, address.port, address.outcome, address.starttls, address.protocol, address.bits],
      [server.address, 25, 'tls', true, 'TLSv1.3', 256],
    );
    assert.equal(address.protocols['TLSv1.3'].outcome, 'works');
    assert.equal(address.certificate.fingerprint, certificate.certificateFingerprint);
    assert.deepEqual(address.levels.verify, { works: true, reason: null });
    assert.deepEqual(address.levels['dane-only'], { works: false, reason: 'it has no TLSA records' });
  });

  test('fails if TLS could not be required of every domain, and says so of each', async (t) => {
    const { probe, workspace, names } = await siteOf(t);
    const plain = await Destination.start(workspace);
    names.set('plain.example', { mx: ['10 mx.plain.example'] });
    names.set('mx.plain.example', { a: [plain.address] });
    names.set('null.example', { mx: ['0 .'] });
    const { status, stdout } = await probe('example.com', 'plain.example', 'null.example');
    assert.equal(status, 1);
    assert.match(stdout, /level secure/);
    assert.match(stdout, /TLS cannot be required: it offers no STARTTLS/);
    assert.match(
      stdout,
      /null\.example\n {2}takes no mail: it has a null MX record \(RFC 7505\); nothing was probed\./,
    );
  });

  test('fails if one of the hosts is not reached, and tells what holds on the others', async (t) => {
    const { probe, workspace, names } = await siteOf(t);
    const gone = await Destination.start(workspace);
    await gone.down();
    names.set('example.com', { mx: ['10 mx1.example.com', '20 mx2.example.com'] });
    names.set('mx2.example.com', { a: [gone.address] });
    const { status, stdout } = await probe('example.com');
    assert.equal(status, 1);
    assert.match(stdout, /refuses the connection/);
    assert.match(stdout, /On the hosts that were reached works: level secure/);
    assert.match(stdout, /Not reached, and so not known: mx2\.example\.com/);
  });

  test('looks where the settings send the mail, and holds them against what it sees', async (t) => {
    const site = await siteOf(t);
    const other = await Destination.start(site.workspace, { certificate: site.certificate });
    const settings = [
      '[domains."example.com"]',
      'aliases = ["example.net"]',
      `nexthop = "${other.nexthop}"`,
      '[domains."example.com".incoming.delivery]',
      'require_tls = "always"',
      'level = "secure"',
      'certificate_names = "mail.example.com"',
      '',
    ].join('\n');
    await site.workspace.write('domains.d/example.toml', settings);
    const { status, stdout } = await site.probe('example.net');
    assert.equal(status, 0);
    assert.match(stdout, /^example\.net, by the next hop of its settings \[127\./);
    assert.match(
      stdout,
      /as it is set, level secure, does not work: its certificate is for mx1\.example\.com, not for mail\.example\.com/,
    );
    assert.match(
      stdout,
      /domains set example\.com incoming\.delivery require_tls=always level=fingerprint fingerprints=\S+ certificate_names=$/m,
    );
    const { stdout: overridden } = await site.probe('example.net', '--nexthop', site.server.nexthop);
    assert.match(overridden, /^example\.net, by --nexthop/);
    assert.match(overridden, new RegExp(`${site.server.address.replaceAll('.', '\\.')} offers STARTTLS`));
  });

  test('prints a command that makes the setting, and the setting then works', async (t) => {
    const site = await siteOf(t);
    const own = await selfSignedCertificate(site.workspace, ['mx1.example.com']);
    const [old, pinned] = await Promise.all([
      Destination.start(site.workspace, { certificate: own, minVersion: 'TLSv1', maxVersion: 'TLSv1' }),
      Destination.start(site.workspace, { certificate: own }),
    ]);
    for (const { nexthop } of [old, pinned, site.server]) {
      const { stdout } = await site.probe('example.com', '--nexthop', nexthop);
      const command = /^ {2}tlswarden (domains set .*)$/mu.exec(stdout)?.[1];
      assert.ok(command !== undefined, stdout);
      const config = site.workspace.path('tlswarden.toml');
      await run('sh', ['-c', `"$0" "$1" --config "$2" ${command}`, process.execPath, main, config]);
      const after = await site.probe('example.com');
      const settings = await readFile(site.workspace.path('domains.d', 'example.toml'), 'utf8');
      assert.equal(/TLSv1"/u.test(settings), nexthop === old.nexthop, settings);
      assert.match(after.stdout, /Its incoming\.delivery as it is set, level \S+, works\./);
      assert.ok(after.stdout.includes(nexthop));
    }
  });

  test('lets no server write to the terminal', async (t) => {
    const { probe, workspace, names } = await siteOf(t);
    const server = await startScriptedServer(
      workspace,
      scripted({ connect: '220 x\r\n', EHLO: '550-\u001b[2J\u0007\r\n550 \u202egone\u009b\r\n' }),
    );
    names.set('mx1.example.com', { a: [server.address] });
    for (const json of [[], ['--json']]) {
      const { status, stdout, stderr } = await probe('example.com', ...json);
      assert.deepEqual([status, stderr], [1, '']);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may come out
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u);
      assert.match(stdout, /gone/);
    }
  });

  test('takes a part of a second for a step', async (t) => {
    const { probe } = await siteOf(t);
    const { stdout, stderr } = await probe('nowhere.example', '--timeout', '1.00001');
    assert.match(stdout, /nothing was probed/u, stderr);
  });

  test('takes nothing that makes no sense', async (t) => {
    const { probe } = await siteOf(t);
    const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
      [[], /missing required argument/],
      [['no domain'], /is no valid domain name/],
      [
        ['[mx.example]:25'],
        /a server is named beside its domain: tlswarden probe DOMAIN --nexthop '\[mx\.example\]:25'/,
      ],
      [['example.com', '--nexthop', '[x'], /is no next hop/],
      [['example.com', '--timeout', '0'], /is no number of seconds/],
      [['example.com', '--timeout', 'soon'], /is no number of seconds/],
      [['example.com', '--resolver', 'dns.example'], /is no address/],
      [['example.com', '--ca', '/nonexistent'], /--ca: .* cannot be read/],
      [['example.com', '--ca', main], /holds no certificate/],
    ];
    for (const [args, message] of wrong) {
      const { status, stdout, stderr } = await probe(...args);
      assert.deepEqual([status, stdout], [2, ''], args.join(' '));
      assert.match(stderr, message);
    }
  });
});
