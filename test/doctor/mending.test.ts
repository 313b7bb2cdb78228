import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Mending } from '../../src/doctor/mending.ts';

test('a value is changed in the main file where it stands, and the comment behind it stays', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tlswarden-mending-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const mainPath = join(directory, 'tlswarden.toml');
  const set = (mainText: string): string => {
    writeFileSync(mainPath, mainText);
    const context = { configDirectory: '/etc/postfix', isRunning: false, isServiceSilent: false, areTablesDue: false };
    const mending = new Mending({ mainPath, mainText, daemons: [], ...context });
    for (const command of mending.setInMainFile('postfix', 'relayhost', '[b.example]:25')) {
      execFileSync('sh', ['-c', command]);
    }
    return readFileSync(mainPath, 'utf8');
  };
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
    assert.equal(set(before), after);
  }
});
