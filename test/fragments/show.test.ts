import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FragmentContext, Fragments } from '../../src/fragments/fragment.ts';
import { policyServiceCall } from '../../src/fragments/main-parameters.ts';
import { makeFragments } from '../../src/fragments/make-fragments.ts';
import { policyServiceAt } from '../../src/fragments/policy-service.ts';
import { readPresentConfiguration } from '../../src/fragments/present-configuration.ts';
import { wordFragments } from '../../src/fragments/word-fragments.ts';
import { PostconfError } from '../../src/postfix/postconf.ts';
import { compile } from '../decision/core.ts';
import { run } from '../harness/command.ts';
import { Workspace } from '../harness/workspace.ts';
import type { RawSettings } from '../oracle/oracle.ts';

const service = 'inet:127.0.0.1:10040';
const call = policyServiceCall(service);
const access = 'check_recipient_access lmdb:/maps/current/receipt_access';
const always = { require_tls: 'always' } as const;
const plain: RawSettings = { domains: { 'a.example': { incoming: { delivery: always } } } };

interface Given {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly overrides?: Readonly<Record<string, string>>;
  readonly withoutMaps?: boolean;
}

function fragments(raw: RawSettings, { parameters = {}, overrides = {}, withoutMaps = false }: Given = {}): Fragments {
  const context: FragmentContext = {
    policyService: service,
    maps: withoutMaps ? undefined : { directory: '/maps', type: 'lmdb' },
    present: { parameters: new Map(Object.entries(parameters)), overrides: new Map(Object.entries(overrides)) },
  };
  return makeFragments(compile(raw).settings, context);
}

function value(raw: RawSettings, parameter: string, given: Given = {}): string | undefined {
  return fragments(raw, given).parameters.find((fragment) => fragment.parameter === parameter)?.value;
}

/** smtpd_recipient_restrictions made of this. */
function recipients(present: string): string | undefined {
  return value(plain, 'smtpd_recipient_restrictions', { parameters: { smtpd_recipient_restrictions: present } });
}

test('tlswarden comes before whatever may permit, and behind reject_unauth_destination where that comes first', () => {
  const ours = `${access}, ${call}`;
  assert.equal(recipients(''), ours);
  assert.equal(recipients('reject_unauth_destination'), `reject_unauth_destination, ${ours}`);
  assert.equal(
    recipients('reject_non_fqdn_recipient reject_unauth_destination, permit_mynetworks'),
    `reject_non_fqdn_recipient, reject_unauth_destination, ${ours}, permit_mynetworks`,
  );
  assert.equal(
    recipients('permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination'),
    `${ours}, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination`,
  );
  assert.equal(
    recipients(
      'reject_rbl_client zen.example=127.0.0.[2..11], check_client_access hash:/etc/clients, reject_unauth_destination',
    ),
    `reject_rbl_client zen.example=127.0.0.[2..11], ${ours}, check_client_access hash:/etc/clients, reject_unauth_destination`,
  );
  assert.equal(
    recipients('warn_if_reject reject_rbl_client dnsbl.example, my_class, permit'),
    `warn_if_reject reject_rbl_client dnsbl.example, ${ours}, my_class, permit`,
  );
  // What is only warned of when it rejects permits as ever (smtpd_check.c, generic_checks).
  const warned = 'warn_if_reject check_client_access hash:/friends';
  assert.equal(recipients(`${warned}, reject_unauth_destination`), `${ours}, ${warned}, reject_unauth_destination`);
  assert.equal(
    recipients('reject_unlisted_recipient, check_policy_service { unix:private/grey, timeout=3s }'),
    `reject_unlisted_recipient, ${ours}, check_policy_service { unix:private/grey, timeout=3s }`,
  );
  assert.equal(recipients('$my_checks, reject_unauth_destination'), `${ours}, $my_checks, reject_unauth_destination`);
});

test('a call of the service that is spelled otherwise is not made a second one', () => {
  for (const spelled of [
    'inet:localhost:10040',
    'inet:LocalHost:10040',
    'inet:10040',
    '{ inet:localhost:10040, timeout=3s }',
  ]) {
    assert.equal(
      recipients(`check_policy_service ${spelled}, permit_mynetworks`),
      `${access}, ${call}, permit_mynetworks`,
    );
  }
  const other = 'check_policy_service inet:localhost:10023';
  assert.equal(recipients(`${other}, permit_mynetworks`), `${access}, ${call}, ${other}, permit_mynetworks`);
});

