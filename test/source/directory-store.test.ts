import assert from 'node:assert/strict';
import { chmodSync, chownSync, lstatSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { DomainName } from '../../src/address/domain-name.ts';
import { sameValue } from '../../src/settings/domain-record.ts';
import { RejectedChange } from '../../src/source/settings-store.ts';
import { ComplaintError } from '../../src/toml/complaint.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import { complaintOf, SettingsDirectory } from './settings-directory.ts';

const name = (text: string) => text as DomainName;
const change = (domain: string, table: Table | undefined) => () => new Map([[name(domain), table]]);
const always: Table = { incoming: { receipt: { require_tls: 'always' } } };

const BY_HAND = `# Customers of the old gateway.

[domains."a.example"] # since 2019
aliases = ["a2.example"]

# Legal wants this.
[domains."a.example".incoming.receipt]
require_tls = "specific"   # not always!
senders = "boss@x.example" # the boss
# recipients come later

# The bank.
[domains."B.example".incoming.delivery]
require_tls = "always"
[domains."B.example"]
nexthop = "[mx.b.example]:25"


[domains."c.example".outgoing.receipt]
# nothing yet
[domains."c.example".incoming.receipt]
require_tls = "always"
# the end`;

it('a change keeps what somebody else writes to the same file while it is made', async (t) => {
  const directory = new SettingsDirectory(t, { 'a.toml': '[domains."a.example"]\n' });
  let plans = 0;
  await directory.store.change(() => {
    plans += 1;
    if (plans === 1) directory.write('a.toml', '[domains."a.example"]\n[domains."b.example"]\n');
    return new Map([[name('a.example'), always]]);
  });
  const { domains } = await directory.store.read();
  assert.deepEqual([...domains.keys()], ['a.example', 'b.example']);
  assert.ok(sameValue(domains.get(name('a.example'))?.table, always));
  assert.equal(plans, 2);
});

describe('a change in a file written by hand', () => {
  it('replaces the value that changes, and no other byte', async (t) => {
    const directory = new SettingsDirectory(t, { 'hand.toml': BY_HAND });
    const receipt = { require_tls: 'specific', senders: ['boss@x.example', 'cfo@x.example'] };
    await directory.store.change(change('a.example', { aliases: ['a2.example'], incoming: { receipt } }));
    assert.equal(
      directory.read('hand.toml'),
      BY_HAND.replace('"boss@x.example" #', '["boss@x.example", "cfo@x.example"] #'),
    );
    assert.deepEqual(directory.names(), ['hand.toml']);
  });

  it('takes lines out of a list and adds some, and leaves the comments of the others', async (t) => {
    const list = (...lines: readonly string[]) => `[domains."a.example"]\naliases = [ # ours\n${lines.join('\n')}\n]\n`;
    const directory = new SettingsDirectory(t, {
      'hand.toml': list(
        '    "b.example", # old',
        '    # from the merger:',
        "    'c.example'  , # soon gone",
        '    "d.example" # new',
      ),
    });
    await directory.store.change(change('a.example', { aliases: ['b.example', 'd.example', 'e.example'] }));
    assert.equal(
      directory.read('hand.toml'),
      list('    "b.example", # old', '    # from the merger:', '    "d.example", # new', '    "e.example",'),
    );
    await directory.store.change(change('a.example', { aliases: ['e.example', 'b.example'] }));
    assert.equal(directory.read('hand.toml'), '[domains."a.example"]\naliases = ["e.example", "b.example"]\n');
  });

  it('adds keys behind those that stand there, and tables behind those of the domain', async (t) => {
    const directory = new SettingsDirectory(t, { 'hand.toml': BY_HAND });
    const table = {
      nexthop: '[mx.b.example]:25',
      aliases: ['b2.example'],
      incoming: { delivery: { require_tls: 'always', level: 'secure' } },
      outgoing: { receipt: { require_tls: 'always' } },
    };
    await directory.store.change(change('b.example', table));
    const expected = BY_HAND.replace('[domains."B.example"]\n', 'level = "secure"\n[domains."B.example"]\n').replace(
      '25"\n',
      '25"\naliases = ["b2.example"]\n\n[domains."B.example".outgoing.receipt]\nrequire_tls = "always"\n',
    );
    assert.equal(directory.read('hand.toml'), expected);
  });

  it('takes out a setting or a domain, and leaves the comments of others', async (t) => {
    const directory = new SettingsDirectory(t, { 'hand.toml': BY_HAND });
    await directory.store.change(change('b.example', undefined));
    const without = BY_HAND.replace(/\[domains\."B[\s\S]*?25"\n\n\n/u, '');
    assert.equal(directory.read('hand.toml'), without);
    await directory.store.change(change('c.example', { incoming: { receipt: { require_tls: 'always' } } }));
    assert.equal(directory.read('hand.toml'), without.replace('[domains."c.example".outgoing.receipt]\n', ''));
  });

  it('keeps a domain hosted whose last setting goes', async (t) => {
    const directory = new SettingsDirectory(t, { 'hand.toml': BY_HAND });
    await directory.store.change(change('c.example', {}));
    assert.match(directory.read('hand.toml'), /\n\[domains\."c\.example"\]\n/u);
    assert.equal((await directory.source.load()).size, 3);
  });

  it('keeps CRLF line ends, and copes with a last line that has none', async (t) => {
    const directory = new SettingsDirectory(t, {
      'hand.toml': '[domains."a.example"]\r\n[domains."a.example".incoming.receipt]',
    });
    await directory.store.change(change('a.example', { aliases: ['b.example'], ...always }));
    assert.equal(
      directory.read('hand.toml'),
      '[domains."a.example"]\r\naliases = ["b.example"]\r\n[domains."a.example".incoming.receipt]\r\nrequire_tls = "always"\r\n',
    );
  });

  const receipt = 'require_tls = "specific", recipients = ["b", "c"]';
  for (const [form, text, changed] of [
    [
      'an inline table for the domain',
      `[domains]\n"a.example" = { nexthop = "x", incoming = { receipt = { require_tls = "never" } } } # A\n`,
      `[domains]\n"a.example" = { nexthop = "y", incoming = { receipt = { ${receipt} } } } # A\n`,
    ],
    [
      'an inline table for a flow',
      '[domains."a.example"]\nincoming = { receipt = { require_tls = "never" } } # A\nnexthop = "x" # B\n',
      `[domains."a.example"]\nincoming = { receipt = { ${receipt} } } # A\nnexthop = "y" # B\n`,
    ],
    [
      'an inline table for a hop',
      '[domains."a.example"]\nnexthop = "x" # A\n[domains."a.example".incoming] # B\n  receipt = { require_tls = "never" } # C\n',
      `[domains."a.example"]\nnexthop = "y" # A\n[domains."a.example".incoming] # B\n  receipt = { ${receipt} } # C\n`,
    ],
    [
      'dotted keys',
      '[domains."a.example"]\nincoming.receipt.require_tls = "never" # A\nnexthop = "x" # B\n',
      '[domains."a.example"]\nincoming.receipt.require_tls = "specific" # A\nnexthop = "y" # B\nincoming.receipt.recipients = ["b", "c"]\n',
    ],
    [
      'dotted keys under [domains]',
      '[domains]\n"a.example".nexthop = "x" # A\n\n"c.example".nexthop = "z"\n',
      '[domains]\n"a.example".nexthop = "y" # A\n"a.example".incoming.receipt.require_tls = "specific"\n' +
        '"a.example".incoming.receipt.recipients = ["b", "c"]\n\n"c.example".nexthop = "z"\n',
    ],
    [
      'dotted keys at the top, and a last line without an end',
      'domains."a.example".nexthop = "x"',
      'domains."a.example".nexthop = "y"\ndomains."a.example".incoming.receipt.require_tls = "specific"\n' +
        'domains."a.example".incoming.receipt.recipients = ["b", "c"]\n',
    ],
  ] as const) {
    it(`of ${form} is made there, and takes nothing else along`, async (t) => {
      const mine = `# mine\n${text}`;
      const directory = new SettingsDirectory(t, { 'hand.toml': mine });
      const wanted = { nexthop: 'y', incoming: { receipt: { require_tls: 'specific', recipients: ['b', 'c'] } } };
      await directory.store.change(change('a.example', wanted));
      assert.equal(directory.read('hand.toml'), `# mine\n${changed}`);
      await directory.store.change(change('a.example', {}));
      assert.ok(sameValue((await directory.store.read()).domains.get(name('a.example'))?.table, {}));
      await directory.store.change(change('a.example', undefined));
      assert.equal((await directory.store.read()).domains.has(name('a.example')), false);
    });
  }

  it('has a table of its own where headers have made the one around it', async (t) => {
    const text =
      '[domains."a.example".outgoing.receipt]\nrequire_tls = "never"\n[domains."a.example"] # A\nincoming.receipt.require_tls = "never"\n';
    const directory = new SettingsDirectory(t, { 'hand.toml': text });
    const never = { receipt: { require_tls: 'never' } };
    const wanted = { incoming: never, outgoing: { ...never, delivery: {} } };
    await directory.store.change(change('a.example', wanted));
    assert.equal(directory.read('hand.toml'), `${text}\n[domains."a.example".outgoing.delivery]\n`);
  });

  it('stays in its table where another domain is added behind it', async (t) => {
    const text = '[domains."b.example"]\nincoming = { receipt = { require_tls = "never" } }\n';
    const directory = new SettingsDirectory(t, { 'a.example.toml': text });
    const wanted = { incoming: { receipt: { require_tls: 'never' } }, nexthop: 'b' };
    await directory.store.change(
      () =>
        new Map([
          [name('a.example'), always],
          [name('b.example'), wanted],
        ]),
    );
    const added = '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n';
    assert.equal(directory.read('a.example.toml'), `${text}nexthop = "b"\n\n${added}`);
  });

  it('is refused where all domains stand in one inline table, and the line is said', async (t) => {
    const text = '# mine\ndomains = { "a.example" = { nexthop = "x" } }\n';
    const directory = new SettingsDirectory(t, { 'hand.toml': text });
    const complaint = await complaintOf(() => directory.store.change(change('a.example', always)));
    assert.match(complaint, /^hand\.toml:2: a\.example: is within "domains = \{ … \}"/u);
    assert.equal(directory.read('hand.toml'), text);
  });
});

describe('a new domain', () => {
  it('gets a file of its own', async (t) => {
    const directory = new SettingsDirectory(t);
    await directory.store.change(change('a.example', always));
    assert.equal(directory.read('a.example.toml'), '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n');
  });

  it('joins what stands in a file of that name already', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.example.toml': '# others\n[domains."b.example"]\n' });
    await directory.store.change(change('a.example', always));
    assert.match(
      directory.read('a.example.toml'),
      /^# others\n\[domains\."b\.example"\]\n\n\[domains\."a\.example"\.incoming/u,
    );
  });

  it('may have the longest name there is', async (t) => {
    const directory = new SettingsDirectory(t);
    const longest = [...Array.from({ length: 3 }, () => 'a'.repeat(63)), 'a'.repeat(61)].join('.');
    await directory.store.change(change(longest, always));
    await directory.store.change(change(`b${longest.slice(1)}`, always));
    assert.equal((await directory.source.load()).size, 2);
    await directory.store.change(change(longest, undefined));
    assert.equal((await directory.source.load()).size, 1);
  });

  it('takes its file with it when it goes, but for the last one, which stays, empty', async (t) => {
    const directory = new SettingsDirectory(t);
    await directory.store.change(change('a.example', always));
    await directory.store.change(change('b.example', always));
    await directory.store.change(change('a.example', undefined));
    assert.deepEqual(directory.names(), ['b.example.toml']);
    await directory.store.change(change('b.example', undefined));
    assert.deepEqual(directory.names(), ['b.example.toml']);
    assert.equal(directory.read('b.example.toml'), '');
  });
});

describe('a change', () => {
  it('is validated with all that stands in other files, and nothing is written if that is wrong', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': '[domains."a.example"]\naliases = "x.example"\n' });
    const attempt = directory.store.change(
      () =>
        new Map([
          [name('b.example'), always],
          [name('c.example'), { aliases: ['x.example'] }],
        ]),
    );
    await assert.rejects(
      attempt,
      (error) =>
        error instanceof RejectedChange && /c\.example: aliases: "x\.example" stands already/u.test(error.message),
    );
    assert.deepEqual(directory.names(), ['a.toml']);
  });

  it('is refused while another file is broken', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': '][' });
    await assert.rejects(directory.store.change(change('b.example', always)), ComplaintError);
    assert.deepEqual(directory.names(), ['a.toml']);
  });

  it('may mend the very mistake that stands there', async (t) => {
    const directory = new SettingsDirectory(t, {
      'a.toml': '[domains."a.example".incoming.receipt]\nrequire_tls = "alway"\n',
    });
    await directory.store.change(change('a.example', always));
    assert.equal((await directory.source.load()).size, 1);
  });

  it('of nothing writes nothing', async (t) => {
    const directory = new SettingsDirectory(t, { 'hand.toml': BY_HAND });
    const before = statSync(join(directory.path, 'hand.toml')).mtimeMs;
    assert.equal(await directory.store.change(change('c.example', { outgoing: { receipt: {} }, ...always })), 0);
    assert.equal(statSync(join(directory.path, 'hand.toml')).mtimeMs, before);
  });

  it('keeps mode and owner of a file, and gives a new one what its directory grants', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.example.toml': '[domains."a.example"]\n' });
    const path = join(directory.path, 'a.example.toml');
    chmodSync(path, 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(path, 1234, 2345);
    chmodSync(directory.path, 0o755);
    await directory.store.change(
      () =>
        new Map([
          [name('a.example'), always],
          [name('b.example'), always],
        ]),
    );
    const { mode, uid, gid } = statSync(path);
    assert.equal(mode & 0o777, 0o640);
    if (isRoot) assert.deepEqual([uid, gid], [1234, 2345]);
    assert.equal(statSync(join(directory.path, 'b.example.toml')).mode & 0o777, 0o644);
  });

  it('goes through a symbolic link, which stays one', async (t) => {
    const elsewhere = new SettingsDirectory(t, { 'real.toml': '[domains."a.example"]\n' });
    const directory = new SettingsDirectory(t);
    symlinkSync(join(elsewhere.path, 'real.toml'), join(directory.path, 'a.toml'));
    await directory.store.change(change('a.example', always));
    assert.equal(lstatSync(join(directory.path, 'a.toml')).isSymbolicLink(), true);
    assert.match(readFileSync(join(elsewhere.path, 'real.toml'), 'utf8'), /require_tls/u);
    assert.deepEqual(elsewhere.names(), ['real.toml']);
  });

  it('clears away what a writer left that was killed', async (t) => {
    const directory = new SettingsDirectory(t, { '.tlswarden-17-0.tmp': 'half' });
    await directory.store.change(change('a.example', always));
    assert.deepEqual(directory.names(), ['a.example.toml']);
  });

  it('waits for another that is under way', async (t) => {
    const directory = new SettingsDirectory(t);
    const domains = Array.from({ length: 8 }, (_, i) => `d${i}.example`);
    const addAlias = (domain: string) =>
      directory.store.change((present) => {
        const aliases = (present.get(name('all.example'))?.table['aliases'] ?? []) as readonly string[];
        return new Map([[name('all.example'), { aliases: [...aliases, domain] }]]);
      });
    await Promise.all(domains.map(addAlias));
    const found = (await directory.source.load()).find(name('all.example'))?.aliases;
    assert.deepEqual([...(found ?? [])].sort(), domains);
  });
});

