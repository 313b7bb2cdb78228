// What doctor finds in configurations that are wrong, each in its own way, and that its commands, run as they are printed, mend
// it. No Postfix runs here: what is examined are its files, by its own programs.

import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { FINDING_IDS, type Finding } from '../../src/doctor/finding.ts';
import { selfSignedCertificate } from '../harness/certificates.ts';
import { NameServer } from '../harness/name-server.ts';
import { Workspace } from '../harness/workspace.ts';
import { idsOf, Patient } from './patient.ts';

const master = `
smtp      inet n - n - - smtpd
submission inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
rewrite   unix - - n - - trivial-rewrite
local     unix - n n - - local
virtual   unix - n n - - virtual
lmtp      unix - - n - - lmtp
error     unix - - n - - error
`;

/** Where a filter on this host gives mail back. */
const reinjection = `
127.0.0.1:10025 inet n - n - - smtpd
  -o content_filter=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_data_restrictions=reject_unauth_pipelining
`;

const settings = `
[domains."example.com"]
nexthop = "[mx.example.com]:25"
[domains."example.com".incoming.receipt]
require_tls = "always"
[domains."example.com".incoming.delivery]
require_tls = "specific"
recipients = "payroll"
senders = "*@bank.example"

[domains."by-mx.example"]
aliases = ["alias.example"]
[domains."by-mx.example".incoming.delivery]
require_tls = "always"
level = "secure"

[domains."firm.example"]
nexthop = "[mx.firm.example]:25"
[domains."firm.example".outgoing.delivery]
require_tls = "always"
`;