test('what is there now is kept, ours stands first and once, and a second time changes nothing', () => {
  const parameters = {
    smtp_tls_policy_maps: 'hash:/etc/postfix/policy, cdb:/maps/current/tls_policy',
    transport_maps: 'proxy:mysql:/etc/postfix/transport.cf',
    sender_dependent_default_transport_maps: '',
    smtpd_restriction_classes: 'greylist tlswarden_tls',
    smtpd_recipient_restrictions: `check_recipient_access hash:/maps/current/receipt_access, permit_mynetworks, check_policy_service ${service}`,
    smtpd_data_restrictions: 'reject_unauth_pipelining',
  };
  const first = new Map(
    fragments(plain, { parameters }).parameters.map((fragment) => [fragment.parameter, fragment.value]),
  );
  assert.equal(first.get('smtp_tls_policy_maps'), 'lmdb:/maps/current/tls_policy, hash:/etc/postfix/policy');
  assert.equal(first.get('transport_maps'), 'lmdb:/maps/current/transport, proxy:mysql:/etc/postfix/transport.cf');
  assert.equal(first.get('sender_dependent_default_transport_maps'), 'lmdb:/maps/current/sender_transport');
  assert.equal(first.get('smtpd_restriction_classes'), 'greylist, tlswarden_tls');
  assert.equal(first.get('smtpd_recipient_restrictions'), `${access}, ${call}, permit_mynetworks`);
  assert.equal(first.get('smtpd_data_restrictions'), `${call}, reject_unauth_pipelining`);
  const second = fragments(plain, { parameters: { ...parameters, ...Object.fromEntries(first) } }).parameters;
  for (const { parameter, value: again } of second) assert.equal(again, first.get(parameter), parameter);
});

test('a level that asks for the certificate of an authority is told of where none is trusted', () => {
  const asking: RawSettings = { domains: { 'a.example': { incoming: { delivery: { ...always, level: 'verify' } } } } };
  const notes = (raw: RawSettings, parameters = {}): string => fragments(raw, { parameters }).notes.join(' ');
  assert.match(notes(asking), /Postfix trusts no authority/u);
  assert.doesNotMatch(notes(asking, { smtp_tls_CApath: '/etc/ssl/certs' }), /no authority/u);
  assert.doesNotMatch(notes(plain), /no authority/u);
});

test('opportunistic TLS is asked for only where there is none', () => {
  const level = (present: string, more = {}): string | undefined =>
    value(plain, 'smtp_tls_security_level', { parameters: { smtp_tls_security_level: present, ...more } });
  assert.equal(level(''), 'may');
  assert.equal(level('none'), 'may');
  assert.equal(level('dane'), undefined);
  assert.equal(level('encrypt'), undefined);
  assert.equal(level('', { smtp_enforce_tls: 'yes' }), undefined);
});

test('a Postfix that obeys the header TLS-Required: no is told not to, and an older one is told nothing', () => {
  assert.equal(value(plain, 'tls_required_enable', { parameters: { tls_required_enable: 'yes' } }), 'no');
  assert.equal(value(plain, 'tls_required_enable'), undefined);
});

test('main.cf learns of DNSSEC and of digests only if domains by MX need them', () => {
  const by = (level: string, more = {}): RawSettings =>
    ({ domains: { 'a.example': { incoming: { delivery: { ...always, level, ...more } } } } }) as RawSettings;
  assert.equal(value(plain, 'smtp_dns_support_level'), undefined);
  assert.equal(value(by('dane-only'), 'smtp_dns_support_level'), 'dnssec');
  assert.equal(value(plain, 'smtp_tls_fingerprint_digest'), undefined);
  const fingerprints = [Array.from({ length: 32 }, () => 'AB').join(':')];
  assert.equal(value(by('fingerprint', { fingerprints }), 'smtp_tls_fingerprint_digest'), 'sha256');
  // These go by transports, which say it themselves.
  const bouncing = { on_failure: 'bounce' };
  assert.equal(value(by('fingerprint', { fingerprints, ...bouncing }), 'smtp_tls_fingerprint_digest'), undefined);
  for (const raw of [by('dane-only', bouncing), { ...by('dane-only'), postfix: { relayhost: '[relay.example]' } }]) {
    const made = fragments(raw);
    const parameters = made.parameters.map(({ parameter }) => parameter);
    assert.deepEqual(
      parameters.filter((name) => /^smtp_(?:dns|host)/u.test(name)),
      [],
    );
    assert.match(made.services[0]?.line ?? '', / -o smtp_dns_support_level=dnssec -o smtp_host_lookup=dns/u);
  }
});

