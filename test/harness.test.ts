// What the end-to-end tests stand on, proven without tlswarden: a plain Postfix, destinations, a name server.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { promises as dns } from 'node:dns';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { Authority, selfSignedCertificate } from './harness/certificates.ts';
import { run } from './harness/command.ts';
import { Destination } from './harness/destination.ts';
import { killMountNamespace, processesInMountNamespace } from './harness/mount-namespace.ts';
import { NameServer } from './harness/name-server.ts';
import { Postfix } from './harness/postfix.ts';
import { sendMessage } from './harness/send-message.ts';
import { SmtpClient } from './harness/smtp-client.ts';
import { waitFor } from './harness/wait-for.ts';
import { Workspace } from './harness/workspace.ts';

const sender = 'sender@far.example';

/** What must be the same before and after a test. */
function surroundings(): unknown {
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    logs: readdirSync('/var/log').sort(),
    resolver: readFileSync('/etc/resolv.conf', 'utf8'),
    children: readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'),
  };
}

test('mail to a relay domain arrives at the next hop that transport_maps names', async (t) => {
  const workspace = await Workspace.of(t);
  const destination = await Destination.start(workspace);
  const postfix = await Postfix.start(workspace, {
    parameters: {
      relay_domains: 'hosted.example',
      transport_maps: `inline:{ hosted.example=smtp:${destination.nexthop} }`,
    },
  });

  const sent = await sendMessage(postfix, { from: sender, to: ['a@hosted.example', 'b@hosted.example'], id: 'one' });

  assert.deepEqual(
    sent.recipients.map((reply) => reply.code),
    [250, 250],
  );
  assert.equal(sent.data?.code, 250);
  assert.equal(sent.tls, undefined);
  const message = await destination.waitForMessage('one');
  assert.equal(message.from, sender);
  assert.deepEqual(message.to, ['a@hosted.example', 'b@hosted.example']);
  assert.equal(message.tls, undefined);
  assert.equal(message.client, postfix.address);
  assert.equal(message.helo, postfix.hostname);
  await postfix.waitForQueue((queue) => queue.length === 0);
});

test('mail to a domain without a route arrives at its MX host', async (t) => {
  const workspace = await Workspace.of(t);
  const names = await NameServer.start(workspace);
  const destination = await Destination.start(workspace);
  names.setMailHost('elsewhere.example', 'mx.elsewhere.example', destination.address);
  const postfix = await Postfix.start(workspace, { nameServer: names.address });

  await sendMessage(postfix, { from: sender, to: ['user@elsewhere.example'], id: 'by-mx' });
  await destination.waitForMessage('by-mx');
  assert.ok(names.questions.includes('MX elsewhere.example'));

  await sendMessage(postfix, { from: sender, to: ['user@absent.example'], id: 'nowhere' });
  await postfix.waitForLog(/to=<user@absent\.example>.*Host or domain name not found.*type=A/);
});

test('STARTTLS is used on both hops, with the versions that each end allows', async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const destination = await Destination.start(workspace, {
    certificate: await authority.issue(['mx.hosted.example']),
    maxVersion: 'TLSv1.2',
  });
  const postfix = await Postfix.start(workspace, {
    certificate: await authority.issue(['postfix.test']),
    parameters: {
      relay_domains: 'hosted.example',
      transport_maps: `inline:{ hosted.example=smtp:${destination.nexthop} }`,
    },
  });
  const send = async (id: string, version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string | undefined> =>
    (
      await sendMessage(postfix, {
        from: sender,
        to: ['user@hosted.example'],
        id,
        tls: version === undefined ? {} : { min: version, max: version },
      })
    ).tls?.version;

  for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const) {
    assert.equal(await send(version, version), version);
    await destination.waitForMessage(version);
  }
  assert.equal((await destination.waitForMessage('TLSv1.3')).tls?.version, 'TLSv1.2');

  destination.maxVersion = 'TLSv1.3';
  await send('newer');
  assert.equal((await destination.waitForMessage('newer')).tls?.version, 'TLSv1.3');
});

