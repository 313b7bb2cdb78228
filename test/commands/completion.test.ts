import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MAIN } from '../harness/main.ts';
import { Program } from './program.ts';

/** What a shell gets that sources the script and completes this line. */
class Shell {
  readonly #env: NodeJS.ProcessEnv;
  readonly #directory: string;

  constructor(program: Program) {
    this.#directory = program.directory;
    const bin = join(program.directory, 'tlswarden');
    writeFileSync(bin, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
    chmodSync(bin, 0o755);
    this.#env = {
      ...process.env,
      TLSWARDEN_CONFIG: program.config,
      PATH: `${program.directory}:${process.env['PATH']}`,
    };
    for (const shell of ['bash', 'zsh']) {
      const { stdout } = spawnSync(process.execPath, [MAIN, 'completion', shell], { encoding: 'utf8' });
      writeFileSync(join(program.directory, shell), stdout);
    }
  }

  bash(line: string): readonly string[] {
    const words = line.split(' ');
    const script = `source ./bash; COMP_LINE=$1; COMP_POINT=\${#COMP_LINE}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_tlswarden; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return this.#run('bash', ['-c', script, 'bash', line, ...words]);
  }

  zsh(line: string): readonly string[] {
    const script = `autoload -U compinit; compinit -u -D; source ./zsh
compadd() { local name=$argv[-1]; print -l -- \${(P)name}; }; _files() { print -r FILES; }
words=("\${(@s: :)1}"); CURRENT=$#words; _tlswarden`;
    return this.#run('zsh', ['-f', '-c', script, 'zsh', line]);
  }

  #run(shell: string, args: readonly string[]): readonly string[] {
    const { stdout, stderr } = spawnSync(shell, args, { encoding: 'utf8', env: this.#env, cwd: this.#directory });
    assert.equal(stderr, '');
    return stdout.split('\n').filter((word) => word !== '');
  }
}

const FILES = { 'a.toml': '[domains."a.example"]\n[domains."b.example"]\n' };

describe('completion in bash', () => {
  it('knows commands, options, settings, keys, fixed values and hosted domains', (t) => {
    const shell = new Shell(new Program(t, FILES));
    assert.deepEqual(shell.bash('tlswarden exp'), ['explain']);
    assert.ok(shell.bash('tlswarden ').includes('domains'));
    assert.deepEqual(shell.bash('tlswarden domains s'), ['show', 'set']);
    assert.deepEqual(shell.bash('tlswarden domains export --f'), ['--format']);
    assert.deepEqual(shell.bash('tlswarden domains export --format j'), ['jsonl']);
    assert.deepEqual(shell.bash('tlswarden --c'), ['--config']);
    assert.deepEqual(shell.bash('tlswarden domains show '), ['a.example', 'b.example']);
    assert.deepEqual(shell.bash('tlswarden domains unset a.example in'), ['incoming.receipt', 'incoming.delivery']);
    assert.deepEqual(shell.bash('tlswarden domains set a.example incoming.receipt min_'), [
      'min_protocol=',
      'min_cipher_bits=',
    ]);
    assert.deepEqual(shell.bash('tlswarden postfix a'), ['apply']);
    assert.deepEqual(shell.bash('tlswarden postfix revert --d'), ['--dry-run']);
    assert.deepEqual(shell.bash('tlswarden completion '), ['bash', 'zsh']);
    assert.deepEqual(shell.bash('tlswarden report '), ['a.example', 'b.example']);
    assert.deepEqual(shell.bash('tlswarden domains log '), ['a.example', 'b.example']);
    assert.deepEqual(shell.bash('tlswarden help expl'), ['explain']);
    assert.deepEqual(shell.bash('tlswarden report --by p'), ['pair']);
  });

  it('completes what follows = and :, at which bash breaks words', (t) => {
    const shell = new Shell(new Program(t, FILES));
    assert.deepEqual(shell.bash('tlswarden domains set a.example incoming.receipt on_failure='), ['reject', 'defer']);
    assert.deepEqual(shell.bash('tlswarden domains set a.example outgoing.delivery on_failure=b'), ['bounce']);
    assert.deepEqual(shell.bash('tlswarden domains set a.example outgoing.delivery level=s'), ['secure']);
  });

  it('escapes what would lead the output into a file', (t) => {
    const shell = new Shell(new Program(t, FILES));
    const line = 'tlswarden domains set a.example incoming.delivery protocols=';
    const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
    assert.deepEqual(
      shell.bash(line),
      versions.map((version) => `\\>=${version}`),
    );
    assert.deepEqual(shell.bash(`${line}\\>=TL`), versions);
  });

  it('reads the domains of the main file that is named on the line', (t) => {
    const program = new Program(t, FILES);
    const shell = new Shell(new Program(t));
    assert.deepEqual(shell.bash('tlswarden domains show '), []);
    assert.deepEqual(shell.bash(`tlswarden --config ${program.config} domains show b`), ['b.example']);
  });
});

describe('completion in zsh', () => {
  it('knows the same', (t) => {
    const shell = new Shell(new Program(t, FILES));
    assert.ok(shell.zsh('tlswarden ').includes('explain'));
    assert.deepEqual(shell.zsh('tlswarden domains show '), ['a.example', 'b.example']);
    assert.deepEqual(shell.zsh('tlswarden domains set a.example incoming.receipt require_tls='), [
      'require_tls=never',
      'require_tls=always',
      'require_tls=specific',
    ]);
    assert.deepEqual(shell.zsh('tlswarden domains import x'), ['FILES']);
  });
});
