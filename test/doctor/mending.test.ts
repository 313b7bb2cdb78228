import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mending } from '../../src/doctor/mending.ts';

/** Makes a main file of this text, has values set in it by what one run of doctor prints, and gives what stands there then. */
function setIn(
  t: TestContext,
  mainText: string,
  ...values: readonly (readonly [section: string, key: string, value: string])[]
) {
  const directory = mkdtempSync(join(tmpdir(), 'tlswarden-mending-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const mainPath = join(directory, 'tlswarden.toml');
  writeFileSync(mainPath, mainText);
  const context = { configDirectory: '/etc/postfix', isRunning: false, isServiceSilent: false, areTablesDue: false };
  const mending = new Mending({ mainPath, mainText, daemons: [], ...context });
  for (const command of values.flatMap((value) => mending.setInMainFile(...value))) execFileSync('sh', ['-c', command]);
  return readFileSync(mainPath, 'utf8');
}

test('a value is changed in the main file where it stands, and the comment behind it stays', (t) => {
  for (const [before, after] of [
    ['[postfix]\n  relayhost="a" # the smarthost\n', '[postfix]\n  relayhost="[b.example]:25" # the smarthost\n'],
    ["postfix.'relayhost' = 'a\\&/b' # &\n", 'postfix.\'relayhost\' = "[b.example]:25" # &\n'],
    ['[postfix] # here\r\nrelayhost = "a"\r\n', '[postfix] # here\r\nrelayhost = "[b.example]:25"\r\n'],
    ['postfix = { relayhost = "a" } # old\n', 'postfix = { relayhost = "[b.example]:25" } # old\n'],
    ['[postfix]\nrelayhost = "a"', '[postfix]\nrelayhost = "[b.example]:25"'],
    ['[postfix] # here\n\n[log]\n', '[postfix] # here\nrelayhost = "[b.example]:25"\n\n[log]\n'],
    ['[log]\n', 'postfix.relayhost = "[b.example]:25"\n[log]\n'],
    ['', 'postfix.relayhost = "[b.example]:25"\n'],
  ] as const) {
    assert.equal(setIn(t, before, ['postfix', 'relayhost', '[b.example]:25']), after);
  }
});

test('several values of one table in braces are set one after the other, by commands that were printed together', (t) => {
  const values = [
    ['addresses', 'myorigin', 'b.example'],
    ['addresses', 'recipient_delimiter', '/\\&'],
  ] as const;
  for (const [before, after] of [
    ['{}', '{ recipient_delimiter = "/\\\\&", myorigin = "b.example" }'],
    ['{ } # {}', '{ recipient_delimiter = "/\\\\&", myorigin = "b.example" } # {}'],
    ['{myorigin="a"} # , myorigin = "c"', '{ recipient_delimiter = "/\\\\&", myorigin="b.example"} # , myorigin = "c"'],
    [
      '{ "recipient_delimiter" = \'+\', myorigin = "a, \\"}{" }',
      '{ "recipient_delimiter" = "/\\\\&", myorigin = "b.example" }',
    ],
  ] as const) {
    assert.equal(setIn(t, `"addresses" = ${before}\r\n[log]\n`, ...values), `"addresses" = ${after}\r\n[log]\n`);
    // Told twice it is the same.
    assert.equal(setIn(t, `"addresses" = ${before}\n`, ...values, ...values), `"addresses" = ${after}\n`);
  }
});