test('each transport in use is a service that compels TLS whatever main.cf says', () => {
  const raw: RawSettings = {
    domains: {
      'a.example': { nexthop: '[mx.a.example]', incoming: { delivery: { ...always, on_failure: 'bounce' } } },
      'b.example': { outgoing: { delivery: { ...always, level: 'dane-only', protocols: '>=TLSv1.3' } } },
    },
  };
  const { services } = fragments(raw);
  assert.deepEqual(
    services.map(({ service: name }) => name),
    ['tlswarden-dane-only-tls13/unix', 'tlswarden-dane-only-tls13-bounce/unix', 'tlswarden-encrypt-bounce/unix'],
  );
  const line = (name: string): string => services.find(({ service: found }) => found === name)?.line ?? '';
  assert.equal(
    line('tlswarden-encrypt-bounce/unix'),
    'tlswarden-encrypt-bounce unix - - n - - smtp -o syslog_name=postfix/$service_name -o smtp_tls_security_level=encrypt' +
      ' -o smtp_tls_policy_maps=lmdb:/maps/current/tls_policy_required_encrypt -o smtp_tls_mandatory_protocols=>=TLSv1.2' +
      ' -o smtp_tls_mandatory_ciphers=medium -o smtp_fallback_relay=' +
      ' -o smtp_delivery_status_filter=regexp:/maps/current/bounce_filter',
  );
  assert.match(
    line('tlswarden-dane-only-tls13/unix'),
    /-o smtp_tls_mandatory_protocols=>=TLSv1\.3 .* -o smtp_dns_support_level=dnssec -o smtp_host_lookup=dns$/u,
  );
});

test('without a maps directory there are services and the policy service, and no table anywhere', () => {
  const raw: RawSettings = {
    domains: {
      'a.example': { incoming: { delivery: { ...always, level: 'secure', certificate_names: ['mx.a.example'] } } },
    },
  };
  const { parameters, services, notes } = fragments(raw, { withoutMaps: true });
  assert.deepEqual(
    parameters.map(({ parameter }) => parameter).filter((name) => !name.endsWith('security_level')),
    ['smtpd_recipient_restrictions', 'smtpd_data_restrictions'],
  );
  // Empty, not absent: main.cf's own table could ask for less.
  assert.match(services[0]?.line ?? '', / -o smtp_tls_policy_maps= /u);
  assert.match(notes.join(' '), /certificate_names and fingerprints/u);
  for (const more of [{}, { ciphers: 'high', protocols: '>=TLSv1.3' }] as const) {
    const without: RawSettings = {
      domains: { 'a.example': { nexthop: '[mx.a.example]', incoming: { delivery: { ...always, ...more } } } },
    };
    assert.doesNotMatch(fragments(without, { withoutMaps: true }).notes.join(' '), /certificate_names/u);
  }
});

test('a submission service with a list of its own gets the same in it', () => {
  const { overrides } = fragments(plain, {
    overrides: { 'submission/inet/smtpd_recipient_restrictions': 'permit_sasl_authenticated,reject' },
  });
  assert.equal(overrides.length, 1);
  assert.equal(overrides[0]?.service, 'submission/inet');
  assert.equal(overrides[0]?.value, `${access}, ${call}, permit_sasl_authenticated, reject`);
});

test('a listener on all addresses is reached by loopback', () => {
  assert.equal(policyServiceAt('127.0.0.1:10040'), 'inet:127.0.0.1:10040');
  assert.equal(policyServiceAt('0.0.0.0:10040'), 'inet:127.0.0.1:10040');
  assert.equal(policyServiceAt('[::]:10040'), 'inet:[::1]:10040');
  assert.equal(policyServiceAt('unix:/run/tlswarden/policy'), 'unix:/run/tlswarden/policy');
});

test('what is printed is what Postfix reads back', async (t) => {
  const workspace = await Workspace.of(t);
  const directory = workspace.path('config');
  await workspace.write(
    'config/main.cf',
    'compatibility_level = 3.6\nsmtpd_recipient_restrictions = permit_mynetworks\n',
  );
  await workspace.write('config/master.cf', 'submission inet n - n - - smtpd\n -o smtpd_recipient_restrictions=\n');
  const context = async (): Promise<FragmentContext> => ({
    policyService: service,
    maps: { directory: '/maps', type: 'lmdb' },
    present: await readPresentConfiguration(directory),
  });
  const { settings } = compile(plain);
  const made = makeFragments(settings, await context());
  assert.deepEqual(
    made.overrides.map(({ service: name }) => name),
    ['submission/inet'],
  );
  const text = wordFragments(made);
  const [main = '', master = ''] = text.split('# --- master.cf ---');
  await workspace.write('config/main.cf', `compatibility_level = 3.6\n${main}`);
  await workspace.write('config/master.cf', master);
  for (const { parameter, value: printed } of made.parameters) {
    assert.equal((await run('postconf', ['-c', directory, '-h', parameter])).trim(), printed, parameter);
  }
  for (const { service: name, line } of made.services) {
    const read = (await run('postconf', ['-c', directory, '-Mf', name])).trim().replaceAll(/\s+/gu, ' ');
    assert.equal(read, line.replaceAll(/\s+/gu, ' '));
  }
  assert.deepEqual(
    makeFragments(settings, await context()).parameters,
    made.parameters.filter(({ parameter }) => !parameter.endsWith('security_level')),
  );
});