describe('doctor', { concurrency: 2 }, () => {
  let workspace: Workspace;
  let fresh: Patient;
  let healthy: Patient;
  let twins = 0;

  before(async () => {
    workspace = await Workspace.create();
    const { certificateFile, keyFile } = await selfSignedCertificate(workspace, ['mx.test']);
    fresh = await Patient.create(workspace, 'fresh', {
      main: [
        'compatibility_level = 3.6',
        'myhostname = mx.test',
        'mydestination = $myhostname',
        'mynetworks = 127.0.0.0/8',
        'alias_maps =',
        'recipient_delimiter = +',
        `smtpd_tls_chain_files = ${keyFile}, ${certificateFile}`,
        'smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination',
        'relay_domains = example.com, by-mx.example, alias.example, firm.example',
        'transport_maps = inline:{ { example.com = smtp:[mx.example.com]:25 }, { firm.example = relay:[mx.firm.example]:25 } }',
        '',
      ].join('\n'),
      master,
      settings,
    });
    healthy = await fresh.twin('healthy');
    await healthy.mend((await healthy.findings()).flatMap(({ mend }) => mend));
  });
  after(() => workspace.dispose());

  /** A healthy one that is then made ill. */
  async function ill(provoke: (patient: Patient) => Promise<void>): Promise<Patient> {
    twins += 1;
    const patient = await healthy.twin(`twin-${twins}`);
    await provoke(patient);
    return patient;
  }

  /** Finds these and nothing else. All that is printed, run as it is printed, ends them; then the tables may be due. */
  async function cures(patient: Patient, ...expected: readonly string[]): Promise<void> {
    const findings = await patient.findings();
    assert.deepEqual(idsOf(findings), [...expected].sort(), JSON.stringify(findings, undefined, 1));
    await patient.mend(findings.flatMap(({ mend }) => mend));
    const left = await patient.findings();
    assert.deepEqual(
      left.filter(({ id }) => id !== 'tables-stale'),
      [],
    );
    if (left.length === 0) return;
    await patient.mend(left.flatMap(({ mend }) => mend));
    assert.deepEqual(await patient.findings(), []);
  }

  /** What doctor's commands have set `postfix apply` leaves alone. */
  async function isKeptByApply(patient: Patient): Promise<void> {
    const [before, after] = [await patient.files(), await patient.mend([patient.apply]).then(() => patient.files())];
    assert.deepEqual(after, before);
  }

  test('finds what the README says, and nothing else', async () => {
    const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
    const section = readme.slice(
      readme.indexOf('## When something is wrong'),
      readme.indexOf('**`tlswarden doctor --live`**'),
    );
    const told = [...section.matchAll(/^\|(?:.*?\|)/gmu)].flatMap(([cell]) => cell.match(/(?<=`)[a-z-]+(?=`)/gu) ?? []);
    assert.deepEqual(told.sort(), [...FINDING_IDS].sort());
  });

  test('tells a Postfix that has never heard of tlswarden what it lacks, and finds nothing when that is done', async () => {
    assert.deepEqual(idsOf(await fresh.findings()), [
      'advice smtp-tls-off',
      'breach service-not-asked',
      'breach table-not-referenced',
      'fault no-authorities',
      'fault plaintext-reject-code',
      'fault receipt-class',
      'fault smtpd-tls-off',
      'fault tables-stale',
      'fault transport-missing',
    ]);
    assert.deepEqual(await healthy.findings(), []);
  });

  test('sees what somebody has changed since, and has `postfix apply` put it right', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({
        smtpd_recipient_restrictions: `permit_mynetworks, ${await patient.get('smtpd_recipient_restrictions')}`,
        smtpd_restriction_classes: 'tlswarden_tls, tls_required_enable',
        // Known to this Postfix, whatever its version, since it is a class.
        tls_required_enable: 'yes',
        tlswarden_tls: 'permit',
        plaintext_reject_code: '450',
        smtp_tls_security_level: 'none',
        transport_maps: `inline:{ { example.com = smtp:[mx.example.com]:25 } }, ${await patient.get('transport_maps')}`,
        sender_dependent_default_transport_maps: (await patient.get('sender_dependent_default_transport_maps')).replace(
          'lmdb:',
          'hash:',
        ),
        smtp_tls_policy_maps: `inline:{ { by-mx.example = may } }, ${await patient.get('smtp_tls_policy_maps')}`,
      });
      await patient.postconf('-P', 'tlswarden-secure/unix/smtp_tls_security_level=may');
      await patient.postconf('-MX', 'tlswarden-encrypt/unix');
    });
    await cures(
      patient,
      'advice smtp-tls-off',
      'breach policy-weakened',
      'breach receipt-class',
      'breach service-behind-permit',
      'breach table-not-first',
      'breach table-type',
      'breach tls-required-header',
      'breach transport-weakened',
      'fault plaintext-reject-code',
      'fault table-unreadable',
      'fault transport-missing',
    );
  });

  test('looks into what a service of master.cf sets for itself', async () => {
    const patient = await ill(async (patient) => {
      await patient.postconf('-P', 'submission/inet/smtpd_data_restrictions=permit');
      await patient.postconf('-P', 'relay/unix/smtp_tls_policy_maps=');
      await patient.postconf('-P', 'relay/unix/smtp_fallback_relay=[relay.example]');
      await patient.postconf('-P', 'relay/unix/smtp_connection_reuse_time_limit=1h');
      await patient.postconf(
        '-P',
        'rewrite/unix/transport_maps=inline:{example.com=smtp:[mx.example.com]:25,firm.example=smtp:[mx.firm.example]:25}',
      );
      await patient.postconf('-P', 'submission/inet/smtpd_discard_ehlo_keywords=starttls');
    });
    await cures(
      patient,
      'breach connection-reuse',
      'breach data-not-asked',
      'breach fallback-relay',
      'breach table-not-referenced',
      'fault smtpd-tls-off',
    );
  });

  test('knows what stands in the way of the settings', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({
        default_filter_nexthop: '[elsewhere.example]',
        soft_bounce: 'yes',
        parent_domain_matches_subdomains: 'relay_domains, transport_maps, smtpd_access_maps',
        smtp_connection_reuse_time_limit: '1h',
        smtp_tls_per_site: 'inline:{ { bank.example = MUST } }',
        smtp_fallback_relay: '[relay.example]',
        smtpd_tls_security_level: 'none',
        smtpd_tls_chain_files: '/nonexistent/chain.pem',
        recipient_delimiter: '-',
      });
    });
    await cures(
      patient,
      'breach connection-reuse',
      'breach default-filter-nexthop',
      'breach fallback-relay',
      'breach transport-weakened',
      'breach parent-domains',
      'breach recipient-delimiter',
      'fault per-site-ignored',
      'fault smtpd-certificate',
      'fault smtpd-tls-off',
      'fault soft-bounce',
    );
  });

  test('reads main.cf as it is written, and what else takes mail', async () => {
    const patient = await ill(async (patient) => {
      await patient.edit('config/main.cf', (text) => `${text}smtp_tls_loglevel = 1\nsmtp_tls_loglevel = 2\n`);
      await patient.edit('config/master.cf', (text) => `${text}628 inet n - n - - qmqpd\n`);
      await patient.set({
        sender_dependent_relayhost_maps: await patient.table('relays', '@firm.example [relay.example]\n'),
      });
    });
    await cures(patient, 'breach sender-relayhost', 'breach service-not-asked', 'fault entry-twice');
  });

  test('would have relayhost do what a wildcard does, which leaves no table of senders its turn', async () => {
    const patient = await ill(async (patient) => {
      const routes = await patient.table('routes', 'example.com smtp:[mx.example.com]:25\n* smtp:[relay.example]:25\n');
      await patient.set({ transport_maps: `${await patient.get('transport_maps')}, ${routes}` });
    });
    await cures(patient, 'breach next-hop-differs', 'breach outgoing-passed-by');
  });

  test('would have nothing in place of a wildcard that says what holds without it', async () => {
    const patient = await ill(async (patient) => {
      const routes = await patient.table('routes', 'example.com smtp:[mx.example.com]:25\n* smtp:\n');
      await patient.set({ transport_maps: `${await patient.get('transport_maps')}, ${routes}` });
    });
    await cures(patient, 'breach outgoing-passed-by');
  });

  test('takes recipient_delimiter for a set, whatever the order of its characters', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({ recipient_delimiter: '+-' });
      await patient.edit('tlswarden.toml', (text) => `addresses.recipient_delimiter = "-+"\n${text}`);
    });
    assert.deepEqual(await patient.findings(), []);
  });

  test('knows where Postfix completes addresses otherwise than the service, and writes several keys of one section', async () => {
    const origin = 'by-mx.example';
    const patient = await ill(async (patient) => {
      await patient.edit('config/mailname', () => `${origin}\nmore\n`);
      await patient.set({
        recipient_delimiter: '-',
        myorigin: `${patient.config}/mailname`,
        append_dot_mydomain: 'yes',
        mydomain: 'example',
      });
    });
    await cures(patient, 'breach append-dot-mydomain', 'breach myorigin', 'breach recipient-delimiter');
    await patient.edit('tlswarden.toml', (text) =>
      text
        .replace(/^addresses\.(.*)\n(.*\n)*addresses\.(.*)\n/mu, '')
        .concat('[addresses]\nmyorigin = "firm.example"\n'),
    );
    await patient.set({ recipient_delimiter: '+', myorigin: '$myhostname' });
    await cures(patient, 'fault myorigin');
    await patient.set({ recipient_delimiter: '-', myorigin: origin });
    await cures(patient, 'breach myorigin', 'breach recipient-delimiter');
  });

  test('writes into the main file in the form that stands there, also in braces', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({ recipient_delimiter: '-', relayhost: '[relay.example]:25' });
      await patient.edit('tlswarden.toml', (text) =>
        text
          .replace('[postfix]\nconfig_directory = "config"', '')
          .replace(/^/u, 'postfix = { config_directory = "config" }\n'),
      );
    });
    await cures(patient, 'breach next-hop-differs', 'breach recipient-delimiter', 'breach relayhost');
  });

  test('follows a relayhost that the main file does not know', async () => {
    const patient = await ill(async (patient) => await patient.set({ relayhost: '[relay.example]:25' }));
    await cures(patient, 'breach relayhost', 'breach next-hop-differs');
  });

  test('goes through each entrance as smtpd does', async () => {
    const patient = await ill(async (patient) => {
      const access = `check_recipient_access lmdb:${patient.directory}/maps/current/receipt_access`;
      const service = `inet:127.0.0.1:${patient.port}`;
      const call = (...more: readonly string[]): string => `check_policy_service { ${[service, ...more].join(', ')} }`;
      const action = '{ default_action = 451 4.3.5 TLS policy service is not available, try again later }';
      const entrances: readonly (readonly [name: string, ...options: readonly string[]])[] = [
        ['without-tlswarden', 'smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination'],
        ['behind-table', `smtpd_recipient_restrictions = check_client_access inline:{a=b}, ${access}, ${call()}`],
        ['lets-pass', `smtpd_recipient_restrictions = ${access}, ${call('{ default_action = DUNNO }')}`],
        ['refuses', `smtpd_recipient_restrictions = ${access}, ${call('{ default_action = 550 5.3.0 no }')}`],
        [
          'early',
          'smtpd_relay_restrictions =',
          `smtpd_recipient_restrictions = ${access}, ${call()}, permit_mynetworks, reject_unauth_destination`,
        ],
        ['elsewhere', `smtpd_recipient_restrictions = ${access}, ${call(action).replace(`:${patient.port}`, ':1')}`],
        ['without-table', `smtpd_recipient_restrictions = ${call()}`],
        ['delivery-only', `smtpd_recipient_restrictions = ${call('policy_context=delivery')}`],
        ['receipt-only', `smtpd_recipient_restrictions = ${access}, ${call('policy_context=receipt')}`],
        [
          'in-chroot',
          `smtpd_recipient_restrictions = ${access}, check_policy_service unix:${patient.directory}/policy`,
        ],
        [
          'undelayed',
          'smtpd_delay_reject = no',
          `smtpd_sender_restrictions = ${call()}`,
          'smtpd_recipient_restrictions =',
        ],
        ['by-sender-list', `smtpd_sender_restrictions = ${access}, ${call()}`, 'smtpd_recipient_restrictions ='],
      ];
      await patient.edit('config/master.cf', (text) =>
        [
          text.trimEnd(),
          ...entrances.map(([name, ...options], i) => {
            const chroot = name === 'in-chroot' ? 'y' : 'n';
            const lines = options.map((option) => `  -o { ${option} }\n`).join('');
            return `192.0.2.${i + 1}:25 inet n - ${chroot} - - smtpd\n  -o syslog_name=${name}\n${lines}`.trimEnd();
          }),
          '',
        ].join('\n'),
      );
    });
    await cures(
      patient,
      'breach default-action',
      'breach delivery-not-asked',
      'breach receipt-not-asked',
      'breach service-behind-permit',
      'breach service-not-asked',
      'fault default-action-refuses',
      'fault receipt-access-not-asked',
      'fault service-address',
      'fault service-before-relay-check',
      'fault service-outside-chroot',
    );
  });

  test('looks at the certificates and keys that smtpd reads, and at no others', async () => {
    const chains = await healthy.get('smtpd_tls_chain_files');
    const [keyFile = '', certificateFile = ''] = chains.split(', ');
    const unused = await ill((patient) => patient.set({ smtpd_tls_cert_file: '/nonexistent/unused.pem' }));
    assert.deepEqual(await unused.findings(), []);
    const both = { smtpd_tls_chain_files: '', smtpd_tls_cert_file: certificateFile, smtpd_tls_key_file: keyFile };
    const legacy = await ill((patient) => patient.set(both));
    await legacy.postconf('-P', `submission/inet/smtpd_tls_cert_file=${certificateFile}`);
    assert.deepEqual(await legacy.findings(), []);
    await cures(
      await ill((patient) => patient.set({ ...both, smtpd_tls_key_file: '/nonexistent/key.pem' })),
      'fault smtpd-certificate',
    );
    await cures(
      await ill((patient) => patient.set({ smtpd_tls_chain_files: '', smtpd_tls_cert_file: '/nonexistent/old.pem' })),
      'fault smtpd-certificate',
    );
    const none = await ill((patient) => patient.set({ smtpd_tls_chain_files: '', smtpd_tls_cert_file: 'none' }));
    const [found] = await none.findings();
    assert.match(found?.what ?? '', /has no certificate, without which most clients take no STARTTLS/u);
  });

  test('has a certificate made beside what is there, and writes over no key', async () => {
    const patient = await ill(async (patient) => {
      await patient.edit('config/smtpd.key', () => 'a key that somebody keeps here');
      await patient.set({ smtpd_tls_chain_files: `${patient.config}/smtpd.key, ${patient.config}/smtpd.pem` });
    });
    await cures(patient, 'fault smtpd-certificate');
    assert.equal(await readFile(`${patient.config}/smtpd.key`, 'utf8'), 'a key that somebody keeps here');
  });

  test('leaves a submission service closed to strangers, who are refused before tlswarden is asked', async () => {
    const relay = (value: string) => (text: string) =>
      text.replace(/^submission .*$/mu, `$&\n  -o { smtpd_relay_restrictions = ${value} }`);
    const closed = await ill((patient) => patient.edit('config/master.cf', relay('permit_sasl_authenticated, reject')));
    assert.deepEqual(await closed.findings(), []);
    const open = await ill(async (patient) => {
      await patient.edit('config/master.cf', relay(''));
      await patient.set({ mua_restrictions: 'permit_sasl_authenticated, reject' });
      await patient.edit('config/master.cf', (text) =>
        text.replace(/permit_sasl_authenticated, reject \}/u, '$mua_restrictions }'),
      );
    });
    await cures(open, 'fault service-before-relay-check');
    assert.match(
      await open.postconf('-P', 'submission/inet/smtpd_relay_restrictions'),
      /= permit_sasl_authenticated, reject$/mu,
    );
  });

  test('comes before a restriction class and a warn_if_reject that may permit, whatever they are called', async () => {
    for (const restriction of ['reject_strangers', 'warn_if_reject check_client_access inline:{10.0.0.1=OK}']) {
      const patient = await ill((patient) =>
        patient.set({
          smtpd_restriction_classes: 'tlswarden_tls, reject_strangers',
          reject_strangers: 'check_client_access inline:{10.0.0.1=OK}, reject_unknown_client_hostname',
        }),
      );
      const present = await patient.get('smtpd_recipient_restrictions');
      await patient.set({ smtpd_recipient_restrictions: `${restriction}, ${present}` });
      await cures(patient, 'breach service-behind-permit');
    }
  });

  test('knows that a service was in a chroot unless master.cf said no, once', async () => {
    const patient = await ill(async (patient) => {
      await patient.edit('config/main.cf', (text) =>
        text.replace('compatibility_level = 3.6', 'compatibility_level = 0'),
      );
      await patient.edit('config/master.cf', (text) =>
        text.replace(/^submission inet n - n/mu, 'submission inet n - -'),
      );
      const list = await patient.postconf('-hP', 'submission/inet/smtpd_recipient_restrictions');
      const outside = list.trim().replace(/inet:127\.0\.0\.1:\d+/u, `unix:${patient.directory}/policy`);
      await patient.edit('config/master.cf', (text) =>
        text.replace(/^submission(?:.*\n +.*)*/mu, (entry) => entry.replace(list.trim(), outside)),
      );
      await patient.set({ smtpd_relay_before_recipient_restrictions: 'yes' });
    });
    await cures(patient, 'fault service-outside-chroot');
  });

  test('has delivery asked about behind a content filter, which FILTER would pass by', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({ content_filter: 'smtp:[127.0.0.1]:10024' });
      await patient.edit('config/master.cf', (text) => text + reinjection);
    });
    await cures(patient, 'breach content-filter');
    await isKeptByApply(patient);
  });

  test('has delivery asked about behind a proxy, before which FILTER is ignored', async () => {
    const patient = await ill(async (patient) => {
      await patient.edit('config/master.cf', (text) => text + reinjection);
      await patient.postconf('-P', 'smtp/inet/smtpd_proxy_filter=127.0.0.1:10024');
    });
    await cures(patient, 'breach proxy-filter');
    await isKeptByApply(patient);
  });

  test('says how many more aliases lead elsewhere than it tells of', async () => {
    const aliases = Array.from({ length: 25 }, (_, i) => `u${i}@example.com u${i}@firm.example\n`).join('');
    const patient = await ill(async (patient) => {
      await patient.set({ virtual_alias_maps: await patient.table('aliases', aliases) });
    });
    const findings = await patient.findings();
    assert.deepEqual([findings.length, findings.at(-1)?.where], [21, '5 more entries']);
  });

  test('has virtual aliases rewritten before delivery is asked about, where they lead elsewhere', async () => {
    const aliases = '@example.com office@firm.example\nx@by-mx.example y@alias.example\nx@firm.example y@example.net\n';
    const patient = await ill(async (patient) => {
      await patient.set({ virtual_alias_maps: await patient.table('aliases', aliases) });
    });
    const [finding] = await patient.findings();
    assert.match(finding?.what ?? '', /mail for example\.com to office@firm\.example/u);
    await cures(patient, 'breach alias-elsewhere');
    await isKeptByApply(patient);
  });

  test('has copies added before delivery is asked about, since FILTER moves them with the message', async () => {
    const copies = {
      always_bcc: 'archive@archive.test',
      recipient_bcc_maps:
        'inline:{ payroll@example.com=kept@example.com, @example.com=copy@archive.test, x@by-mx.example=copy@archive.test }',
      sender_bcc_maps: 'static:sent@archive.test',
    };
    for (const [parameter, value] of Object.entries(copies)) {
      const patient = await ill((patient) => patient.set({ [parameter]: value }));
      await cures(patient, 'breach copy-elsewhere');
      await isKeptByApply(patient);
    }
  });

  test('has addresses rewritten, and copies added, before a filter only, where delivery is asked about behind it', async () => {
    const filtered = await ill(async (patient) => {
      await patient.set({ content_filter: 'smtp:[127.0.0.1]:10024' });
      await patient.edit('config/master.cf', (text) => text + reinjection);
      await patient.mend((await patient.findings()).flatMap(({ mend }) => mend));
    });
    const parameters = {
      always_bcc: 'archive@archive.test',
      virtual_alias_maps: 'inline:{ @example.com=office@firm.example }',
    };
    for (const [parameter, value] of Object.entries(parameters)) {
      twins += 1;
      const patient = await filtered.twin(`twin-${twins}`);
      await patient.set({ [parameter]: value });
      await cures(patient, `breach ${parameter === 'always_bcc' ? 'copy' : 'alias'}-elsewhere`);
    }
  });

  test('compares where Postfix sends mail with where the settings say that it goes', async () => {
    const patient = await ill(async (patient) => {
      await patient.domains(
        [
          ...['routed', 'by-class', 'nowhere'].map((name) => `[domains."${name}.example"]`),
          '[domains."mailboxes.example"]',
          '[domains."mailboxes.example".incoming.delivery]\nrequire_tls = "always"',
          '[domains."dovecot.example"]',
        ].join('\n'),
      );
      await patient.set({
        relay_domains: `${await patient.get('relay_domains')}, stranger.example, .below.example`,
        relay_transport: 'relay:[inside.example]',
        virtual_mailbox_domains: 'mailboxes.example, dovecot.example',
        virtual_transport: 'lmtp:unix:private/dovecot-lmtp',
        transport_maps: `${await patient.get('transport_maps')}, ${await patient.table(
          'routes',
          'routed.example smtp:[mx.routed.example]\n.example.com smtp:[other.example]\nelsewhere.example :[x.example]:26\n',
        )}`,
      });
    });
    await cures(patient, 'breach delivered-here', 'breach next-hop-differs', 'breach outgoing-passed-by');
  });

  test('sees entries for whole addresses, to which Postfix comes before those of tlswarden for a domain', async () => {
    const patient = await ill(async (patient) => {
      const routes = await patient.table(
        'routes',
        `example.com smtp:[mx.example.com]:25
firm.example relay:[mx.firm.example]:25
boss@by-mx.example smtp:[other.example]
boss@alias.example :[other.example]
list@by-mx.example local:
keeps-its-way@by-mx.example relay:
payroll@example.com smtp:[other.example]
somebody@example.com smtp:[mx.example.com]:25
`,
      );
      const senders = await patient.table(
        'senders',
        'ceo@firm.example smtp:[news.example]\n@firm.example smtp:\nbot@firm.example dunno\nx@example.com smtp:\n',
      );
      for (const [parameter, table] of [
        ['transport_maps', routes],
        ['sender_dependent_default_transport_maps', senders],
      ] as const) {
        const [ours = ''] = (await patient.get(parameter)).split(',');
        await patient.set({ [parameter]: `${ours}, ${table}` });
      }
    });
    const findings = await patient.findings();
    assert.deepEqual(
      findings.map(({ id, where }) => `${id} ${where.slice(where.lastIndexOf(' ') + 1)}`).sort(),
      ['boss@alias.example', 'boss@by-mx.example', 'ceo@firm.example'].map((key) => `table-outranked ${key}`),
    );
    await cures(patient, 'breach table-outranked');
  });

  test('takes no entry for a breach whose client compels as much TLS by itself, and says what another one lacks', async () => {
    const patient = await ill(async (patient) => {
      const modern = '-o smtp_tls_mandatory_protocols=>=TLSv1.2';
      const policies = [
        'partner.example may',
        '[strict.example]:25 secure',
        '[named.example]:25 secure match=nexthop match=other.example',
        '[old.example]:25 secure { protocols = >=TLSv1.1 }',
      ];
      const excepting = `smtp_tls_policy_maps=${await patient.table('policies', `${policies.join('\n')}\n`)}`;
      await patient.edit('config/master.cf', (text) =>
        [
          text,
          `of-names unix - - n - - smtp -o smtp_tls_security_level=secure ${modern}`,
          `of-hosts unix - - n - - smtp -o smtp_tls_security_level=secure -o smtp_tls_secure_cert_match=hostname ${modern}`,
          `tls unix - - n - - smtp -o smtp_tls_security_level=encrypt ${modern}`,
          'older unix - - n - - smtp -o smtp_tls_security_level=encrypt -o smtp_tls_mandatory_protocols=!SSLv3,!TLSv1',
          `enforcing unix - - n - - smtp -o smtp_tls_security_level= -o smtp_enforce_tls=yes ${modern}`,
          `excepting unix - - n - - smtp -o smtp_tls_security_level=encrypt -o ${excepting} ${modern}`,
          `falling unix - - n - - smtp -o smtp_tls_security_level=encrypt -o ${excepting} ${modern} -o smtp_fallback_relay=partner.example`,
          '',
        ].join('\n'),
      );
      const tables = {
        transport_maps: `example.com smtp:[mx.example.com]:25
firm.example relay:[mx.firm.example]:25
ceo@by-mx.example of-names:[other.example]
cto@by-mx.example excepting:[strict.example]:25
a@by-mx.example of-hosts:[other.example]
b@by-mx.example tls:[other.example]
c@by-mx.example tlswarden-encrypt:[other.example]
d@by-mx.example excepting:[other.example]
i@by-mx.example excepting:[named.example]:25
j@by-mx.example excepting:[old.example]:25
`,
        sender_dependent_default_transport_maps: `ceo@firm.example tls:[news.example]
cto@firm.example enforcing:
cfo@firm.example tlswarden-encrypt:
coo@firm.example excepting:[news.example]
e@firm.example older:[news.example]
f@firm.example excepting:
g@firm.example falling:[news.example]
h@firm.example smtp:[news.example]
`,
      };
      for (const [parameter, text] of Object.entries(tables)) {
        const [ours = ''] = (await patient.get(parameter)).split(',');
        await patient.set({ [parameter]: `${ours}, ${await patient.table(parameter, text)}` });
      }
    });
    const findings = await patient.findings();
    assert.deepEqual(
      findings
        .map(({ where, what }) => `${where.slice(where.lastIndexOf(' ') + 1)} ${what.match(/: ([^:]*)\.$/u)?.[1]}`)
        .sort(),
      [
        'a@by-mx.example of-hosts may go with less (match=hostname)',
        'b@by-mx.example tls may go with less (level encrypt)',
        'c@by-mx.example tlswarden-encrypt may go with less (level encrypt)',
        'd@by-mx.example excepting may go with less (level encrypt)',
        'e@firm.example older may go with less (protocols !SSLv3,!TLSv1)',
        'f@firm.example excepting may go with less (protocols >=TLSv1.1)',
        'g@firm.example falling may go with less (level may)',
        'h@firm.example smtp may go with less (level may)',
        'i@by-mx.example excepting may go with less (match=other.example)',
        'j@by-mx.example excepting may go with less (protocols >=TLSv1.1)',
      ],
    );
  });

  test('puts a transport of tlswarden into an entry only where that compels there what the settings ask for', async () => {
    const patient = await ill(async (patient) => {
      await patient.domains(
        '[domains."new.example"]\nnexthop = "[mx.new.example]:25"\nincoming.delivery = { require_tls = "always", protocols = ">=TLSv1.3" }\n',
      );
      const entries = 'ceo@new.example smtp:[other.example]\ncfo@new.example smtp:[mx.new.example]:25\n';
      await patient.set({
        relay_domains: `${await patient.get('relay_domains')}, new.example`,
        transport_maps: `${await patient.get('transport_maps')}, ${await patient.table('routes', `new.example smtp:[mx.new.example]:25\n${entries}`)}`,
      });
    });
    // The transports for it are due.
    await patient.mend([patient.apply]);
    const findings = await patient.findings();
    assert.deepEqual(
      findings.map(({ id, where, mend }) => [id, where.slice(where.lastIndexOf(' ') + 1), mend.length > 0]),
      [
        ['table-outranked', 'ceo@new.example', false],
        ['table-outranked', 'cfo@new.example', true],
      ],
    );
    await patient.mend(findings.flatMap(({ mend }) => mend));
    const left = await patient.findings();
    assert.deepEqual(
      left.map(({ where }) => where),
      findings.slice(0, 1).map(({ where }) => where),
    );
  });

  test('reads a table of patterns as Postfix does, by whole addresses only', async () => {
    const withPatterns = (text: string): Promise<Patient> =>
      ill(async (patient) => {
        await patient.edit('config/patterns', () => text);
        const [ours = ''] = (await patient.get('transport_maps')).split(',');
        await patient.set({ transport_maps: `${ours}, regexp:${patient.config}/patterns` });
      });
    const agreeing = '/@example\\.com$/ smtp:[mx.example.com]:25\n/@firm\\.example$/ relay:[mx.firm.example]:25\n';
    const patient = await withPatterns(`${agreeing}/^(by-mx|firm)\\.example$/ smtp:[never.example]\n`);
    // Ours has one address there, and the pattern has that one with an extension.
    const [finding, ...others] = await patient.findings();
    assert.deepEqual([finding?.id, finding?.severity, others], ['table-outranked', 'breach', []]);
    assert.match(finding?.where ?? '', /patterns: example\.com$/u);
    const other = await withPatterns(`${agreeing}/@by-mx\\.example$/ smtp:[other.example]\n`);
    assert.deepEqual(idsOf(await other.findings()), ['breach next-hop-differs', 'breach table-outranked']);
  });

  test('would have relayhost name the server that default_transport names, which senders that require TLS would lose', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({ default_transport: 'smtp:[relay.example]:25', relay_domains: 'example.com, firm.example' });
      await patient.edit('domains.d/all.toml', (text) =>
        text.replace(/\[domains\."by-mx.*?(?=\[domains\."firm)/su, ''),
      );
      await patient.domains('');
    });
    await cures(patient, 'breach relayhost');
    assert.equal(await patient.get('default_transport'), 'smtp');
    assert.equal(await patient.get('relayhost'), '[relay.example]:25');
    // Other domains would go there too.
    const byMx = await ill((patient) => patient.set({ default_transport: 'smtp:[relay.example]:25' }));
    const [finding, ...others] = await byMx.findings();
    assert.deepEqual([finding?.id, finding?.severity, finding?.mend, others], ['relayhost', 'breach', [], []]);
  });

  test('advises to have Postfix accept what the settings have it receive, and nothing else', async () => {
    const receipt = 'incoming.receipt.require_tls = "always"';
    const patient = await ill(async (patient) => {
      await patient.domains(
        [
          `[domains."refused.example"]\naliases = ["also-refused.example"]\n${receipt}`,
          '[domains."routed.example"]\nnexthop = "[mx.routed.example]:25"\nincoming.delivery.require_tls = "always"',
          // Mail is sent to it, as far as the settings tell.
          '[domains."partner.example"]\nnexthop = "[mx.partner.example]:25"',
          ...['sub.below.example', 'virtual.example'].map((name) => `[domains."${name}"]\n${receipt}`),
          '[domains."sends.example".outgoing.receipt]\nrequire_tls = "always"',
          '[domains."below.example"]',
        ].join('\n'),
      );
      const routes = ['routed', 'partner'].map((name) => `${name}.example smtp:[mx.${name}.example]:25\n`).join('');
      await patient.set({
        relay_domains: `$mydestination, ${await patient.get('relay_domains')}, below.example`,
        relay_recipient_maps: 'static:OK',
        virtual_alias_domains: 'virtual.example',
        transport_maps: `${await patient.get('transport_maps')}, ${await patient.table('routes', routes)}`,
      });
    });
    const before = await patient.get('relay_domains');
    const [finding] = await patient.findings();
    assert.match(finding?.what ?? '', /mail for refused\.example, also-refused\.example, routed\.example[,.]/u);
    assert.match(finding?.note ?? '', /relay_recipient_maps/u);
    await cures(patient, 'advice domain-not-accepted');
    assert.equal(
      await patient.get('relay_domains'),
      `${before}, refused.example, also-refused.example, routed.example`,
    );
  });

  test('takes it for no breach if tlswarden has an entry for all mail of a domain, and Postfix none', async () => {
    const patient = await ill(async (patient) => {
      await patient.domains(
        [
          '[domains."always.example"]\nnexthop = "[mx.always.example]:25"',
          '[domains."always.example".incoming.delivery]\nrequire_tls = "always"',
          '[domains."listed.example"]\naliases = ["also-listed.example"]\nnexthop = "[mx.listed.example]:25"',
          '[domains."listed.example".incoming.delivery]\nrequire_tls = "specific"\nrecipients = "*"',
        ].join('\n'),
      );
      const more = 'always.example, listed.example, also-listed.example';
      await patient.set({ relay_domains: `${await patient.get('relay_domains')}, ${more}` });
    });
    const findings = await patient.findings();
    assert.deepEqual(
      findings.map(({ id, severity, where }) => `${severity} ${id} ${where}`),
      ['advice next-hop-differs always.example', 'advice next-hop-differs listed.example'],
    );
    await cures(patient, 'advice next-hop-differs');
    // What it says of an entry of Postfix's own is so of the alias too.
    assert.match(await readFile(`${patient.config}/next_hops`, 'utf8'), /^also-listed\.example relay:\[mx\.listed/mu);
    await isKeptByApply(patient);
  });

  test('gives Postfix the entry that it lacks, and leaves a domain the next hop that it has', async () => {
    const settings = [
      '[domains."some.example"]\naliases = ["other.example"]\nnexthop = "[mx.some.example]:25"',
      '[domains."some.example".incoming.delivery]\nrequire_tls = "always"\nenforcement = "monitor"',
      '[domains."part.example"]\naliases = ["rest.example"]\nnexthop = "[mx.part.example]:25"',
      '[domains."part.example".incoming.delivery]\nrequire_tls = "specific"\nrecipients = "*@part.example"',
    ].join('\n');
    const patient = await ill(async (patient) => {
      await patient.domains(settings);
      await patient.set({
        transport_maps: `${await patient.get('transport_maps')}, pcre:/nonexistent, ${await patient.table('routes', '')}`,
      });
    });
    const routed = (findings: readonly Finding[]): readonly string[] =>
      findings.filter(({ id }) => id === 'next-hop-differs').map(({ severity, where }) => `${severity} ${where}`);
    const found = await patient.findings();
    assert.deepEqual(routed(found), ['breach some.example', 'breach rest.example', 'advice part.example']);
    const mend = found.filter(({ id }) => id === 'next-hop-differs').flatMap((finding) => finding.mend);
    assert.doesNotMatch(mend.join('\n'), /nexthop=/u);
    await patient.mend(mend);
    assert.equal(
      await readFile(`${patient.config}/routes`, 'utf8'),
      [
        'some.example smtp:[mx.some.example]:25',
        'other.example smtp:[mx.some.example]:25',
        'rest.example smtp:[mx.part.example]:25',
        'part.example smtp:[mx.part.example]:25\n',
      ].join('\n'),
    );
    assert.deepEqual(routed(await patient.findings()), []);
  });

  test('would take over an entry that Postfix has, and says how to have it changed', async () => {
    const patient = await ill(async (patient) => {
      await patient.domains('[domains."moved.example"]\nnexthop = "[new.example]:25"');
      await patient.set({ relay_domains: `${await patient.get('relay_domains')}, moved.example` });
      const routes = await patient.table('routes', 'moved.example smtp:[old.example]:25\n');
      await patient.set({ transport_maps: `${await patient.get('transport_maps')}, ${routes}` });
    });
    const [{ mend, note = '' } = { mend: [] }] = await patient.findings();
    assert.match(mend.join('\n'), /domains set moved\.example 'nexthop=\[old\.example\]:25'$/u);
    await patient.mend([note.slice(note.indexOf('sed '))]);
    assert.equal(await readFile(`${patient.config}/routes`, 'utf8'), 'moved.example smtp:[new.example]:25\n');
    assert.deepEqual(await patient.findings(), []);
  });

  test('gives a Postfix that has never heard of tlswarden both what it lacks, in either order', async () => {
    const patient = await fresh.twin('fresh-without-routes');
    await patient.set({ transport_maps: '' });
    const findings = await patient.findings();
    assert.ok(findings.some(({ id, where }) => id === 'next-hop-differs' && where === 'firm.example'));
    await patient.mend(
      findings
        .map(({ mend }) => mend)
        .reverse()
        .flat(),
    );
    await patient.mend(findings.flatMap(({ mend }) => mend));
    assert.deepEqual(await patient.findings(), []);
  });

  test('tells what the levels in use need of Postfix and of the resolver', async () => {
    const names = await NameServer.start(workspace);
    const resolvers = [{ address: names.address, port: 53 }];
    const fingerprint = Array.from({ length: 32 }, () => 'AB').join(':');
    const patient = await ill(async (patient) => {
      await patient.domains(
        [
          '[domains."dane.example".incoming.delivery]\nrequire_tls = "always"\nlevel = "dane-only"',
          `[domains."pinned.example".incoming.delivery]\nrequire_tls = "always"\nlevel = "fingerprint"\nfingerprints = "${fingerprint}"`,
        ].join('\n'),
      );
      await patient.set({
        relay_domains: `${await patient.get('relay_domains')}, dane.example, pinned.example`,
        smtp_host_lookup: 'native',
        smtp_tls_fingerprint_digest: 'md5',
      });
    });
    const findings = await patient.findings(resolvers);
    assert.deepEqual(idsOf(findings), ['fault dns-support', 'fault fingerprint-digest', 'fault transport-missing']);
    await patient.mend(findings.flatMap(({ mend }) => mend));
    assert.deepEqual(await patient.findings(resolvers), []);
    names.set('org', { mx: ['10 mx.example'], insecure: true });
    assert.deepEqual(idsOf(await patient.findings(resolvers)), ['fault resolver-not-validating']);
  });

  test('sees that Postfix trusts no authority, where a level asks for a certificate of one', async () => {
    const without = async (patient: Patient): Promise<void> => {
      await patient.set({ smtp_tls_CAfile: '', smtp_tls_CApath: '' });
    };
    await cures(await ill(without), 'fault no-authorities');
    const elsewhere = await ill(async (patient) => {
      await without(patient);
      await patient.set({ smtp_tls_CApath: '/etc/ssl/certs' });
    });
    assert.deepEqual(await elsewhere.findings(), []);
    const encrypting = await ill(async (patient) => {
      await without(patient);
      await patient.edit('domains.d/all.toml', (text) => text.replace('level = "secure"', ''));
      await patient.mend(
        (await patient.findings()).filter(({ id }) => id !== 'no-authorities').flatMap(({ mend }) => mend),
      );
    });
    assert.deepEqual(await encrypting.findings(), []);
  });

  test('says in words what no command can mend', async () => {
    const patient = await ill(async (patient) => {
      await patient.set({
        relay_domains: `${await patient.get('relay_domains')}, listed.example`,
        transport_maps: `${(await patient.get('transport_maps')).replace(/inline:.*/u, '')} inline:{ ${[
          '{ example.com = smtp:[mx.example.com]:25 }',
          '{ firm.example = smtp:[mx.firm.example]:25, [mx2.firm.example]:25 }',
          '{ alias.example = smtp:[other.example]:25 }',
          '{ listed.example = smtp:[a.example], [b.example] }',
        ].join(', ')} }`,
        sender_dependent_relayhost_maps: 'inline:{ { @firm.example = [relay.example] } }',
        virtual_alias_maps: 'inline:{ { office@example.com = office@elsewhere.example } }',
        content_filter: 'smtp:[127.0.0.1]:10024',
      });
    });
    const findings = await patient.findings();
    assert.deepEqual(idsOf(findings), [
      'breach alias-elsewhere',
      'breach content-filter',
      'breach next-hop-differs',
      'breach outgoing-passed-by',
      'breach sender-relayhost',
    ]);
    for (const finding of findings) {
      assert.deepEqual(finding.mend, [], finding.where);
      assert.match(finding.note ?? '', /\.$/u, finding.where);
    }
  });

  test('sees tables that are not what their stamp says', async () => {
    const patient = await ill(async (patient) => {
      await patient.edit('maps/current/transport', () => '');
    });
    await cures(patient, 'breach tables-damaged');
  });

  test('sees a table of somebody else that Postfix cannot read', async () => {
    const patient = await ill(async (patient) => {
      const table = await patient.table('more', 'a.example smtp:[x.example]\n');
      await patient.set({ smtp_tls_policy_maps: `${await patient.get('smtp_tls_policy_maps')}, ${table}` });
      await rm(`${table.slice('lmdb:'.length)}.lmdb`);
    });
    await cures(patient, 'fault table-unreadable');
  });
});
