import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Program } from './program.ts';

describe('domains set', () => {
  it('makes a domain that is new, in a file of its own', async (t) => {
    const program = new Program(t);
    const words = [
      'incoming.receipt',
      'require_tls=specific',
      'senders=*@bank.example, ceo@partner.example',
      'min_cipher_bits=256',
    ];
    const { status, stdout, stderr } = await program.run([
      'domains',
      'set',
      'Example.COM',
      ...words,
      'nexthop=[mx1.example.com]:25',
      'aliases=example.net',
    ]);
    assert.deepEqual([status, stdout, stderr], [0, 'example.com: new domain\n', '']);
    assert.equal(
      program.read('example.com.toml'),
      `[domains."example.com"]
aliases = ["example.net"]
nexthop = "[mx1.example.com]:25"

[domains."example.com".incoming.receipt]
require_tls = "specific"
senders = ["*@bank.example", "ceo@partner.example"]
min_cipher_bits = 256
`,
    );
    assert.deepEqual(program.names(), ['example.com.toml']);
  });

  it('with nothing but a name makes a domain that asks for nothing', async (t) => {
    const program = new Program(t, {});
    const first = await program.run(['domains', 'set', 'club.example']);
    assert.deepEqual([first.status, first.stdout, first.stderr], [0, 'club.example: new domain\n', '']);
    assert.equal(program.read('club.example.toml'), '[domains."club.example"]\n');
    assert.equal((await program.run(['domains', 'set', 'club.example'])).stdout, 'club.example: nothing to change\n');
  });

  it('adds to lists and takes from them, whichever form an entry is written in', async (t) => {
    const program = new Program(t, {
      'a.toml':
        '[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\nsenders = "a@b.example, bank.example"\n',
    });
    const { status, stderr } = await program.run([
      'domains',
      'set',
      'a.example',
      'incoming.receipt',
      'senders+=c@d.example,A@B.example',
      'senders-=*@Bank.example,nobody@x.example',
    ]);
    assert.deepEqual([status, stderr], [0, 'a.example: senders: "nobody@x.example" was not listed\n']);
    assert.match(program.read('a.toml'), /^senders = \["a@b\.example", "c@d\.example"\]$/mu);
  });

  it('knows an alias by its other forms, and a fingerprint', async (t) => {
    const print = 'ab:'.repeat(32).slice(0, -1);
    const program = new Program(t, {
      'a.toml':
        `[domains."a.example"]\naliases = ["bücher.example", "b.example"]\n` +
        `[domains."a.example".incoming.delivery]\nrequire_tls = "always"\nlevel = "fingerprint"\nfingerprints = ["${print}", "${print.replaceAll('b', 'c')}"]\n`,
    });
    const { stderr: suggested } = await program.run(['domains', 'unset', 'bücher.example']);
    assert.match(suggested, /aliases-=xn--bcher-kva\.example/u);
    const { status, stderr } = await program.run([
      ...['domains', 'set', 'a.example', 'aliases-=xn--bcher-kva.example', 'aliases+=B.example.'],
      ...['incoming.delivery', `fingerprints-=${print.toUpperCase().replaceAll(':', '')}`],
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(program.read('a.toml'), /^aliases = \["b\.example"\]$.*^fingerprints = \["ac:[^,]*\]$/msu);
  });

  it('drops the lists when require_tls leaves specific, and says so', async (t) => {
    const program = new Program(t, {
      'a.toml':
        '[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\nwhen = "both"\nsenders = "a@b.example"\n',
    });
    const { status, stderr } = await program.run([
      'domains',
      'set',
      'a.example',
      'incoming.receipt',
      'require_tls=always',
    ]);
    assert.equal(status, 0);
    assert.match(stderr, /senders dropped, since require_tls is not "specific" any more; it was "a@b\.example"/u);
    assert.match(stderr, /when dropped/u);
    assert.equal(program.read('a.toml'), '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n');
  });

  it('takes a key away with KEY=', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\nnexthop = "[mx.example]"\n' });
    assert.equal((await program.run(['domains', 'set', 'a.example', 'nexthop='])).status, 0);
    assert.equal(program.read('a.toml'), '[domains."a.example"]\n');
  });

  it('takes a setting away with its last key, so that the default holds and is not replaced by nothing', async (t) => {
    const setting = '[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\nsenders = "a@b.example"\n';
    const defaults = '[defaults.incoming.receipt]\nrequire_tls = "always"\n';
    const program = new Program(t, { 'a.toml': `[domains."a.example"]\nnexthop = "mx.example"\n${setting}` }, defaults);
    const set = async (...words: readonly string[]) =>
      await program.run(['domains', 'set', 'a.example', 'incoming.receipt', ...words]);
    assert.match(
      (await set('require_tls=', 'senders=')).stderr,
      /incoming\.receipt has no keys left and is taken away/u,
    );
    assert.equal(program.read('a.toml'), '[domains."a.example"]\nnexthop = "mx.example"\n');
    const again = await set('senders-=a@b.example');
    assert.match(again.stdout, /nothing to change/u);
    assert.doesNotMatch(again.stderr, /replaces/u);
  });

  it('says of a new domain that it is new, and which hosted one has nearly that name', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."example.com"]\n[domains."customer1.example"]\n' });
    const set = async (name: string) => {
      const { status, stdout, stderr } = await program.run(['domains', 'set', name, 'nexthop=mx.example']);
      assert.equal(status, 0);
      return stdout + stderr;
    };
    assert.equal(
      await set('exmaple.com'),
      'exmaple.com: new domain\nexmaple.com: did you mean example.com, which is hosted here?\n',
    );
    assert.equal(await set('exmaple.com'), 'exmaple.com: nothing to change\n');
    assert.equal(await set('example.com'), 'example.com: changed\n');
    assert.equal(await set('customer2.example'), 'customer2.example: new domain\n');
    assert.equal(await set('other.example'), 'other.example: new domain\n');
    const { stdout } = await program.run(['--json', 'domains', 'set', 'example.co', 'nexthop=mx.example']);
    assert.deepEqual(JSON.parse(stdout), {
      domain: 'example.co',
      new: true,
      changed: true,
      removed: [],
      notes: ['did you mean example.com, which is hosted here?'],
    });
  });

  it('tells with --json which keys are gone', async (t) => {
    const program = new Program(t, {
      'a.toml':
        '[domains."a.example"]\nnexthop = "mx.example"\n[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\nsenders = "*"\n',
    });
    const words = ['nexthop=', 'incoming.receipt', 'require_tls=always'];
    const { stdout } = await program.run(['--json', 'domains', 'set', 'a.example', ...words]);
    assert.deepEqual(JSON.parse(stdout).removed, ['nexthop', 'incoming.receipt.senders']);
  });

  it('says that a setting of its own replaces the default whole', async (t) => {
    const program = new Program(
      t,
      {},
      '[defaults.incoming.receipt]\nrequire_tls = "always"\nmin_protocol = "TLSv1.3"\n',
    );
    const { stderr } = await program.run(['domains', 'set', 'a.example', 'incoming.receipt', 'require_tls=always']);
    assert.match(stderr, /incoming\.receipt is now a setting of its own, which replaces that of \[defaults\] whole/u);
  });

  it('changes nothing when the settings would not be valid: exit status 2', async (t) => {
    const program = new Program(t, { 'b.toml': '[domains."b.example"]\naliases = "x.example"\n' });
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ['incoming.receipt', 'require_tls=allways'],
        /^a\.example\.toml: a\.example: incoming\.receipt\.require_tls: .*did you mean "always"/u,
      ],
      [['incoming.receipt', 'require_tls=specific'], /"specific" with nobody listed/u],
      [['incoming.receipt', 'senders=a@b.example'], /senders: has a meaning only with/u],
      [['incoming.receipt', 'require_tls=always', 'min_cipher_bits=many'], /must be a whole number/u],
      [['aliases=x.example'], /"x\.example" stands already/u],
      [['nexthop=a b'], /is no next hop/u],
    ];
    for (const [words, expected] of cases) {
      const { status, stdout, stderr } = await program.run(['domains', 'set', 'a.example', ...words]);
      assert.deepEqual([status, stdout], [2, ''], words.join(' '));
      assert.match(stderr, expected);
      assert.match(stderr, /Nothing was changed\.\n$/u);
    }
    assert.deepEqual(program.names(), ['b.toml']);
  });

  it('called wrongly is exit status 2, with what was probably meant', async (t) => {
    const program = new Program(t, { 'b.toml': '[domains."b.example"]\naliases = "x.example"\n' });
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['a.example', 'incoming.reciept', 'a=b'], /did you mean incoming\.receipt\?/u],
      [['a.example', 'require_tls=always'], /belongs to no setting/u],
      [
        ['a.example', 'incoming.receipt.require_tls=always'],
        /the setting is a word of its own: incoming\.receipt require_tls=always$/mu,
      ],
      [
        ['a.example', 'incoming.receipt', 'require_tls', 'always'],
        /"require_tls" is a key: write require_tls=VALUE$/mu,
      ],
      [['a.example', 'nexthop'], /"nexthop" is a key: write nexthop=VALUE$/mu],
      [
        ['a.example', 'incoming.receipt', 'sender=x'],
        /"sender" is no key of incoming\.receipt; did you mean "senders"\?/u,
      ],
      [
        ['a.example', 'incoming.receipt', 'level=secure'],
        /"level" is no key of incoming\.receipt: it is one of incoming\.delivery$/mu,
      ],
      [
        ['a.example', 'outgoing.receipt', 'colour=red'],
        /"colour" is no key of outgoing\.receipt: there are require_tls, senders, .*on_failure$/mu,
      ],
      [['a.example', 'incoming.receipt'], /nothing is said of incoming\.receipt: write KEY=VALUE behind it$/mu],
      [
        ['a.example', 'incoming.receipt', 'nexthop=x', 'outgoing.receipt', 'require_tls=always'],
        /nothing is said of incoming\.receipt: write KEY=VALUE behind it$/mu,
      ],
      [['a.example', 'receipt.incoming', 'require_tls=always'], /did you mean incoming\.receipt\?/u],
      [['a.example', 'incoming.receipt', 'require_tls+=always'], /require_tls is no list/u],
      [['a b', 'nexthop=x'], /"a b" is no valid domain name/u],
      [['../etc', 'nexthop=x'], /is no valid domain name/u],
      [['x.example', 'nexthop=x'], /x\.example is an alias of b\.example/u],
    ];
    for (const [words, expected] of cases) {
      const { status, stderr } = await program.run(['domains', 'set', ...words]);
      assert.equal(status, 2, words.join(' '));
      assert.match(stderr, expected);
    }
    assert.deepEqual(program.names(), ['b.toml']);
  });

  it('with blanks around "=" is told to do without', async (t) => {
    const program = new Program(t, {});
    for (const words of [
      ['require_tls', '=', 'always'],
      ['require_tls=', 'always'],
      ['require_tls', '=always'],
    ]) {
      const { status, stderr } = await program.run(['domains', 'set', 'a.example', 'incoming.receipt', ...words]);
      assert.deepEqual(
        [status, stderr],
        [2, 'tlswarden: write require_tls=always in one word, without blanks around "="\n'],
        words.join(' '),
      );
    }
    assert.deepEqual(program.names(), []);
    const { status } = await program.run(['domains', 'set', 'a.example', 'nexthop=', 'incoming.receipt', 'when=']);
    assert.equal(status, 0);
  });

  it('that cannot write is exit status 1', async (t) => {
    const program = new Program(t);
    mkdirSync(join(program.settings, '.tlswarden.lock'));
    const { status, stderr } = await program.run(['domains', 'set', 'a.example', 'nexthop=x.example']);
    assert.equal(status, 1);
    assert.match(stderr, /^tlswarden: EISDIR/u);
  });

  it('without a settings directory is exit status 2', async (t) => {
    const program = new Program(t);
    rmSync(program.settings, { recursive: true });
    const { status, stderr } = await program.run(['domains', 'set', 'a.example', 'nexthop=x.example']);
    assert.equal(status, 2);
    assert.match(stderr, /the settings directory cannot be read.*\nNothing was changed\.\n$/u);
  });
});

