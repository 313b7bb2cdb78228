// What Postfix's log tells of deliveries, line by line as Postfix 3.7 writes it; and what of them a requirement would not
// have let leave.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { judgeDelivery } from '../../src/report/deliveries.ts';
import { type LoggedDelivery, MailLog, type Trust } from '../../src/report/mail-log.ts';
import { compile } from '../decision/core.ts';
import { Workspace } from '../harness/workspace.ts';
import { tlswarden } from '../redis/host.ts';

const at = 'Mar  1 09:12:33 mx1';
const from = (id: string, sender: string): string =>
  `${at} postfix/qmgr[10]: ${id}: from=<${sender}>, size=420, nrcpt=1 (queue active)`;
const tls = (pid: number, relay: string, trust: Trust = 'Trusted', protocol = 'TLSv1.3'): string =>
  `${at} postfix/smtp[${pid}]: ${trust} TLS connection established to ${relay}: ${protocol} with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256`;
const to = (
  pid: number,
  id: string,
  recipient: string,
  relay: string,
  outcome = 'sent (250 2.0.0 Ok)',
  tag = 'postfix',
): string =>
  `${at} ${tag}/smtp[${pid}]: ${id}: to=<${recipient}>, relay=${relay}, delay=0.2, delays=0.1/0/0/0.1, dsn=2.0.0, status=${outcome}`;

const A = 'mx.a.example[192.0.2.1]:25';
const B = 'mx.b.example[192.0.2.2]:25';

/** The deliveries in short. */
function read(...lines: readonly string[]): readonly string[] {
  const log = new MailLog();
  return lines.flatMap((line) => {
    const delivery = log.read(line);
    if (delivery === undefined) return [];
    const { sender = '?', recipient, tls: session } = delivery;
    return [
      `<${sender}> <${recipient}> ${session === undefined ? 'plaintext' : `${session.protocol} ${session.trust}`}`,
    ];
  });
}

describe('the mail log', () => {
  test('tells sender, recipient and the TLS of the connection', () => {
    assert.deepEqual(
      read(from('4AA', 'a@here.example'), tls(7, A), to(7, '4AA', 'u@a.example', A), to(7, '4AA', 'v@a.example', A)),
      ['<a@here.example> <u@a.example> TLSv1.3 Trusted', '<a@here.example> <v@a.example> TLSv1.3 Trusted'],
    );
    assert.deepEqual(read(from('4AA', ''), to(7, '4AA', 'u@a.example', A)), ['<> <u@a.example> plaintext']);
    assert.deepEqual(read(to(7, '4AA', 'u@a.example', A)), ['<?> <u@a.example> plaintext']);
  });

  test("takes nobody else's words for those of Postfix", () => {
    const reply = 'said: 450 /qmgr[1]: 4BB: from=<forged@here.example>, size=1 (in reply to RCPT TO command)';
    const foreign = `${at} filter[3]: refused x/smtp[7]: 4AA: to=<u@a.example>, relay=${A}, delay=1, status=sent (ok)`;
    assert.deepEqual(read(`${at} postfix/smtp[7]: 4AA: host ${A} ${reply}`, to(7, '4BB', 'u@a.example', A), foreign), [
      '<?> <u@a.example> plaintext',
    ]);
    assert.equal(new MailLog().read(to(7, '4AA', 'x/tlswarden-y@a.example', A))?.isOurs, false);
    assert.equal(
      new MailLog().read(to(7, '4AA', 'u@a.example', A, undefined, 'postfix/tlswarden-encrypt'))?.isOurs,
      true,
    );
  });

  test('takes a connection for that of the next message only, and only to that server', () => {
    assert.deepEqual(
      read(
        tls(7, A),
        to(7, '4AA', 'u@a.example', B),
        to(7, '4BB', 'u@a.example', A),
        tls(7, B, 'Untrusted', 'TLSv1.2'),
        to(8, '4CC', 'u@a.example', B),
        to(7, '4CC', 'u@a.example', B),
      ),
      [
        '<?> <u@a.example> plaintext',
        '<?> <u@a.example> plaintext',
        '<?> <u@a.example> plaintext',
        '<?> <u@a.example> TLSv1.2 Untrusted',
      ],
    );
  });

  test('counts what was sent, and believes no word of the other server', () => {
    assert.deepEqual(
      read(
        to(7, '4AA', 'u@a.example', A, 'deferred (host mx.a.example said: 450 status=sent (in reply to RCPT TO))'),
        to(7, '4BB', 'u@a.example', 'none', 'bounced (Host not found)'),
        to(7, '4CC', 'u@a.example', '127.0.0.1[127.0.0.1]:10026'),
        `${at} postfix/smtpd[9]: NOQUEUE: reject: RCPT from x[192.0.2.9]: 550 to=<u@a.example>, relay=${A}, status=sent`,
        `${at} postfix/lmtp[9]: 4DD: to=<u@a.example>, relay=${A}, delay=1, status=sent (ok)`,
      ),
      [],
    );
  });

  test('forgets a message that is gone: its name may come again', () => {
    assert.deepEqual(
      read(from('4AA', 'a@here.example'), `${at} postfix/qmgr[10]: 4AA: removed`, to(7, '4AA', 'u@a.example', A)),
      ['<?> <u@a.example> plaintext'],
    );
  });
});

