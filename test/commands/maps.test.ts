import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { onTerminal, Program } from './program.ts';

describe('maps', () => {
  it('says so where there is no Postfix, whatever it is asked to do', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\n' });
    writeFileSync(program.config, '[maps]\ndirectory = "maps"\n[postfix]\nconfig_directory = "nowhere"\n');
    for (const option of [[], ['--check'], ['--diff'], ['--watch']]) {
      const { status, stderr } = await program.run(['maps', ...option]);
      assert.equal(status, 1);
      assert.match(stderr, /^tlswarden: .*nowhere/u);
      assert.doesNotMatch(stderr, /defect|at file:/u);
    }
  });

  it('--check names the command that writes tables where there are none yet', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\n' });
    writeFileSync(program.config, '[maps]\ndirectory = "maps"\ntype = "texthash"\n');
    const { status, stdout } = await program.run(['maps', '--check']);
    assert.equal(status, 1);
    assert.equal(
      stdout,
      `there are no tables in ${join(program.directory, 'maps')} yet; "tlswarden maps" writes them\n`,
    );
  });

  it('takes no domain out of the tables when all settings files are gone, until one says that there are none', async (t) => {
    const asked = '[domains."a.example".incoming.delivery]\nrequire_tls = "always"\n';
    const program = new Program(t, { 'a.toml': asked }, '[maps]\ndirectory = "maps"\ntype = "texthash"\n');
    const policy = join(program.directory, 'maps', 'current', 'tls_policy');
    assert.equal((await program.run(['maps'])).status, 0);
    rmSync(join(program.settings, 'a.toml'));
    for (const command of [['maps'], ['check'], ['serve'], ['domains', 'set', 'b.example']]) {
      const { status, stderr } = await program.run(command);
      assert.match(
        stderr,
        /domains\.d: has no settings file any more, with the domain that was hosted; to host nothing /u,
      );
      assert.equal(status, 2);
    }
    assert.match(readFileSync(policy, 'utf8'), /^a\.example encrypt /mu);
    program.write('none.toml', '');
    await program.run(['maps']);
    assert.doesNotMatch(readFileSync(policy, 'utf8'), /a\.example/u);
  });

  it('says on a line of its own, on a terminal, why tables cannot be written', async (t) => {
    const program = new Program(t, { 'a.toml': '[domains."a.example"]\nincoming.delivery.require_tls = "always"\n' });
    writeFileSync(program.config, '[maps]\ndirectory = "maps"\ntype = "lmdb"\n');
    const postmap = join(program.directory, 'postmap');
    writeFileSync(postmap, '#!/bin/sh\necho "postmap: fatal: no" >&2\nexit 1\n', { mode: 0o755 });
    const env = { ...process.env, PATH: `${program.directory}:${process.env['PATH']}` };
    const { status, shown } = await onTerminal(['--config', program.config, 'maps'], env);
    assert.equal(status, 1);
    assert.match(shown, /lines written/u);
    assert.match(shown.replaceAll('\u001b[K', '\n'), /^tlswarden: .*postmap failed/mu);
  });

  it('--diff ends when nobody reads on', async (t) => {
    const many = Array.from(
      { length: 50_000 },
      (_, i) => `[domains."d${i}.example".incoming.delivery]\nrequire_tls = "always"\n`,
    );
    const program = new Program(t, { 'many.toml': many.join('') });
    writeFileSync(program.config, '[maps]\ndirectory = "maps"\ntype = "texthash"\n');
    const child = program.start(['maps', '--diff']);
    const status = new Promise((resolve) => child.once('exit', resolve));
    child.stdout?.once('data', () => child.stdout?.destroy());
    assert.equal(await status, 0);
  });
});