describe('domains unset', () => {
  it('takes away a setting, or the domain', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n' });
    assert.equal(
      (await program.run(['domains', 'unset', 'a.example', 'incoming.receipt'])).stdout,
      'a.example: incoming.receipt removed\n',
    );
    assert.equal(program.read('a.toml'), '[domains."a.example"]\n');
    assert.equal((await program.run(['domains', 'unset', 'a.example'])).stdout, 'a.example: removed\n');
    assert.equal(program.read('a.toml'), '');
  });

  it('tells with --json what was there', async (t) => {
    const receipt = { require_tls: 'always' };
    const program = new Program(t, {
      'a.toml':
        '[domains."a.example"]\naliases = "x.example"\n[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n',
    });
    const unset = async (...words: readonly string[]) =>
      JSON.parse((await program.run(['--json', 'domains', 'unset', 'a.example', ...words])).stdout);
    assert.deepEqual(await unset('incoming.receipt'), {
      domain: 'a.example',
      removed: 'incoming.receipt',
      was: receipt,
    });
    assert.deepEqual(await unset(), { domain: 'a.example', removed: 'domain', was: { aliases: ['x.example'] } });
  });

  it('of a key says how a key is taken away', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\nnexthop = "x"\n' });
    const unset = async (key: string) => program.run(['domains', 'unset', 'a.example', key]);
    const { status, stderr } = await unset('nexthop');
    assert.equal(status, 2);
    assert.match(stderr, /"nexthop" is a key: take it away by "tlswarden domains set a\.example nexthop="$/mu);
    assert.match((await unset('senders')).stderr, /by "tlswarden domains set a\.example FLOW\.HOP senders="$/mu);
  });

  it('of what is not there is exit status 1', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\n' });
    assert.equal((await program.run(['domains', 'unset', 'b.example'])).status, 1);
    assert.equal((await program.run(['domains', 'unset', 'a.example', 'incoming.receipt'])).status, 1);
  });
});