test('a delivery is held against what is required of it, as far as the log can tell', () => {
  const judge = (delivery: Record<string, unknown>, session: LoggedDelivery['tls'], isOurs = false): string => {
    const domains = {
      'd.example': { nexthop: '[mx.d.example]:25', incoming: { delivery: { require_tls: 'always', ...delivery } } },
    };
    const setting = compile({ domains } as Parameters<typeof compile>[0]).settings.find('d.example' as DomainName)
      ?.settings.incoming.delivery;
    assert.ok(setting !== undefined);
    return judgeDelivery(setting, { sender: '', recipient: 'u@d.example', tls: session, isOurs }) ?? 'well';
  };
  const session = (trust: Trust, protocol = 'TLSv1.3') => ({ trust, protocol });
  assert.equal(judge({}, undefined), 'tls');
  assert.equal(judge({}, session('Untrusted')), 'well');
  assert.equal(judge({}, session('Trusted', 'TLSv1.1')), 'protocol');
  assert.equal(judge({ level: 'secure' }, session('Untrusted')), 'certificate');
  assert.equal(judge({ level: 'verify' }, session('Anonymous')), 'certificate');
  assert.equal(judge({ level: 'verify' }, session('Trusted')), 'unknown');
  assert.equal(judge({ level: 'dane-only' }, session('Untrusted')), 'unknown');
  assert.equal(judge({ level: 'secure' }, session('Verified'), true), 'well');
});

