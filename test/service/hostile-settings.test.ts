// The running service, while its settings directory is under attack: each thing is said in one line of the log, the settings
// in force stay, requests go on being answered, and when it is gone everything is as before.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '../harness/wait-for.ts';
import { recordedRequest } from './recorded-request.ts';
import { RunningService } from './running-service.ts';

const domains = { 'a.example': { incoming: { receipt: { require_tls: 'always' } } } };
const request = recordedRequest({ recipient: 'user@a.example', encryption_protocol: '' });

/** What is put in the place of x.toml, and what is said of it. */
const attacks: readonly (readonly [put: (path: string) => void, said: RegExp])[] = [
  [(path) => execFileSync('mkfifo', [path]), /is no regular file/],
  [(path) => mkdirSync(path), /is no regular file/],
  [(path) => symlinkSync('x.toml', path), /ELOOP/],
  [(path) => symlinkSync('/dev/zero', path), /is no regular file/],
  [(path) => symlinkSync('all.toml', path), /stands already in all\.toml/],
  [
    (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 31);
    },
    /is larger than 32 MiB/,
  ],
  [(path) => writeFileSync(path, Buffer.from([0xff, 0xfe])), /is not valid UTF-8/],
  [(path) => writeFileSync(path, `a = ${'['.repeat(1_000_000)}`), /nested/],
  [(path) => writeFileSync(path, `a = "${'x'.repeat(5_000_000)}"`), /unknown key/],
  [(path) => writeFileSync(path, `${'#\n'.repeat(200_000)}x`), /not TOML/],
  [
    (path) =>
      writeFileSync(
        path,
        `[domains."b.example".incoming.receipt]\nrequire_tls = "specific"\nsenders = [${'"a@b.example",'.repeat(300_000)}]`,
      ),
    /has more than 100000 entries/,
  ],
  [(path) => writeFileSync(path, `[domains."b.example"]\n${'nexthop = "x"\n'.repeat(2)}`), /redefine/],
];

test('whatever stands in the settings directory, requests are answered by the settings in force', {
  timeout: 180_000,
}, async (t) => {
  const service = await RunningService.start(t, { domains });
  const client = await service.client();
  let answers = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      assert.match(await client.ask(request), /^550 5\.7\.10 /);
      answers += 1;
    }
  })();
  const path = service.workspace.path('domains.d', 'x.toml');
  const lines = (): readonly (readonly [msg: string, complaints: string])[] =>
    service.logged.map(({ msg, complaints }) => [String(msg), JSON.stringify(complaints ?? '')]);
  try {
    for (const [put, said] of attacks) {
      const before = service.lines.length;
      const answered = answers;
      put(path);
      await waitFor(
        () =>
          lines()
            .slice(before)
            .some(([msg, complaints]) => msg.includes('those in force stay') && said.test(complaints)),
        () => `${said} to be said:\n${service.lines.slice(before).join('\n').slice(0, 2_000)}`,
        60_000,
      );
      rmSync(path, { recursive: true });
      await waitFor(
        () =>
          lines()
            .slice(before)
            .some(([msg]) => msg === 'settings in force'),
        'it is as before',
      );
      assert.ok(answers > answered);
      assert.ok(service.lines.slice(before).every((line) => line.length < 5_000));
    }
  } finally {
    isOver = true;
    await asking;
  }
  assert.ok(service.isRunning);
  assert.equal(await service.stop(), 0);
});
