// Settings as an attack, by a customer who may write his own or by a file that is not meant to be one: what is too much is
// refused in a sentence of bounded length, what is much is read while the process goes on with other things.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import { findParties, requirement } from '../../src/decision/parties.ts';
import { FileReader } from '../../src/source/file-reader.ts';
import { type Complaint, ComplaintError, MAX_COMPLAINTS } from '../../src/toml/complaint.ts';
import { complaintOf, SettingsDirectory } from './settings-directory.ts';

const SPECIFIC = '[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\n';
const ALWAYS = '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n';
const list = (entries: readonly string[]): string => `[${entries.map((entry) => `"${entry}"`).join(', ')}]`;
const people = (count: number, name = (i: number) => `u${i}@far.example`): readonly string[] =>
  Array.from({ length: count }, (_, i) => name(i));

/** What is said of a settings directory with nothing but this text: each complaint, worded. */
async function said(t: { after(body: () => void): void }, text: string): Promise<readonly string[]> {
  return (await new SettingsDirectory(t, { 'a.toml': text }).complaint()).split('\n');
}

describe('a list', () => {
  it('may have a hundred thousand entries, as an array or as a string', async (t) => {
    const entries = people(100_000);
    for (const senders of [list(entries), `"${entries.join(' ')}"`]) {
      const directory = new SettingsDirectory(t, { 'a.toml': `${SPECIFIC}senders = ${senders}\n` });
      const settings = await directory.source.load();
      const asks = (sender: string) =>
        requirement(findParties(settings, sender, 'x@a.example', DEFAULT_ADDRESS_RULES), 'incoming', 'receipt') !==
        undefined;
      assert.equal(asks('U99999@far.example'), true);
      assert.equal(asks('u100000@far.example'), false);
    }
  });

  it('of more is refused, be it a million', async (t) => {
    const refused = ['a.toml: a.example: incoming.receipt.senders: has more than 100000 entries'];
    assert.deepEqual(
      await said(t, `${SPECIFIC}senders = ${list(people(1_000_000, (i) => `${i}@x.example`))}\n`),
      refused,
    );
    assert.deepEqual(await said(t, `${SPECIFIC}senders = "${people(100_001, () => 'a').join(', ')}"\n`), refused);
    assert.deepEqual(await said(t, `${SPECIFIC}senders = "${'a'.repeat(9 << 20)}"\n`), [
      'a.toml: a.example: incoming.receipt.senders: is longer than 8388608 characters',
    ]);
  });

  it('of the own side counts once for each name of the domain', async (t) => {
    const aliases = people(9_999, (i) => `a${i}.example`);
    const head = `[domains."a.example"]\naliases = ${list(aliases)}\n${SPECIFIC}`;
    assert.deepEqual(await said(t, `${head}recipients = ${list(people(101, (i) => `u${i}`))}\n`), [
      'a.toml: a.example: incoming.receipt.recipients: 101 entries at 10000 names are more than 1000000 addresses; list fewer, or give names a domain of their own',
    ]);
    const entries = ['u1', 'u2@a7.example', '*@a8.example', '*@*.example', 'u3@a.example'];
    const directory = new SettingsDirectory(t, { 'a.toml': `${head}recipients = ${list(entries)}\n` });
    const settings = await directory.source.load();
    const asks = (recipient: string) =>
      requirement(findParties(settings, 'x@y.example', recipient, DEFAULT_ADDRESS_RULES), 'incoming', 'receipt') !==
      undefined;
    assert.deepEqual(['any@a9.example', 'u1@a.example', 'any@a.example'].map(asks), [true, true, true]);
    assert.deepEqual(await said(t, `${head}recipients = ["u4@b.example", "*@*.b.example"]\n`), [
      'a.toml: a.example: incoming.receipt.recipients: "u4@b.example" is at neither a.example nor one of its aliases',
      'a.toml: a.example: incoming.receipt.recipients: "*@*.b.example" is at neither a.example nor one of its aliases',
    ]);
  });

  it('of ten thousand aliases is as long as it gets', async (t) => {
    assert.deepEqual(
      await said(t, `[domains."a.example"]\naliases = ${list(people(10_001, (i) => `a${i}.example`))}\n`),
      ['a.toml: a.example: aliases: has more than 10000 entries'],
    );
  });
});

