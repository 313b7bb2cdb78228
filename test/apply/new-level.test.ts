import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Host } from './host.ts';

test('domains set says when a level needs a transport that master.cf has not, once apply was run', async (t) => {
  const host = await Host.of(t);
  const set = (...words: readonly string[]) =>
    host.attempt(['domains', 'set', 'a.example', 'incoming.delivery', ...words]);
  const lacks = (names: string) =>
    `a.example: master.cf of this host has no ${names} yet: mail that needs it waits until "tlswarden postfix apply --reload"\n`;

  assert.equal((await set('level=verify')).stderr, '', 'before the first apply there is nothing to remind of');
  await host.run('postfix', 'apply');
  assert.equal((await set('enforcement=enforce')).stderr, '', 'the transport is there');
  assert.equal((await set('level=secure', 'on_failure=bounce')).stderr, lacks('tlswarden-secure-bounce'));
  const monitored = await set('level=dane-only', 'enforcement=monitor');
  assert.equal(monitored.stderr, '', 'what is under monitor reaches no transport');
  const { status, stderr } = await set('enforcement=enforce', 'on_failure=');
  assert.deepEqual([status, stderr], [0, lacks('tlswarden-dane-only')]);
  await host.run('postfix', 'apply');
  assert.equal((await set('ciphers=medium', 'nexthop=')).stderr, '', 'apply put it there');
});