test('mail that must have TLS waits in the queue until the destination offers it', async (t) => {
  const workspace = await Workspace.of(t);
  const destination = await Destination.start(workspace, {
    certificate: await selfSignedCertificate(workspace, ['mx.hosted.example']),
    starttls: false,
  });
  const postfix = await Postfix.start(workspace, {
    parameters: {
      relay_domains: 'hosted.example',
      transport_maps: `inline:{ hosted.example=smtp:${destination.nexthop} }`,
      smtp_tls_security_level: 'encrypt',
    },
  });

  await sendMessage(postfix, { from: sender, to: ['user@hosted.example'], id: 'patient' });
  const [queued] = await postfix.waitForQueue((queue) => queue[0]?.queue_name === 'deferred');
  assert.match(queued?.recipients[0]?.delay_reason ?? '', /TLS is required, but was not offered/);
  assert.equal(destination.messages.length, 0);

  destination.starttls = true;
  assert.ok((await destination.waitForMessage('patient')).tls);
});

test('a destination that is down, defers or refuses is one that Postfix waits for, tries again or gives up', async (t) => {
  const workspace = await Workspace.of(t);
  const destination = await Destination.start(workspace);
  const postfix = await Postfix.start(workspace, { parameters: { relayhost: destination.nexthop } });
  await destination.down();
  await sendMessage(postfix, { from: sender, to: ['down@far.example'], id: 'down' });
  await postfix.waitForLog(/to=<down@far\.example>.*status=deferred.*refused/);
  await destination.up();
  await postfix.flush();
  await destination.waitForMessage('down');

  destination.refuse('later@far.example', '451 4.3.0 not now');
  destination.refuse('never@far.example', '550 5.1.1 nobody');
  await sendMessage(postfix, {
    from: '',
    to: ['later@far.example', 'never@far.example', 'now@far.example'],
    id: 'mixed',
  });
  assert.deepEqual((await destination.waitForMessage('mixed')).to, ['now@far.example']);
  await postfix.waitForLog(/to=<never@far\.example>.*status=bounced/);
  destination.accept('later@far.example');
  await destination.waitForMessage((message) => message.to.includes('later@far.example'));
});

test('DANE works: the TLSA record from the test name server decides', async (t) => {
  const workspace = await Workspace.of(t);
  const names = await NameServer.start(workspace);
  const certificate = await selfSignedCertificate(workspace, ['mx.dane.example']);
  const destination = await Destination.start(workspace, { certificate });
  names.setMailHost('dane.example', 'mx.dane.example', destination.address, [certificate.tlsa]);
  const postfix = await Postfix.start(workspace, {
    nameServer: names.address,
    parameters: { smtp_tls_security_level: 'dane-only', smtp_dns_support_level: 'dnssec' },
  });

  await sendMessage(postfix, { from: sender, to: ['user@dane.example'], id: 'pinned' });
  await destination.waitForMessage('pinned');
  await postfix.waitForLog(/Verified TLS connection established to mx\.dane\.example/);

  names.setMailHost('wrong.example', 'mx.wrong.example', destination.address, [`3 1 1 ${'00'.repeat(32)}`]);
  await sendMessage(postfix, { from: sender, to: ['user@wrong.example'], id: 'mistaken' });
  await postfix.waitForLog(/to=<user@wrong\.example>.*status=deferred \(Server certificate not verified/);
  names.set('mx.insecure.example', { a: [destination.address], insecure: true });
  names.set('insecure.example', { mx: ['10 mx.insecure.example'], insecure: true });
  await sendMessage(postfix, { from: sender, to: ['user@insecure.example'], id: 'insecure' });
  await postfix.waitForLog(/to=<user@insecure\.example>.*status=deferred/);
  assert.equal(destination.messages.length, 1);
  names.set('_25._tcp.mx.wrong.example', { tlsa: [certificate.tlsa] });
  await destination.waitForMessage('mistaken');
});

test('certificates are what they are said to be', async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const good = await authority.issue(['mx.hosted.example', 'alias.example']);
  const expired = await authority.issueExpired(['mx.hosted.example']);
  await run('openssl', [
    'verify',
    '-CAfile',
    authority.caFile,
    '-verify_hostname',
    'alias.example',
    good.certificateFile,
  ]);
  await assert.rejects(run('openssl', ['verify', '-CAfile', authority.caFile, expired.certificateFile]), /expired/);

  const destination = await Destination.start(workspace, { certificate: good });
  const postfix = await Postfix.start(workspace, {
    parameters: {
      relayhost: destination.nexthop,
      smtp_tls_security_level: 'fingerprint',
      smtp_tls_fingerprint_cert_match: good.publicKeyFingerprint,
    },
  });
  await sendMessage(postfix, { from: sender, to: ['user@far.example'], id: 'key' });
  await destination.waitForMessage('key');
  destination.certificate = expired;
  await sendMessage(postfix, { from: sender, to: ['other@far.example'], id: 'wrong-key' });
  await postfix.waitForLog(/to=<other@far\.example>.*status=deferred/);
  await postfix.set({ smtp_tls_fingerprint_cert_match: expired.certificateFingerprint });
  await postfix.reload();
  await destination.waitForMessage('wrong-key');
});