describe('domains set, unset and import', () => {
  it('beside a file with a mistake say that, and that nothing was changed', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\n', 'b.toml': '[' });
    for (const args of [
      ['set', 'a.example', 'nexthop=x'],
      ['unset', 'a.example'],
      ['import', '-'],
    ]) {
      const { status, stderr } = await program.run(['domains', ...args], '{"domain":"c.example"}\n');
      assert.equal(status, 2);
      assert.match(stderr, /^b\.toml:1: not TOML: .*\nNothing was changed\.\n$/u, args.join(' '));
    }
    const { stderr } = await program.run(['domains', 'list']);
    assert.doesNotMatch(stderr, /Nothing was changed/u);
  });
});

describe('domains list and show', () => {
  const files = {
    'a.toml':
      '[domains."b.example"]\naliases = "x.example"\n[domains."b.example".incoming.delivery]\nrequire_tls = "always"\nlevel = "secure"\n',
    'b.toml': '[domains."a.example"]\nnexthop = "[mx.example]:25"\n',
  };
  const main = '[defaults.outgoing.receipt]\nrequire_tls = "specific"\nsenders = "ceo"\n';

  it('list prints a line a domain, sorted, defaults included', async (t) => {
    const { status, stdout } = await new Program(t, files, main).run(['domains', 'list']);
    assert.equal(status, 0);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/u)),
      [
        ['a.example', 'never', 'never', 'specific', 'never', '[mx.example]:25'],
        ['b.example', 'never', 'always secure', 'specific', 'never', 'by MX'],
      ],
    );
  });

  it('list prints JSON Lines with --json, and bare names with --names', async (t) => {
    const program = new Program(t, files, main);
    const lines = (await program.run(['--json', 'domains', 'list'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ domain, file }) => [domain, file]),
      [
        ['a.example', 'b.toml'],
        ['b.example', 'a.toml'],
      ],
    );
    assert.deepEqual(lines[1].incoming.delivery, { require_tls: 'always', enforcement: 'enforce', level: 'secure' });
    program.write('c.toml', '[domains."c.example"]\nmistake = 1\n');
    assert.equal((await program.run(['domains', 'list', '--names'])).stdout, 'a.example\nb.example\nc.example\n');
  });

  it('show finds a domain by its alias, and adds the defaults as comments', async (t) => {
    const program = new Program(t, files, main);
    const { status, stdout } = await program.run(['domains', 'show', 'X.example']);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      `# b.example, in a.toml
[domains."b.example"]
aliases = ["x.example"]

[domains."b.example".incoming.delivery]
require_tls = "always"
level = "secure"

# from [defaults] of ${program.config}:
# [domains."b.example".outgoing.receipt]
# require_tls = "specific"
# senders = ["ceo"]
`,
    );
    const json = JSON.parse((await program.run(['--json', 'domains', 'show', 'x.example'])).stdout);
    assert.deepEqual(Object.keys(json), ['domain', 'file', 'settings', 'defaults']);
    assert.deepEqual(json.defaults, { outgoing: { receipt: { require_tls: 'specific', senders: ['ceo'] } } });
  });

  it('show of a domain that is not hosted is exit status 1', async (t) => {
    const { status, stdout, stderr } = await new Program(t, files).run(['domains', 'show', 'nobody.example']);
    assert.deepEqual(
      [status, stdout, stderr],
      [1, '', 'tlswarden: nobody.example is not hosted here: it has no settings\n'],
    );
    const json = await new Program(t, files).run(['--json', 'domains', 'show', 'nobody.example']);
    assert.deepEqual(JSON.parse(json.stderr).error.kind, 'failure');
  });
});

