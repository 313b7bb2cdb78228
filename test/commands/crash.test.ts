/**
 * Writers that are killed at any moment, and writers at the same time: a file is the old one or the new one, and no
 * change is lost. In real processes, since the lock and the rename are the kernel's.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from './program.ts';

it('a writer that is killed leaves the old settings or the new ones, and no lock', { timeout: 120_000 }, async (t) => {
  const text = (aliases: readonly string[]) =>
    `# by hand\n[domains."a.example"]\naliases = ${JSON.stringify(aliases).replaceAll(',', ', ')}\n# the end\n`;
  const program = new Program(t, { 'hand.toml': text(['x0.example']) });
  const whole = await timed(() => program.run(['domains', 'set', 'a.example', 'aliases=x0b.example']));
  let before = program.read('hand.toml');
  let written = 0;
  for (let round = 1; round <= 15; round++) {
    const child = program.start(['domains', 'set', 'a.example', `aliases=x${round}.example`]);
    const closed = once(child, 'close');
    // Most of a run is its start: the moments that count are near its end.
    await Promise.race([sleep(whole * (0.6 + 0.6 * Math.random())), closed]);
    child.kill('SIGKILL');
    await closed;
    const now = program.read('hand.toml');
    if (now !== before) {
      written += 1;
      assert.equal(now, text([`x${round}.example`]));
    }
    before = now;
  }
  t.diagnostic(`${written} of 15 had written before they were killed`);
  const { status, stderr } = await program.run(['domains', 'set', 'a.example', 'aliases=last.example']);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(program.read('hand.toml'), text(['last.example']));
  assert.deepEqual(program.names(), ['hand.toml'], 'what killed writers left is cleared away');
});

it('an import that is killed leaves every file whole, and can be done again', { timeout: 120_000 }, async (t) => {
  const record = (i: number, host: string) =>
    `{"domain":"d${i}.example","nexthop":"[${host}.example]:25","incoming":{"delivery":{"require_tls":"always"}}}\n`;
  const fleet = (host: string) => Array.from({ length: 200 }, (_, i) => record(i, host)).join('');
  const program = new Program(t);
  const whole = await timed(() => program.run(['domains', 'import', '-'], fleet('old')));
  for (const part of [0.5, 0.7, 0.8, 0.9]) {
    const child = program.start(['domains', 'import', '-']);
    const closed = once(child, 'close');
    child.stdin?.on('error', () => {});
    child.stdin?.end(fleet('new'));
    await Promise.race([sleep(whole * part), closed]);
    child.kill('SIGKILL');
    await closed;
    const { status, stdout } = await program.run(['domains', 'export', '--format', 'jsonl']);
    assert.equal(status, 0);
    const known = new Set((fleet('old') + fleet('new')).split('\n'));
    for (const line of stdout.split('\n')) assert.ok(known.has(line), line);
  }
  assert.equal((await program.run(['domains', 'import', '-'], fleet('new'))).status, 0);
  const { stdout } = await program.run(['domains', 'export', '--format', 'jsonl']);
  assert.deepEqual(stdout.split('\n').sort(), fleet('new').split('\n').sort());
  assert.equal(program.names().length, 200);
});

it('writers at the same time lose nothing', { timeout: 120_000 }, async (t) => {
  const program = new Program(t, { 'hand.toml': '[domains."a.example"]\n[domains."b.example"]\n' });
  const numbers = Array.from({ length: 10 }, (_, i) => i);
  for (const pair of [numbers.slice(0, 5), numbers.slice(5)]) {
    const results = await Promise.all(
      pair.map((i) =>
        program.run(['domains', 'set', i % 2 === 0 ? 'a.example' : 'b.example', `aliases+=x${i}.example`]),
      ),
    );
    for (const { status, stderr } of results) assert.equal(status, 0, stderr);
  }
  const aliases = [...program.read('hand.toml').matchAll(/"(x\d)\.example"/gu)].map(([, alias]) => alias).sort();
  assert.deepEqual(
    aliases,
    numbers.map((i) => `x${i}`),
  );
});

/** How long a run takes on this machine, in milliseconds. */
async function timed(run: () => Promise<{ readonly status: number | null }>): Promise<number> {
  const start = performance.now();
  assert.equal((await run()).status, 0);
  return performance.now() - start;
}