test('a session plays another client, logs in and speaks TLS with the cipher that the test chose', async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const destination = await Destination.start(workspace);
  const postfix = await Postfix.start(workspace, {
    certificate: await authority.issue(['postfix.test']),
    parameters: { relayhost: destination.nexthop, mynetworks: '192.0.2.0/24' },
  });
  const sent = await sendMessage(postfix, {
    from: sender,
    to: ['user@far.example'],
    id: 'played',
    xclient: { ADDR: '192.0.2.25', NAME: 'mail.far.example', LOGIN: 'fred' },
    tls: { max: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
  });
  assert.deepEqual(sent.tls, { version: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA' });
  assert.match(
    (await destination.waitForMessage('played')).data,
    /^Received: from client\.test \(mail\.far\.example \[192\.0\.2\.25\]\)\n\t\(using TLSv1\.2 .*\(128\/128 bits\)/,
  );
  await postfix.waitForLog(/client=mail\.far\.example\[192\.0\.2\.25\], sasl_method=XCLIENT, sasl_username=fred/);
});

test('two Postfix run side by side, one sending through the other', async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const destination = await Destination.start(workspace);
  const gateway = await Postfix.start(workspace, {
    name: 'gateway',
    certificate: await authority.issue(['gateway.test']),
    parameters: {
      mynetworks: '',
      relay_domains: 'hosted.example',
      transport_maps: `inline:{ hosted.example=smtp:${destination.nexthop} }`,
    },
  });
  const client = await Postfix.start(workspace, {
    name: 'client',
    parameters: { relayhost: gateway.nexthop, smtp_tls_security_level: 'encrypt' },
  });

  await sendMessage(client, { from: sender, to: ['user@hosted.example'], id: 'relayed' });
  const message = await destination.waitForMessage('relayed');
  assert.match(message.data, /^Received: from client\.test .*\n\t\(using TLSv1\.3 /m);
  await gateway.waitForLog(new RegExp(`connect from .*\\[${client.address.replaceAll('.', '\\.')}\\]`));
});

describe('a Postfix', () => {
  let workspace: Workspace;
  let postfix: Postfix;
  before(async () => {
    workspace = await Workspace.create();
    postfix = await Postfix.start(workspace);
  });
  after(() => workspace.dispose());

  test('BDAT and SMTPUTF8 arrive', async () => {
    const sent = await sendMessage(postfix, {
      from: 'üser@far.example',
      to: ['user@far.example'],
      id: 'chunks',
      smtputf8: true,
      bdat: true,
    });
    assert.equal(sent.data?.code, 250);
  });

  test('takes new parameters by reload, and again after a stop and start', async () => {
    await postfix.set({ smtpd_banner: 'first ESMTP' });
    await postfix.reload();
    const client = await SmtpClient.connect(postfix);
    assert.equal(client.greeting.text, '220 first ESMTP');
    await client.quit();
    await postfix.stop();
    assert.deepEqual(postfix.processes(), []);
    await postfix.set({ smtpd_banner: undefined });
    await postfix.start();
    const again = await SmtpClient.connect(postfix);
    assert.match(again.greeting.text, /^220 postfix\.test ESMTP/);
    await again.quit();
  });

  test('runs a program where its own name server answers', async () => {
    const { stdout } = await postfix.attemptInside('cat', ['/etc/resolv.conf']);
    assert.match(stdout, /^nameserver 127\..*\noptions trust-ad/);
  });

  test('that cannot start says why', async () => {
    const other = await Postfix.create(workspace, { name: 'broken', services: ['nonsense'] });
    await assert.rejects(other.start(), /master\.cf: line \d+: bad field count/);
    assert.deepEqual(other.processes(), []);
  });
});

test('the name server answers over UDP and TCP, and changes while it runs', async (t) => {
  const workspace = await Workspace.of(t);
  const names = await NameServer.start(workspace);
  const resolver = new dns.Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([names.address]);
  names.set('Example.com', { mx: ['10 mx1.example.com', '20 mx2.example.com'] });
  names.set('mx1.example.com', { cname: 'host.example.net' });
  names.set('host.example.net', { a: ['192.0.2.1', '192.0.2.2'] });
  names.set('long.example.com', { txt: ['x'.repeat(3_000)] });

  assert.deepEqual((await resolver.resolveMx('example.com')).map((mx) => mx.exchange).sort(), [
    'mx1.example.com',
    'mx2.example.com',
  ]);
  assert.deepEqual((await resolver.resolve4('mx1.example.com')).sort(), ['192.0.2.1', '192.0.2.2']);
  assert.equal((await resolver.resolveTxt('long.example.com')).flat().join('').length, 3_000);
  await assert.rejects(resolver.resolve6('host.example.net'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolve4('absent.example.com'), { code: 'ENOTFOUND' });
  names.set('host.example.net', { broken: true });
  await assert.rejects(resolver.resolve4('host.example.net'), { code: 'ESERVFAIL' });
  names.remove('host.example.net');
  await assert.rejects(resolver.resolve4('host.example.net'), { code: 'ENOTFOUND' });
});

test('nothing stays behind when a workspace ends, even after a test that failed', async () => {
  const before = surroundings();
  const workspace = await Workspace.create();
  const names = await NameServer.start(workspace);
  const destination = await Destination.start(workspace);
  const postfix = await Postfix.start(workspace, {
    nameServer: names.address,
    parameters: { relayhost: destination.nexthop },
  });
  const client = await SmtpClient.connect(postfix);
  workspace.push({
    dispose: () => {
      throw new Error('this one cannot be put away');
    },
  });
  const processes = postfix.processes();
  assert.ok(processes.length > 3);

  await assert.rejects(workspace.dispose(), AggregateError);

  client.close();
  assert.ok(!existsSync(workspace.directory));
  assert.deepEqual(
    processes.filter((pid) => existsSync(`/proc/${pid}/exe`)),
    [],
  );
  assert.deepEqual(surroundings(), before);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  test(`no process stays behind when the test's own process gets ${signal}`, async () => {
    const start = (module: string): string => JSON.stringify(new URL(`./harness/${module}`, import.meta.url).href);
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { Workspace } from ${start(`workspace.${extension}`)};
         import { Postfix } from ${start(`postfix.${extension}`)};
         import { mountNamespaceOf } from ${start(`mount-namespace.${extension}`)};
         const workspace = await Workspace.create();
         const postfix = await Postfix.start(workspace);
         console.log(workspace.directory + ' ' + mountNamespaceOf(postfix.pid));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = once(child, 'exit');
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      output += piece;
    });
    const [, directory = '', namespace = ''] = await waitFor(() => output.match(/^(\S+) (\S+)\n/), 'it starts');
    assert.ok(directory.startsWith(tmpdir()));
    assert.ok(namespace.startsWith('mnt:'));
    assert.ok(processesInMountNamespace(namespace).length > 3);
    try {
      child.kill(signal);
      assert.deepEqual(await ended, [null, signal]);
      await waitFor(() => processesInMountNamespace(namespace).length === 0, 'its Postfix is gone');
      assert.equal(existsSync(directory), signal === 'SIGKILL');
    } finally {
      killMountNamespace(namespace);
      await run('rm', ['-rf', directory]);
    }
  });
}