test('report --maillog tells of deliveries by domain, from a file or from standard input', async (t) => {
  const workspace = await Workspace.of(t);
  const config = await workspace.write('main.toml', '[postfix]\nrelayhost = ""\n');
  await workspace.write(
    'domains.d/all.toml',
    `[domains."a.example"]
     incoming.delivery = { require_tls = "always", level = "verify", enforcement = "monitor" }
     [domains."here.example"]`,
  );
  const lines = [
    from('4AA', 'x@b.example'),
    tls(7, A),
    to(7, '4AA', 'u@a.example', A),
    to(8, '4BB', 'u@a.example', A),
    tls(8, A, 'Untrusted', 'TLSv1.2'),
    to(8, '4CC', 'v@a.example', A),
    from('4DD', 'u@here.example'),
    tls(7, B, 'Untrusted'),
    to(7, '4DD', 'y@b.example', B),
    '\u001b[31m what anybody else writes \u0000',
    '',
  ].join('\n');
  const path = await workspace.write('mail.log', lines);
  const text = await tlswarden(config, ['report', '--maillog', path], { env: { LC_ALL: 'C' } });
  assert.deepEqual([text.status, text.stderr], [0, '']);
  assert.deepEqual(text.stdout.split('\n'), [
    `Delivered, as ${path} tells, Mar  1 09:12:33 to Mar  1 09:12:33:`,
    '  incoming: 3 recipients, 1 (33 %) in plaintext',
    '  outgoing: 1 recipient, none in plaintext',
    'What settings require, also those under monitor, would have kept',
    '  incoming: 2 (67 %) of 3, 1 without TLS, 1 with a certificate that is not trusted',
    '',
    'INCOMING, DELIVERED  RECIPIENTS  TLS           PLAINTEXT        TLSv1.2  TLSv1.3  UNTRUSTED  REQUIRED  WOULD FAIL  NOT KNOWN',
    'a.example                     3  ####........          1  33 %        1        1          1         3           2          1',
    '',
    'OUTGOING, DELIVERED  RECIPIENTS  TLS           PLAINTEXT    TLSv1.3  UNTRUSTED  REQUIRED  WOULD FAIL',
    'here.example                  1  ............          0          1          1         0           0',
    '',
    'TLS: # plaintext  + older than TLSv1.2  . TLSv1.2 or newer',
    'NOT KNOWN: over TLS, but the names in the certificate were not held against what is required, since it is not yet;',
    '"tlswarden probe DOMAIN" does so.',
    '',
  ]);
  const chosen = await tlswarden(config, ['report', '--maillog', path, '--plaintext'], { env: { LC_ALL: 'C' } });
  assert.deepEqual(chosen.stdout.split('\n').slice(0, 10), [
    ...text.stdout.split('\n').slice(0, 9),
    'TLS: # plaintext  + older than TLSv1.2  . TLSv1.2 or newer',
  ]);
  assert.doesNotMatch(chosen.stdout, /OUTGOING/u);
  const one = await tlswarden(config, ['report', '--maillog', path, '--plaintext', 'here.example']);
  assert.match(one.stdout, /^Delivered, as \S+ tells of here\.example, Mar /u);
  assert.match(one.stdout, /outgoing: 1 recipient, none in plaintext\n(?:.*\n)+\nNo row is like that\.\n/u);
  const csv = await tlswarden(config, ['report', '--maillog', '-', '--csv', '--refused', 'a.example'], {
    input: lines,
  });
  assert.deepEqual(csv.stdout.split('\r\n'), [
    'flow,domain,remote,recipients,plaintext,TLSv1,TLSv1.1,TLSv1.2,TLSv1.3,other,untrusted,required,would_fail_tls,would_fail_protocol,would_fail_certificate,unknown',
    'incoming,a.example,(unknown),2,1,0,0,1,0,0,1,2,1,0,1,0',
    '',
  ]);
  const none = await tlswarden(config, ['report', '--maillog', workspace.path('nothing')]);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /nothing cannot be read: ENOENT/u);
  assert.equal((await tlswarden(config, ['report', '--maillog', workspace.directory])).status, 1);
  const nope = await tlswarden(config, ['report', '--maillog', path, 'nope.example']);
  assert.deepEqual(
    [nope.status, nope.stdout, nope.stderr],
    [1, '', 'tlswarden: nope.example is not hosted here: it has no settings\n'],
  );
  for (const input of ['', 'Mar  1 09:12:33 mx1 CRON[7]: (root) CMD (test -x /usr/sbin/anacron)\n']) {
    const other = await tlswarden(config, ['report', '--maillog', '-'], { input });
    assert.deepEqual(
      [other.status, other.stdout, other.stderr],
      [1, '', "tlswarden: standard input holds no line of Postfix's log\n"],
    );
  }
  const idle = await tlswarden(config, ['report', '--maillog', '-'], {
    input: `${at} postfix/submission/smtpd[9]: connect from x[192.0.2.9]\n`,
  });
  assert.deepEqual([idle.status, idle.stdout], [0, 'standard input tells of no delivery like that.\n']);
  const silent = await tlswarden(config, ['report', '--maillog', '-'], { input: to(7, '4AA', 'u@a.example', A) });
  assert.match(silent.stdout, /The log tells of no TLS at all\. It can only if main\.cf says smtp_tls_loglevel = 1/u);
});