describe('whatever is changed', () => {
  const hop = fc.record(
    {
      require_tls: fc.constantFrom('never', 'always'),
      enforcement: fc.constantFrom('enforce', 'monitor'),
    },
    { requiredKeys: [] },
  );
  const flow = fc.record({ receipt: hop, delivery: hop }, { requiredKeys: [] });
  const table = (domain: string) =>
    fc.record(
      {
        aliases: fc
          .uniqueArray(fc.constantFrom('x', 'y', 'z'), { maxLength: 3 })
          .map((all) => all.map((one) => `${one}.${domain}`)),
        nexthop: fc.constantFrom('[mx.example]:25', ''),
        incoming: flow,
        outgoing: flow,
      },
      { requiredKeys: [] },
    );
  const domains = ['a.example', 'b.example', 'c.example', 'd.example'];
  const require = 'require_tls = "always"';
  const loose = fc
    .record({
      top: fc.subarray(['domains."a.example".nexthop = "x"', `domains."a.example".incoming.receipt.${require}`]),
      table: fc.shuffledSubarray([
        `"b.example".outgoing.delivery.${require}`,
        '"b.example".aliases = [\n  "x.b.example", # one\n]',
        `"b.example".incoming = { receipt = { ${require} } }`,
        `"d.example" = { incoming = { delivery = { ${require} } } }`,
      ]),
      own: fc.shuffledSubarray([
        `outgoing = { receipt = { ${require} }, delivery = {} }`,
        `incoming.receipt = { ${require} }`,
        'incoming.delivery.enforcement = "monitor"',
        'nexthop = "x"',
      ]),
    })
    .map(({ top, table, own }) => {
      const both = top.length === 0 ? ['[domains]', ...table] : table.map((line) => `domains.${line}`);
      return ['# first', ...top, ...both, '[domains."c.example"]', ...own, '# last'].join('\n');
    });
  const step = fc
    .constantFrom(...domains)
    .chain((domain) => fc.tuple(fc.constant(domain), fc.option(table(domain), { nil: undefined, freq: 4 })));

  it('the file then says just that, and keeps every comment outside of what was removed', async (t) => {
    const comments = ['# Customers of the old gateway.', '# Legal wants this.', '# The bank.', '# the end'];
    await changes(t, fc.constant(BY_HAND), comments);
  });

  it('so it is with dotted keys and inline tables, mixed as one likes', async (t) => {
    await changes(t, loose, ['# first', '# last']);
  });

  async function changes(t: TestContext, hand: fc.Arbitrary<string>, comments: readonly string[]): Promise<void> {
    await fc.assert(
      fc.asyncProperty(hand, fc.array(step, { minLength: 1, maxLength: 8 }), async (written, steps) => {
        const directory = new SettingsDirectory({ after: (body) => t.after(body) }, { 'hand.toml': written });
        const expected = new Map(
          [...(await directory.store.read()).domains].map(([domain, { table }]) => [String(domain), table]),
        );
        for (const [domain, wanted] of steps) {
          await directory.store.change(change(domain, wanted));
          if (wanted === undefined) expected.delete(domain);
          else expected.set(domain, wanted);
          const { domains: stored } = await directory.store.read();
          assert.deepEqual([...stored.keys()].sort(), [...expected.keys()].sort());
          for (const { name, table } of stored.values()) {
            assert.ok(
              sameValue(pruned(table), pruned(expected.get(name) ?? {})),
              JSON.stringify([table, expected.get(name)]),
            );
          }
        }
        const text = directory.read('hand.toml');
        for (const comment of comments) assert.ok(text.includes(comment), comment);
      }),
      { numRuns: 40 },
    );
  }

  /** Without flows that hold no setting, which say nothing. */
  function pruned(table: Table): Table {
    const isEmpty = (value: unknown) =>
      typeof value === 'object' && !Array.isArray(value) && Object.keys(value ?? {}).length === 0;
    return Object.fromEntries(Object.entries(table).filter(([, value]) => !isEmpty(value)));
  }
});
