import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MAIN } from '../harness/main.ts';
import { Program } from './program.ts';

const run = (args: readonly string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { ...process.env, ...env } });

describe('wrong usage is exit status 2, and says so on standard error alone:', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown command, with the near one', ['chekc'], /unknown command 'chekc'[\s\S]*check/u],
    ['an unknown subcommand, with the near one', ['domains', 'lsit'], /unknown command 'lsit'[\s\S]*list/u],
    ['an unknown option, with the near one', ['--cnofig', 'x', 'check'], /unknown option '--cnofig'[\s\S]*--config/u],
    ['a missing argument', ['domains', 'show'], /missing required argument 'domain'/u],
    ['an argument too many', ['check', 'x'], /too many arguments/u],
    ['an option without its value', ['check', '--config'], /argument missing/u],
    ['a value that is none of those there are', ['domains', 'export', '--format', 'xml'], /toml, jsonl/u],
    ['no command', [], /Usage: tlswarden/u],
    ['domains without a command', ['domains'], /Usage: tlswarden domains/u],
  ];
  for (const [what, args, expected] of cases) {
    it(what, () => {
      const { status, stdout, stderr } = run(args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, expected);
    });
  }

  it('as JSON with --json', () => {
    const { status, stderr } = run(['--json', 'chekc']);
    assert.equal(status, 2);
    assert.equal(JSON.parse(stderr).error.kind, 'usage');
    for (const args of [[], ['postfix'], ['domains']]) {
      const { status, stdout, stderr } = run(['--json', ...args]);
      assert.deepEqual([status, stdout], [2, ''], args.join(' '));
      const message = 'no command is given; --help names those there are';
      assert.deepEqual(JSON.parse(stderr), { error: { kind: 'usage', complaints: [{ message }] } });
    }
  });
});

describe('help', () => {
  it('is a result: exit status 0, on standard output', () => {
    for (const args of [['--help'], ['help'], ['domains', '--help'], ['help', 'explain'], ['domains', 'help', 'set']]) {
      const { status, stdout } = run(args);
      assert.equal(status, 0, args.join(' '));
      assert.match(stdout, /^Usage: tlswarden/u);
    }
  });

  it('of every command says what it does, shows an example and its exit statuses', () => {
    const commands = [
      ['check'],
      ['explain'],
      ['completion'],
      ['report'],
      ...['list', 'show', 'set', 'unset', 'import', 'export'].map((sub) => ['domains', sub]),
      ...['show', 'apply', 'revert'].map((sub) => ['postfix', sub]),
    ];
    for (const command of commands) {
      const { stdout } = run([...command, '--help']);
      assert.match(stdout, /\$ tlswarden|\$ source/u, command.join(' '));
      assert.match(stdout, /Exit status: 0/u, command.join(' '));
    }
  });

  it('has a version', () => {
    assert.match(run(['--version']).stdout, /^\d+\.\d+\.\d+\n$/u);
  });
});

describe('the main file', () => {
  it('is given by --config, before TLSWARDEN_CONFIG, before or behind the command', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]' });
    const env = { TLSWARDEN_CONFIG: '/nowhere/env.toml' };
    for (const args of [
      ['--config', program.config, 'domains', 'list'],
      ['domains', 'list', '--config', program.config],
    ]) {
      assert.equal(run(args, env).status, 0, args.join(' '));
    }
    const { status, stderr } = run(['check'], env);
    assert.equal(status, 2);
    assert.match(stderr, /^\/nowhere\/env\.toml: cannot be read: ENOENT/u);
  });

  it('that is wrong is exit status 2, with the line of the key', async (t) => {
    const program = new Program(t);
    writeFileSync(program.config, '\n[server]\nlisten = 5\n');
    const { status, stdout, stderr } = await program.run(['check']);
    assert.deepEqual([status, stdout], [2, '']);
    assert.equal(stderr, `${program.config}:3: server.listen: must be a string or an array of strings\n`);
  });
});

describe('standard output', () => {
  it('may be closed early: that is no error', async (t) => {
    const domains = Array.from(
      { length: 5000 },
      (_, i) => `[domains."d${i}.example"]\nnexthop = "[mx${i}.example]:25"\n`,
    );
    const program = new Program(t, { 'a.toml': domains.join('') });
    const command = `"$0" "$1" domains export | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', command, process.execPath, MAIN], {
      encoding: 'utf8',
      env: { ...process.env, TLSWARDEN_CONFIG: program.config },
    });
    assert.equal(stdout, '[domains."d0.example"]\n0\n');
    assert.equal(stderr, '');
  });

  it('that cannot be written is exit status 1', async (t) => {
    const program = new Program(t);
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', '"$0" "$1" check >/dev/full; echo $?', process.execPath, MAIN],
      {
        encoding: 'utf8',
        env: { ...process.env, TLSWARDEN_CONFIG: program.config },
      },
    );
    assert.equal(stdout, '1\n');
    assert.match(stderr, /the result cannot be written: ENOSPC/u);
  });
});