test('a Postfix that is not there is an error that says so', async () => {
  await assert.rejects(readPresentConfiguration('/nonexistent'), (error) => {
    assert(error instanceof PostconfError);
    assert.match(error.message, /^\/nonexistent: postconf failed: /u);
    return true;
  });
});

test('where other tables route mail past what a domain requires of mail that it sends, that is said', () => {
  const parameters = { transport_maps: 'lmdb:/maps/current/transport, hash:/etc/postfix/transport' };
  const outgoing: RawSettings = { domains: { 'a.example': { outgoing: { delivery: always } } } };
  assert.match(
    fragments(outgoing, { parameters }).notes.join(' '),
    /sender_transport is not asked .* hash:\/etc\/postfix\/transport matches/u,
  );
  assert.doesNotMatch(fragments(plain, { parameters }).notes.join(' '), /sender_transport/u);
  const ours = { transport_maps: 'lmdb:/maps/current/transport' };
  assert.doesNotMatch(fragments(outgoing, { parameters: ours }).notes.join(' '), /sender_transport/u);
});

test('tables that main.cf names leave it with the maps directory, and one that has moved is named once', () => {
  const parameters = {
    smtp_tls_policy_maps: 'cdb:/old/current/tls_policy, hash:/etc/postfix/policy',
    transport_maps: 'lmdb:/old/current/transport',
    smtpd_restriction_classes: 'greylist, tlswarden_tls',
    tlswarden_tls: 'check_client_access cidr:/old/current/receipt_clients',
    smtpd_recipient_restrictions: `check_recipient_access lmdb:/old/current/receipt_access, ${policyServiceCall('inet:127.0.0.1:9')}, permit`,
  };
  const moved = (parameter: string): string | undefined => value(plain, parameter, { parameters });
  assert.equal(moved('smtp_tls_policy_maps'), 'lmdb:/maps/current/tls_policy, hash:/etc/postfix/policy');
  assert.equal(moved('smtpd_recipient_restrictions'), `${access}, ${call}, permit`);
  const gone = (parameter: string): string | undefined => value(plain, parameter, { parameters, withoutMaps: true });
  assert.equal(gone('smtp_tls_policy_maps'), 'hash:/etc/postfix/policy');
  assert.equal(gone('transport_maps'), '');
  assert.equal(gone('smtpd_restriction_classes'), 'greylist');
  assert.equal(gone('smtpd_recipient_restrictions'), `${call}, permit`);
});

test('a bound of connections that are used again is told of only where it is longer than what the service counts on', () => {
  const notes = (time: string): string =>
    fragments(plain, { parameters: { smtp_connection_reuse_time_limit: time } }).notes.join(' ');
  for (const time of ['', '300s', '300', '5m', '60s']) assert.doesNotMatch(notes(time), /reuse_time_limit/u, time);
  for (const time of ['301', '6m', '1h']) assert.match(notes(time), /reuse_time_limit is longer than 300s/u, time);
});

test('where a content filter is at work, it is said that FILTER goes past it, until each pass asks for its own', () => {
  const notes = (given: Given): string => fragments(plain, given).notes.join(' ');
  const filtered = { content_filter: 'scan:[127.0.0.1]:10025' };
  assert.match(notes({ parameters: filtered }), /content_filter is set, .* goes past it/u);
  assert.match(notes({ overrides: { 'smtp/inet/content_filter': 'scan:' } }), /content_filter is set/u);
  assert.match(notes({ overrides: { 'smtp/inet/smtpd_proxy_filter': '127.0.0.1:1' } }), /Postfix ignores the FILTER/u);
  assert.doesNotMatch(notes({ overrides: { '127.0.0.1:10026/inet/content_filter': '' } }), /content_filter/u);
  const receipt = { smtpd_recipient_restrictions: policyServiceCall(service, 'receipt') };
  assert.doesNotMatch(notes({ parameters: { ...filtered, ...receipt } }), /content_filter/u);
});