describe('what is said', () => {
  it('of a hundred thousand wrong entries is twenty of them', async (t) => {
    const lines = await said(t, `${SPECIFIC}senders = ${list(people(100_000, (i) => `a b ${i}@x.example`))}\n`);
    assert.equal(lines.length, 21);
    assert.match(lines[19] ?? '', /"a b 19@x\.example" has no valid local part$/u);
    assert.equal(lines[20], 'a.toml: a.example: incoming.receipt.senders: has more mistakes');
  });

  it('of ten thousand unknown keys is twenty of them, wherever they stand', async (t) => {
    const keys = people(10_000, (i) => `k${i} = 1\n`).join('');
    for (const [head, place] of [
      ['', 'a.toml'],
      ['[domains."a.example"]\n', 'a.toml: a.example'],
      [ALWAYS, 'a.toml: a.example: incoming.receipt'],
    ] as const) {
      const lines = await said(t, head + keys);
      assert.equal(lines.length, 21, lines.slice(0, 30).join('\n'));
      assert.equal(lines[20], `${place}: has more unknown keys`);
    }
  });

  it('of ten thousand wrong domains is the first thousand', async (t) => {
    const lines = await said(t, people(10_000, (i) => `[domains."d ${i}"]\n`).join(''));
    assert.equal(lines.length, MAX_COMPLAINTS + 1);
    assert.equal(lines[MAX_COMPLAINTS], 'there is more that is wrong: these are the first 1000 mistakes');
  });

  it('of domains that stand elsewhere already is the first thousand', async (t) => {
    const text = people(2_000, (i) => `[domains."d${i}.example"]\n`).join('');
    const directory = new SettingsDirectory(t, { 'a.toml': text, 'b.toml': text });
    assert.equal((await directory.complaint()).split('\n').length, MAX_COMPLAINTS + 1);
  });

  it('repeats little of a long text, and no control character of any', async (t) => {
    const long = 'x'.repeat(1 << 16);
    const nasty = 'a\\u001b[2J\\nb\\u009b\\u2028\\u202e';
    for (const text of [
      `${ALWAYS}min_protocol = "${long}"\n`,
      `${ALWAYS}"${long}" = 1\n`,
      `[domains."${long}"]\n`,
      `${SPECIFIC}senders = ["${long}", "${nasty}", "*@${long}", "${long}@"]\n`,
      `[domains."a.example"]\nnexthop = "${long}"\naliases = ["${long}", "${nasty}"]\n`,
      `[domains."a.example"]\nnexthop = "${nasty}"\nincoming = "${long}"\n`,
      `[domains."${nasty}"]\n`,
      `"${nasty}" = "${nasty}"\n`,
      `${long}\n`,
      `x = "${nasty}${long}\n`,
    ]) {
      const message = (await said(t, text)).join('\n');
      assert.notEqual(message, '');
      assert.ok(message.length < 2_500, `${message.length}: ${message.slice(0, 300)}`);
      assert.doesNotMatch(message.replaceAll('\n', ''), /[\p{C}\p{Zl}\p{Zp}]/u);
    }
  });

  it('of a file with a name that is none is one line', async (t) => {
    const directory = new SettingsDirectory(t, { 'a\n\u001b[2Jb.toml': 'x' });
    assert.match(await directory.complaint(), /^a\\x0a\\x1b\[2Jb\.toml:1: [ -~]*$/u);
  });
});

describe('a file', () => {
  it('of two gibibytes is refused without being read', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': '' });
    truncateSync(join(directory.path, 'a.toml'), 2 ** 31);
    assert.equal(await directory.complaint(), 'a.toml: is larger than 32 MiB');
  });

  it('that is no text is refused', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': '' });
    truncateSync(join(directory.path, 'a.toml'), 1 << 20);
    assert.match(await directory.complaint(), /^a\.toml:1: not TOML: /u);
  });

  it('that leads to a pipe, a device or the kernel is not waited for', { timeout: 20_000 }, async (t) => {
    const directory = new SettingsDirectory(t);
    execFileSync('mkfifo', [join(directory.path, 'pipe')]);
    symlinkSync('pipe', join(directory.path, 'a.toml'));
    symlinkSync('/dev/urandom', join(directory.path, 'b.toml'));
    symlinkSync('.', join(directory.path, 'c.toml'));
    symlinkSync('/proc/self/fd/0', join(directory.path, 'd.toml'));
    symlinkSync('/proc/self/mem', join(directory.path, 'e.toml'));
    const lines = (await directory.complaint()).split('\n');
    for (const name of ['a', 'b', 'c']) assert.ok(lines.includes(`${name}.toml: is no regular file`), lines.join('\n'));
  });

  it('is not taken while somebody is writing it', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS });
    const path = join(directory.path, 'a.toml');
    await directory.source.load();
    let isWriting = true;
    let appended = 0;
    // A writer that never comes to its end, one line for each turn of the event loop.
    const write = (): void => {
      if (!isWriting) return;
      appendFileSync(path, `# ${appended}\n`);
      appended += 1;
      setImmediate(write);
    };
    write();
    assert.equal(await directory.complaint(), 'a.toml: is being written: it keeps changing');
    isWriting = false;
    assert.equal((await directory.source.load()).size, 1);
    // And one that comes to its end soon.
    setTimeout(() => writeFileSync(path, ALWAYS.replace('a.example', 'b.example')), 20);
    for (let turn = 0; turn < 5; turn += 1) appendFileSync(path, '# more\n');
    assert.equal(await complaintOf(() => directory.source.load()), '');
  });

  it('that is large is read while the process goes on with other things', async (t) => {
    const text = people(10_000, (i) => `[domains."d${i}.example".incoming.receipt]\nrequire_tls = "always"\n`).join('');
    const directory = new SettingsDirectory(t, { 'a.toml': text });
    const reader = new FileReader();
    t.after(() => reader.close());
    let turns = 0;
    let isReading = true;
    const turn = (): void => {
      turns += 1;
      if (isReading) setImmediate(turn);
    };
    turn();
    const names: string[] = [];
    let most = 0;
    const complaints: Complaint[] = [];
    await reader.read(join(directory.path, 'a.toml'), 'a.toml', complaints, async (domains) => {
      for (const [name] of domains) names.push(name);
      most = Math.max(most, domains.length);
    });
    isReading = false;
    assert.deepEqual(
      names,
      people(10_000, (i) => `d${i}.example`),
    );
    assert.deepEqual(complaints, []);
    // Parsed by this thread it would be a handful.
    assert.ok(turns > 500, `${turns} turns of the event loop`);
    assert.ok(most < 3_000, `${most} domains at once`);
  });

  it('that takes too much memory is refused, and the next one is read', async (t) => {
    const directory = new SettingsDirectory(t, {
      'a.toml': people(100_000, (i) => `[domains.d${i}.incoming.receipt]\n`).join(''),
      'b.toml': `${ALWAYS}# ${'x'.repeat(40_000)}`,
    });
    const reader = new FileReader(32);
    t.after(() => reader.close());
    const read = async (name: string): Promise<number> => {
      let domains = 0;
      await reader.read(join(directory.path, name), name, [], async (some) => {
        domains += some.length;
      });
      return domains;
    };
    assert.equal(await complaintOf(() => read('a.toml')), 'a.toml: takes more than 32 MiB of memory to read; split it');
    assert.equal(await read('b.toml'), 1);
  });

  it('that nests deeply, or has a key of a million parts, is refused', async (t) => {
    for (const text of [
      `a = ${'['.repeat(1_000_000)}`,
      `a = ${'{a='.repeat(1_000_000)}`,
      `[${'a.'.repeat(20_000)}a]\n`,
      `[domains.${'a.'.repeat(20_000)}a]\nb = 1\n`,
      `[domains]\n${'a.'.repeat(20_000)}a = 1\n`,
    ]) {
      const message = (await said(t, text)).join('\n');
      assert.match(message, /^a\.toml/u);
      assert.ok(message.length < 2_500);
    }
  });

  it('has domains that are called like members of objects', async (t) => {
    // Large enough for the thread, through which they have to come as they are.
    const filler = `# ${'x'.repeat(40_000)}\n`;
    const directory = new SettingsDirectory(t, {
      'a.toml': `${filler}[domains.__proto__]\n[domains.constructor.incoming.receipt]\nrequire_tls = "always"\n`,
    });
    assert.deepEqual(
      [...(await directory.source.load()).domains()].map(({ name }) => name),
      ['__proto__', 'constructor'],
    );
    directory.write(
      'a.toml',
      `${filler}[domains."a.example".__proto__]\nx = 1\n[domains."a.example"]\nconstructor = 1\n`,
    );
    assert.deepEqual((await directory.complaint()).split('\n'), [
      'a.toml: a.example: __proto__: unknown key',
      'a.toml: a.example: constructor: unknown key',
    ]);
  });
});

it('settings that are changed again and again take no more memory than those in force', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const directory = new SettingsDirectory(t);
  const change = async (round: number): Promise<void> => {
    const senders = people(10_000, (i) => `u${i}-${round}@far.example`);
    directory.write('a.toml', `${SPECIFIC}senders = ${list(senders)}\n`);
    assert.equal((await directory.source.load()).size, 1);
    await new Promise(setImmediate);
  };
  for (let round = 0; round < 5; round += 1) await change(round);
  collect();
  const before = process.memoryUsage().heapUsed;
  // 15 MB, if all were kept.
  for (let round = 5; round < 25; round += 1) await change(round);
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 6_000_000, `${grown} bytes`);
});

it('an error of any number of mistakes is made in bounded space', () => {
  const complaints = Array.from({ length: 300_000 }, () => ({ message: 'x'.repeat(5_000) }));
  const error = new ComplaintError(complaints);
  assert.equal(error.complaints.length, MAX_COMPLAINTS + 1);
  assert.ok(error.message.length < 1_100_000);
});
