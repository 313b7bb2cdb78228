import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { parseMainFile } from '../../src/main-file/main-file.ts';
import { ComplaintError } from '../../src/toml/complaint.ts';
import { parseToml } from '../../src/toml/read-toml.ts';

const PATH = '/etc/tlswarden/tlswarden.toml';
const parse = (text: string) => parseMainFile(parseToml(text, PATH), PATH);

function complaints(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof ComplaintError, String(error));
    return error.message.split('\n').map((line) => line.replace(`${PATH}: `, ''));
  }
  return [];
}

describe('the main file', () => {
  it('may be empty: everything has its default', () => {
    const main = parse('');
    assert.deepEqual(main.server, {
      listen: ['127.0.0.1:10040'],
      allowRemote: false,
      maxConnections: 4096,
      metrics: undefined,
    });
    assert.equal(main.log.level, 'info');
    assert.deepEqual(main.settings, {
      source: { kind: 'directory', path: '/etc/tlswarden/domains.d' },
      snapshot: undefined,
    });
    assert.equal(main.addresses.recipientDelimiter, '+');
    assert.deepEqual(main.receipt.exemptClients, []);
    assert.equal(main.maps, undefined);
    assert.deepEqual(main.postfix, { configDirectory: '/etc/postfix', relayhost: '' });
  });

  it('has paths relative to itself', () => {
    const main = parse('[settings]\nsource = "../d"\n[maps]\ndirectory = "maps"\n[postfix]\nconfig_directory = "/p"');
    assert.deepEqual(main.settings.source, { kind: 'directory', path: '/etc/d' });
    assert.equal(main.maps?.directory, '/etc/tlswarden/maps');
    assert.equal(main.postfix.configDirectory, '/p');
  });

  it('names Redis by URL, and says nothing of what is secret in it', () => {
    const { source } = parse('[settings]\nsource = "rediss://panel:s3cret@c.example/1"').settings;
    assert.ok(source.kind === 'redis');
    assert.deepEqual(source.address.credentials(), { username: 'panel', password: 's3cret' });
    assert.equal(source.address.name, 'rediss://c.example:6379/1');
    assert.equal(JSON.stringify(source), '{"kind":"redis","address":"rediss://c.example:6379/1"}');
    assert.ok(!inspect(source, { depth: 9, showHidden: true }).includes('s3cret'));
  });

  it('takes a domain as myorigin, and knows of none otherwise', () => {
    assert.equal(parse('[addresses]\nmyorigin = "Example.com."').addresses.myorigin, 'example.com');
    assert.equal(parse('').addresses.myorigin, '');
  });

  it('takes an empty recipient_delimiter and a set of them', () => {
    assert.equal(parse('[addresses]\nrecipient_delimiter = ""').addresses.recipientDelimiter, '');
    assert.equal(parse('[addresses]\nrecipient_delimiter = "+-"').addresses.recipientDelimiter, '+-');
  });
});

describe('a mistake in the main file', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['[sever]', /^sever: unknown key; did you mean "server"\?$/u],
    ['[server]\nlissten = []', /^server\.lissten: unknown key; did you mean "listen"\?$/u],
    ['[domains."x.example"]', /^domains: unknown key; domains belong to the \*\.toml files of .* settings\.source$/u],
    ['server = 1', /^server: must be a table/u],
    ['[server]\nlisten = []', /^server\.listen: is empty/u],
    ['[server]\nlisten = 5', /^server\.listen: must be/u],
    ['[server]\nallow_remote = "yes"', /^server\.allow_remote: must be true or false/u],
    ['[server]\nmax_connections = 0', /^server\.max_connections: must be a whole number/u],
    ['[log]\nlevel = "verbose"', /^log\.level: "verbose" is none of/u],
    ['[settings]\nsource = "mysql://x"', /^settings\.source: "mysql:\/\/" is no source/u],
    ['[settings]\nsource = ""', /^settings\.source: is empty: write a path, or leave the key out$/u],
    ['[settings]\nsnapshot = " "', /^settings\.snapshot: is empty/u],
    ['[report]\nstate = ""', /^report\.state: is empty/u],
    ['[maps]\ndirectory = ""', /^maps\.directory: is empty/u],
    ['[maps]\ndirectory = 1', /^maps\.directory: must be a string, not 1$/u],
    [
      '[maps]\ndirectory = "post fix"',
      /^maps\.directory: ".*\/post fix": Postfix cannot name a path with a blank, a comma/u,
    ],
    ['[maps]\ndirectory = "/m,n"', /^maps\.directory: "\/m,n": Postfix cannot name a path/u],
    ['[postfix]\nconfig_directory = ""', /^postfix\.config_directory: is empty/u],
    [
      '[addresses]\nmyorigin = "/etc/mailname"',
      /^addresses\.myorigin: "\/etc\/mailname" is no domain; write the one that stands in that file$/u,
    ],
    ['[addresses]\nmyorigin = ""', /^addresses\.myorigin: "" is no domain/u],
    ['[addresses]\nrecipient_delimiter = "@"', /^addresses\.recipient_delimiter: /u],
    ['[receipt]\nexempt_clients = ["10.0.0.0/33"]', /^receipt\.exempt_clients: "10\.0\.0\.0\/33" is no address/u],
    ['[receipt]\nexempt_clients = ["localhost"]', /^receipt\.exempt_clients: "localhost"/u],
    ['[receipt]\nexempt_clients = ["fe80::1%eth0/64"]', /^receipt\.exempt_clients: "fe80::1%eth0\/64" is no address/u],
    ['[receipt]\nexempt_clients = ["::1/129", "::1/", "1.2.3"]', /^receipt\.exempt_clients: "::1\/129"/u],
    ['[maps]', /^maps\.directory: is missing/u],
    ['[maps]\ndirectory = "m"\ntype = "lmbd"', /^maps\.type: "lmbd" is none of .* did you mean "lmdb"\?$/u],
    ['[postfix]\nrelayhost = "a b"', /^postfix\.relayhost: "a b" is no next hop/u],
    ['[defaults.incoming.reciept]', /^defaults\.incoming\.reciept: unknown key; did you mean "receipt"\?$/u],
    ['[defaults.incoming.receipt]\nrequire_tls = "no"', /^defaults\.incoming\.receipt\.require_tls: "no" is none of/u],
  ];
  for (const [text, expected] of cases) {
    it(`names the key: ${text.replaceAll('\n', ' ')}`, () => assert.match(complaints(text)[0] ?? 'nothing', expected));
  }

  it('is told once, and not what follows from it', () => {
    for (const text of [
      '[maps]\ndirectory = ""',
      '[maps]\ndirectory = 1',
      '[settings]\nsource = 1',
      '[settings]\nsource = ""',
    ])
      assert.equal(complaints(text).length, 1, text);
  });

  it('is told together with all others', () => {
    assert.equal(complaints('[server]\nmax_connections = 0\n[log]\nlevel = 1\n[maps]').length, 3);
  });
});