describe('domains import and export', () => {
  const record = (domain: string, more = '') =>
    `{"domain":"${domain}","incoming":{"receipt":{"require_tls":"always"}}${more}}\n`;

  it('import replaces domains of the same name, keeps others, and counts', async (t) => {
    const program = new Program(t, {
      'hand.toml': '# mine\n[domains."a.example"]\n# here\n[domains."b.example"]\nnexthop = "[old.example]"\n',
    });
    const { status, stdout } = await program.run(['domains', 'import', '-'], record('b.example') + record('c.example'));
    assert.deepEqual([status, stdout], [0, '2 domains read: 1 new, 1 replaced, 0 as they were\n']);
    assert.equal(
      program.read('hand.toml'),
      '# mine\n[domains."a.example"]\n# here\n[domains."b.example"]\n\n[domains."b.example".incoming.receipt]\nrequire_tls = "always"\n',
    );
    assert.equal(program.read('c.example.toml'), '[domains."c.example".incoming.receipt]\nrequire_tls = "always"\n');
    const again = await program.run(['--json', 'domains', 'import', '-'], record('b.example') + record('c.example'));
    assert.deepEqual(JSON.parse(again.stdout), { read: 2, added: 0, replaced: 0, unchanged: 2 });
  });

  it('import takes all or none, and names line, domain and key of what is wrong', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\naliases = "x.example"\n' });
    const cases: readonly (readonly [string, RegExp])[] = [
      [
        `${record('b.example')}\n{"domain":"c.example","incoming":{"receipt":{"require_tsl":"always"}}}`,
        /^standard input:3: c\.example: incoming\.receipt\.require_tsl: unknown key; did you mean "require_tls"\?$/mu,
      ],
      [record('b.example') + record('B.example.'), /^standard input:2: B\.example\.: stands here already$/mu],
      [record('b.example') + record('b.example'), /^standard input:2: b\.example: stands here already on line 1$/mu],
      [
        record('b.example', ',"aliases":["x.example"]'),
        /^standard input:1: b\.example: aliases: "x\.example" stands already as an alias of a\.example in a\.toml$/mu,
      ],
      [`${record('b.example')}{"domain":`, /^standard input:2: not JSON: /mu],
      [`${record('b.example')}[]\n`, /^standard input:2: must be a JSON object/mu],
      [`${record('b.example')}{"aliases":[]}\n`, /^standard input:2: domain: must be the name/mu],
      [record('b example'), /^standard input:1: b example: is no valid domain name$/mu],
      [
        record('b.example', ',"aliases":{"a":1},"nexthop":null,"x":[[[]]]'),
        /^standard input:1: b\.example: aliases: must be/mu,
      ],
      [
        record('b.example', ',"outgoing":{"receipt":{"require_tls":"specific","senders":["a\\ud800"]}}'),
        /senders: .* is no valid local part$/mu,
      ],
      [
        '[domains."b.example"]\n[domains."c.example"]\n\nfoo = 1\n',
        /^standard input:4: c\.example: foo: unknown key$/mu,
      ],
      ['[domain."b.example"]\n', /^standard input:1: domain: unknown key; did you mean "domains"\?$/mu],
      ['][', /^standard input:1: not TOML/mu],
    ];
    for (const [text, expected] of cases) {
      const { status, stdout, stderr } = await program.run(['domains', 'import', '-'], text);
      assert.deepEqual([status, stdout], [2, ''], stderr);
      assert.match(stderr, expected);
      assert.match(stderr, /\nNothing was changed\.\n$/u);
    }
    assert.deepEqual(program.names(), ['a.toml']);
  });

  it('import tells all mistakes at once, those of lines that are no domain and those of values', async (t) => {
    const text = [
      '{"domain":"b.example","incoming":{"receipt":{"require_tls":"allways"}}}',
      '{"domain":',
      '{"domain":"c.example","aliases":["d.example"]}',
      '{"aliases":[]}',
      '{"domain":"d.example"}',
    ].join('\n');
    const program = new Program(t);
    const { status, stderr } = await program.run(['domains', 'import', '-'], text);
    assert.equal(status, 2);
    const lines = stderr.trim().split('\n');
    assert.equal(lines.length, 5, stderr);
    assert.match(
      lines[0] ?? '',
      /^standard input:1: b\.example: incoming\.receipt\.require_tls: "allways" is none of/u,
    );
    assert.match(lines[1] ?? '', /^standard input:2: not JSON/u);
    assert.match(lines[2] ?? '', /^standard input:4: domain: must be the name of the domain$/u);
    assert.match(lines[3] ?? '', /^standard input:5: d\.example: stands already as an alias of c\.example/u);
    assert.equal(lines[4], 'Nothing was changed.');
    const toml = '[domain]\n[domains."b.example"]\nnexthop = 1\n';
    assert.equal((await program.run(['domains', 'import', '-'], toml)).stderr.trim().split('\n').length, 3);
    assert.deepEqual(program.names(), []);
  });

  it('import says once that JSON over many lines is not JSON Lines', async (t) => {
    const program = new Program(t);
    const domains = [{ domain: 'a.example', aliases: ['x.example'] }, { domain: 'b.example' }];
    const said = ':1: not JSON Lines: write one domain a line, as {"domain":"example.com",…}\nNothing was changed.\n';
    for (const value of [domains[0], domains]) {
      const path = join(program.directory, 'x.json');
      writeFileSync(path, JSON.stringify(value, null, 2));
      const { status, stderr } = await program.run(['domains', 'import', path]);
      assert.deepEqual([status, stderr], [2, path + said]);
    }
  });

  it('import of a file that is not there is exit status 1', async (t) => {
    const { status, stderr } = await new Program(t).run(['domains', 'import', '/nowhere/x.toml']);
    assert.equal(status, 1);
    assert.match(stderr, /\/nowhere\/x\.toml cannot be read/u);
  });

  it('the form is told by the ending, or by the text', async (t) => {
    const program = new Program(t);
    const path = join(program.directory, 'x.jsonl');
    writeFileSync(path, record('a.example'));
    assert.equal((await program.run(['domains', 'import', path])).status, 0);
    assert.equal((await program.run(['domains', 'import', '-'], '[domains."b.example"]\n')).status, 0);
    assert.deepEqual(program.names(), ['a.example.toml', 'b.example.toml']);
  });

  it('export prints named domains, by alias too, and exit status 1 for one that is not hosted', async (t) => {
    const program = new Program(t, {
      'a.toml': '[domains."a.example"]\naliases = "x.example"\n[domains."b.example"]\n',
    });
    assert.equal(
      (await program.run(['domains', 'export', 'x.example', 'a.example'])).stdout,
      '[domains."a.example"]\naliases = ["x.example"]\n',
    );
    assert.equal(
      (await program.run(['domains', 'export', '--format', 'jsonl', 'b.example'])).stdout,
      '{"domain":"b.example"}\n',
    );
    const { status, stdout } = await program.run(['domains', 'export', 'b.example', 'c.example']);
    assert.deepEqual([status, stdout], [1, '']);
  });
});

