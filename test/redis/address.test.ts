/**
 * URLs of Redis: one server, Sentinels, a Cluster; and that nothing about them tells the password.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { parseRedisUrl, RedisAddress } from '../../src/redis/redis-address.ts';

function read(url: string): RedisAddress {
  const address = parseRedisUrl(url, '/etc/tlswarden');
  assert.ok(address instanceof RedisAddress, url);
  return address;
}

describe('a URL of Redis', () => {
  it('names what it leads to', () => {
    for (const [url, name] of [
      ['redis://h.example', 'redis://h.example:6379/0'],
      ['rediss://u:p@h.example:7000/3', 'rediss://h.example:7000/3'],
      ['redis://[2001:db8::1]:7000', 'redis://[2001:db8::1]:7000/0'],
      ['redis-sentinel://:p@s1,s2:7000/settings', 'redis-sentinel://s1:26379,s2:7000/settings/0'],
      ['rediss-sentinel://s1/settings/2', 'rediss-sentinel://s1:26379/settings/2'],
      ['redis-cluster://u:p@n1,n2,n3:7000', 'redis-cluster://n1:6379,n2:6379,n3:7000'],
    ] as const) {
      assert.equal(read(url).name, name);
    }
  });

  it('holds credentials in any characters', () => {
    assert.deepEqual(read('redis://u%40x:p%2Fa%3Ass@h').credentials(), { username: 'u@x', password: 'p/a:ss' });
    assert.deepEqual(read('redis://:a@b/c@h').credentials(), { username: undefined, password: 'a@b/c' });
    assert.deepEqual(read('redis://h').credentials(), { username: undefined, password: undefined });
  });

  it('names files for TLS, relative to the main file', () => {
    assert.deepEqual(read('rediss://h?ca=ca.pem&cert=/c.pem&key=/k.pem').tls, {
      ca: '/etc/tlswarden/ca.pem',
      cert: '/c.pem',
      key: '/k.pem',
    });
  });

  it('that is none is complained of without repeating it', () => {
    for (const url of [
      'redis://u:s3cret@',
      'redis://u:s3cret@h:99999999',
      'redis://u:s3cret@a,b',
      'redis://u:s3cret%@h',
      'redis://u:s3cret@h/x',
      'redis://u:s3cret@h?ca=x',
      'rediss://u:s3cret@h?passwort=s3cret',
      'redis-sentinel://u:s3cret@h',
      'redis-cluster://u:s3cret@h/3',
      'redis:s3cret',
    ]) {
      const problem = parseRedisUrl(url, '/');
      assert.ok('problem' in problem, url);
      assert.doesNotMatch(problem.problem, /s3cret/u);
    }
  });

  it('shows its password in no form', () => {
    const address = read('redis://user:s3%2Fcret@h');
    for (const text of [
      String(address),
      JSON.stringify({ address }),
      inspect(address, { showHidden: true, depth: 5 }),
    ]) {
      assert.doesNotMatch(text, /cret/u);
    }
    assert.equal(address.redact('AUTH user s3/cret failed at s3%2Fcret'), 'AUTH user *** failed at ***');
  });
});
