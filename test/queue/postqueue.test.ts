import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queuedMail } from '../../src/apply/queued-mail.ts';
import { QueueError } from '../../src/postfix/queue-program.ts';
import { Workspace } from '../harness/workspace.ts';

test('a queue that cannot be read is an error with the reason, and ends nothing', async (t) => {
  const workspace = await Workspace.of(t);
  const path = process.env['PATH'];
  t.after(() => {
    process.env['PATH'] = path;
  });
  const look = (): Promise<unknown> => queuedMail('/etc/postfix', () => {});
  process.env['PATH'] = workspace.directory;
  await assert.rejects(
    look,
    (error) => error instanceof QueueError && /^postqueue was not found in PATH$/u.test(error.message),
  );
  process.env['PATH'] = `${await workspace.program('postqueue', 'echo "fatal: no queue" >&2; exit 69')}:${path}`;
  await assert.rejects(look, (error) => error instanceof QueueError && error.message === 'fatal: no queue');
});

test('a list of the queue that breaks off in the middle of a message is such an error too', async (t) => {
  const workspace = await Workspace.of(t);
  const path = process.env['PATH'];
  t.after(() => {
    process.env['PATH'] = path;
  });
  const half = `printf '{"queue_id":"4jcMmF69RFzJFC0","recip'`;
  for (const [script, reason] of [
    [
      `${half}; echo "fatal: malformed showq server response" >&2; exit 69`,
      /^fatal: malformed showq server response$/u,
    ],
    [half, /^postqueue printed what is no message: "\{"queue_id":"4jcMmF69RFzJFC0","recip"$/u],
  ] as const) {
    process.env['PATH'] = `${await workspace.program('postqueue', script)}:${path}`;
    await assert.rejects(
      () => queuedMail('/etc/postfix', () => {}),
      (error) => error instanceof QueueError && reason.test(error.message),
    );
  }
});
