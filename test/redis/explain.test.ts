/**
 * What explain says of settings in Redis: the reasons are those that stand there, as with a directory.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Explanation, RequirementExplained } from '../../src/explain/explain.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { Panel, tlswarden } from './host.ts';

const PASSWORD = 'geheim-1';

describe('explain with settings in Redis', () => {
  it('names the entry that matched and the Redis it stands in, and calls no setting of a domain a default', async (t) => {
    const workspace = await Workspace.of(t);
    const lines = [`requirepass ${PASSWORD}`];
    const { host, port } = await RedisServer.start(workspace, { lines, login: ['-a', PASSWORD, '--no-auth-warning'] });
    const url = `redis://:${PASSWORD}@${host}:${port}/0`;
    const place = `redis://${host}:${port}/0`;
    const always = { require_tls: 'always' };
    await new Panel(url).set({
      'a.example': {
        aliases: ['x.example'],
        incoming: {
          receipt: { require_tls: 'specific', senders: '*@bank.example', recipients: ['payroll', 'legal@x.example'] },
          delivery: { require_tls: 'specific', when: 'both', senders: ['*@*.gov.example', '*@bank.example'] },
        },
      },
      // The same as the default, and yet the domain's own.
      'b.example': { outgoing: { delivery: always } },
      'c.example': {},
    });
    const config = await workspace.write(
      'main.toml',
      `[settings]\nsource = "${url}"\n[defaults.outgoing.delivery]\nrequire_tls = "always"\n`,
    );
    const explained = async (sender: string, recipient: string): Promise<Explanation> => {
      const { status, stdout, stderr } = await tlswarden(config, ['explain', sender, recipient, '--json']);
      assert.deepEqual([status, stderr], [0, '']);
      assert.ok(!stdout.includes(PASSWORD), stdout);
      return JSON.parse(stdout) as Explanation;
    };
    const told = (requirement: RequirementExplained | undefined): readonly unknown[] => {
      assert.ok(requirement !== undefined);
      assert.deepEqual([requirement.file, requirement.line, requirement.is_default], [place, null, false]);
      assert.ok(requirement.entries.every(({ file, line }) => file === place && line === null));
      return requirement.entries.map(({ list, entry }) => [list, entry]);
    };

    const { receipt, delivery } = await explained('ceo@bank.example', 'legal+x@x.example');
    assert.deepEqual(told(receipt[0]), [
      ['recipients', 'legal@x.example'],
      ['senders', '*@bank.example'],
    ]);
    assert.deepEqual(told(delivery[0]), [
      ['recipients', null],
      ['senders', '*@bank.example'],
    ]);
    const { stdout } = await tlswarden(config, ['explain', 'ceo@bank.example', 'legal@a.example']);
    assert.ok(stdout.includes(`    ${place}  require_tls = "specific"\n`), stdout);
    assert.ok(stdout.includes(`    ${place}  recipients lists "legal@x.example"\n`), stdout);

    assert.deepEqual(told((await explained('a@b.example', 'x@y.example')).delivery[0]), []);
    const [byDefault] = (await explained('a@c.example', 'x@y.example')).delivery;
    assert.deepEqual([byDefault?.is_default, byDefault?.file, byDefault?.line], [true, config, 4]);
  });
});
