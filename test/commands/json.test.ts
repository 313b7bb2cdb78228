import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertNamedAsSettings } from './json-keys.ts';
import { Program } from './program.ts';

const SETTINGS = { 'a.toml': '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n' };

const CASES: readonly (readonly [command: string, args: readonly string[]])[] = [
  ['check', []],
  ['explain', ['x@b.example', 'y@a.example']],
  ['domains list', []],
  ['domains show', ['a.example']],
  ['domains set', ['b.example']],
  ['domains unset', ['a.example', 'incoming.receipt']],
  ['domains import', ['import.jsonl']],
  ['probe', ['a.example', '--nexthop', '[127.0.0.1]:1', '--timeout', '1']],
  ['report', ['--reset']],
];

describe('with --json', () => {
  for (const [command, args] of CASES) {
    it(`${command} prints one document, its keys named as those of the settings are, each part of which its help names`, async (t) => {
      const program = new Program(t, SETTINGS, '[report]\nstate = "counts"\n');
      const file = join(program.directory, 'import.jsonl');
      writeFileSync(file, '{"domain":"c.example"}\n');
      const words = command.split(' ');
      const { stdout } = await program.run([
        '--json',
        ...words,
        ...args.map((word) => (word === 'import.jsonl' ? file : word)),
      ]);
      const { stdout: help } = await program.run([...words, '--help']);
      const told = help.split('--json').at(-1) ?? '';
      assert.ok(help.includes('$ tlswarden --json'), `an example in the help of ${command}`);
      assertNamedAsSettings(JSON.parse(stdout));
      for (const key of Object.keys(JSON.parse(stdout))) assert.ok(told.includes(`"${key}"`), `${command}: ${key}`);
    });
  }
});
