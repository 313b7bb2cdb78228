// DNS answers: those of a real name server, and those of one that means harm.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DnsClient, parseResolvConf } from '../../src/probe/dns-client.ts';
import { DnsTrouble, RECORD_TYPES, type RecordType, readAnswer, writeQuestion } from '../../src/probe/dns-message.ts';
import { onFreeLoopbackAddress } from '../harness/loopback.ts';
import { NameServer } from '../harness/name-server.ts';
import { Workspace } from '../harness/workspace.ts';

const TIMEOUT_MS = 5_000;
const types = Object.keys(RECORD_TYPES) as RecordType[];

describe('a resolver', () => {
  test('tells records, that DNSSEC vouches for them, and where CNAMEs lead', async (t) => {
    const names = await NameServer.start(await Workspace.of(t));
    names.set('example.com', { mx: ['10 mx1.example.com', '20 mx2.example.com'] });
    names.set('mx1.example.com', { cname: 'host.example.net' });
    names.set('host.example.net', { a: ['192.0.2.1', '192.0.2.2'] });
    names.set('_25._tcp.host.example.net', { tlsa: [`3 1 1 ${'ab'.repeat(32)}`] });
    names.set('insecure.example', { mx: ['0 .'], insecure: true });
    const resolver = new DnsClient([{ address: names.address, port: 53 }], TIMEOUT_MS);

    assert.deepEqual(await resolver.lookup('Example.com', 'MX'), {
      outcome: 'found',
      records: [
        { preference: 10, exchange: 'mx1.example.com' },
        { preference: 20, exchange: 'mx2.example.com' },
      ],
      authenticated: true,
      canonical: 'example.com',
    });
    assert.deepEqual(await resolver.lookup('mx1.example.com', 'A'), {
      outcome: 'found',
      records: ['192.0.2.1', '192.0.2.2'],
      authenticated: true,
      canonical: 'host.example.net',
    });
    assert.deepEqual((await resolver.lookup('_25._tcp.host.example.net', 'TLSA')).records, [
      { usage: 3, selector: 1, matching: 1, data: 'ab'.repeat(32) },
    ]);
    const insecure = await resolver.lookup('insecure.example', 'MX');
    assert.deepEqual([insecure.authenticated, insecure.records], [false, [{ preference: 0, exchange: '' }]]);
    assert.equal((await resolver.lookup('host.example.net', 'AAAA')).outcome, 'none');
    assert.equal((await resolver.lookup('absent.example', 'A')).outcome, 'no-name');
    names.set('broken.example', { broken: true });
    await assert.rejects(resolver.lookup('broken.example', 'MX'), /MX of broken\.example: .*SERVFAIL/);
  });

  test('is asked again by TCP where the answer does not fit', async (t) => {
    const names = await NameServer.start(await Workspace.of(t));
    const mx = Array.from({ length: 60 }, (_, i) => `${i} a-rather-long-name-number-${i}.example.com`);
    names.set('example.com', { mx });
    const resolver = new DnsClient([{ address: names.address, port: 53 }], TIMEOUT_MS);
    assert.equal((await resolver.lookup('example.com', 'MX')).records.length, 60);
  });

  test('that is not there gives way to the next one', async (t) => {
    const workspace = await Workspace.of(t);
    const names = await NameServer.start(workspace);
    names.set('example.com', { a: ['192.0.2.1'] });
    const nobody = await onFreeLoopbackAddress(async (address) => address);
    // Nor is there any way to a link-local address without its link.
    const servers = ['fe80::1', nobody, names.address].map((address) => ({ address, port: 53 }));
    assert.deepEqual((await new DnsClient(servers, TIMEOUT_MS).lookup('example.com', 'A')).records, ['192.0.2.1']);
  });

  test("does not believe an answer to another's question, and gives up in the end", async (t) => {
    const workspace = await Workspace.of(t);
    const socket = createSocket('udp4');
    workspace.push({ dispose: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
    const address = await onFreeLoopbackAddress(
      (at) => new Promise<string>((resolve, reject) => socket.once('error', reject).bind(53, at, () => resolve(at))),
    );
    socket.on('message', (message, peer) => {
      message.writeUInt16BE((message.readUInt16BE(0) + 1) % 0x10000, 0);
      message.writeUInt16BE(0x8180, 2);
      socket.send(message, peer.port, peer.address);
    });
    const resolver = new DnsClient([{ address, port: 53 }], 50);
    await assert.rejects(resolver.lookup('example.com', 'A'), /does not answer/);
  });
});

test('resolv.conf names the servers to ask', () => {
  const text = '# x\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\nnameserver nonsense\n';
  assert.deepEqual(
    parseResolvConf(text).map(({ address }) => address),
    ['192.0.2.1', '2001:db8::1'],
  );
  assert.deepEqual(parseResolvConf(''), [{ address: '127.0.0.1', port: 53 }]);
});

test('no message whatever does more than to be trouble', () => {
  const question = writeQuestion(7, 'example.com', 'A');
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(0xff),
      fc.boolean(),
      (type, noise, count, real) => {
        const start = writeQuestion(7, 'example.com', type).subarray(0, real ? question.length - 11 : 0);
        const message = Buffer.concat([start, noise]);
        if (real) {
          message.writeUInt16BE(0x8180, 2);
          message.writeUInt16BE(count, 6);
        }
        try {
          readAnswer(message, 7, 'example.com', type);
        } catch (error) {
          assert.ok(error instanceof DnsTrouble, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
