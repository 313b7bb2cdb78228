// The demo shows what it promises to show, and leaves nothing behind, however it ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../harness/command.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Row, wordRefusals, wordTable } from './word-demo.ts';

/** On a busy machine the gateway takes its time. */
const buildingMs = 120_000;
const demo = fileURLToPath(new URL('./demo.js', import.meta.url));

test('the demo prints what became of each message', async () => {
  const output = await run(process.execPath, [demo]);
  const lines = output.split('\n');
  for (const row of [
    'news@partner.example   info@shop.example       plaintext  250 2.1.5   plaintext at mx.shop.example',
    'lab@partner.example    ward@clinic.example     plaintext  550 5.7.1   nothing: refused',
    'lab@partner.example    ward@clinic.example     TLSv1.1    550 5.7.10  nothing: refused',
    'lab@partner.example    ward@clinic.example     TLSv1.3    250 2.1.5   TLSv1.3 at mx.clinic.example',
    'ceo@partner.example    board@bank.example      plaintext  550 5.7.10  nothing: refused',
    'news@old.example       board@bank.example      plaintext  250 2.1.5   TLSv1.3 at mx.bank.example',
    'news@old.example       office@school.example   plaintext  250 2.1.5   plaintext at mx.school.example',
    'news@old.example       payroll@school.example  plaintext  250 2.1.5   waits: TLS is required, but was not offered',
    'court@partner.example  office@school.example   plaintext  250 2.1.5   waits: TLS is required, but was not offered',
    'court@partner.example  desk@lawyer.example     TLSv1.3    250 2.1.5   waits: Server certificate not verified',
    'clerk@firm.example     info@old.example        plaintext  250 2.1.5   plaintext at mx.old.example',
    'payroll@firm.example   info@old.example        plaintext  250 2.1.5   waits: TLS is required, but was not offered',
    'payroll@firm.example   info@partner.example    plaintext  250 2.1.5   TLSv1.3 at mx.partner.example',
    'hr@firm.example        info@partner.example    plaintext  550 5.7.10  nothing: refused',
    'hr@firm.example        info@partner.example    TLSv1.3    250 2.1.5   TLSv1.3 at mx.partner.example',
  ])
    assert.ok(lines.includes(row), `${row}\nis not in\n${output}`);
  assert.match(output, /^ {2}550 5\.7\.10 <board@bank\.example>: .*TLS required: mail for bank\.example/mu);
  for (const line of lines) assert.ok(line.length <= 120, line);
});

for (const [signal, moment] of [
  ['SIGINT', 'while it builds'],
  ['SIGTERM', 'while Postfix runs'],
] as const) {
  test(`the demo leaves nothing behind when ${signal} ends it ${moment}`, async (t) => {
    const child = spawn(process.execPath, [demo], { stdio: ['ignore', 'ignore', 'pipe'] });
    t.after(() => child.kill());
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const directory = await waitFor(
      () => errors.match(/ in (\S+) …/u)?.[1],
      'the demo says where it builds',
      buildingMs,
    );
    const log = `${directory}/gateway/mail.log`;
    const mark = moment === 'while it builds' ? '' : 'daemon started';
    const reached = (): boolean => existsSync(log) && readFileSync(log, 'utf8').includes(mark);
    await waitFor(reached, `the demo has come to "${mark}"`, buildingMs);
    const gone = once(child, 'exit');
    child.kill(signal);
    assert.deepEqual(await gone, [null, signal]);
    assert.ok(!existsSync(directory), `${directory} is gone`);
    // A command that is under way ends by itself, its files being gone.
    await waitFor(
      () => processesOf(directory).length === 0,
      () => `${processesOf(directory)} end`,
    );
  });
}

/** Command lines of the processes that name a folder. */
function processesOf(directory: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(directory));
}

test('the table of the demo fits its columns to what stands in them', () => {
  const row = { from: 'a@b.example', to: 'c@d.example', session: 'TLSv1.3' };
  const rows: readonly Row[] = [
    { ...row, reply: '250 2.1.5 Ok', delivered: 'TLSv1.3 at mx.d.example' },
    { ...row, reply: `550 5.7.10 ${'no '.repeat(60)}`.trim(), delivered: 'nothing: refused' },
  ];
  assert.equal(
    wordTable(rows),
    [
      'from         to           session  reply       delivered over',
      '-----------  -----------  -------  ----------  -----------------------',
      'a@b.example  c@d.example  TLSv1.3  250 2.1.5   TLSv1.3 at mx.d.example',
      'a@b.example  c@d.example  TLSv1.3  550 5.7.10  nothing: refused',
      '',
    ].join('\n'),
  );
  const told = wordRefusals(rows).split('\n');
  assert.equal(told[0], 'Refused with:');
  assert.ok(told.length > 3 && told.every((line) => line.length <= 120));
});