describe('with a Redis source', () => {
  it('that is away the commands say so: exit status 1, and no password', async (t) => {
    // Port 1 of this host has no server.
    const program = new Program(t, {}, '[settings]\nsource = "redis://user:secret@127.0.0.1:1"\n');
    for (const args of [['show', 'a.example'], ['set', 'a.example', 'nexthop=x.example'], ['export']]) {
      const { status, stderr } = await program.run(['domains', ...args]);
      assert.equal(status, 1, args.join(' '));
      assert.match(stderr, /^tlswarden: redis:\/\/127\.0\.0\.1:1\/0: connect ECONNREFUSED/u);
      assert.doesNotMatch(stderr, /secret/u);
      assert.equal(/\nNothing was changed\.\n$/u.test(stderr), args[0] === 'set');
    }
  });

  it('whose certificates cannot be read is told which: exit status 2', async (t) => {
    for (const option of ['ca', 'cert', 'key']) {
      const program = new Program(t, {}, `[settings]\nsource = "rediss://127.0.0.1:1?${option}=/nonexistent"\n`);
      const { status, stderr } = await program.run(['check']);
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(`^rediss://127\\.0\\.0\\.1:1/0: ${option} cannot be read: ENOENT`, 'u'));
    }
  });

  it('a directory is told what it lacks', async (t) => {
    const program = new Program(t);
    const why = async (command: string): Promise<string> => (await program.run(['domains', command])).stderr;
    assert.match(await why('log'), /only settings in Redis have a log of changes/u);
    assert.match(await why('adopt'), /the settings are in a directory: .*adopted\n$/u);
    assert.doesNotMatch(await why('adopt'), /log of changes/u);
  });
});
