import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Workspace } from '../harness/workspace.ts';
import { Patient } from './patient.ts';

describe('an smtpd that this host alone can connect to', () => {
  for (const [interfaces, isLocal] of [
    ['loopback-only', true],
    ['127.0.0.1, [::1]', true],
    ['localhost', true],
    ['all', false],
  ] as const) {
    test(`${isLocal ? 'is one' : 'is none'} where inet_interfaces is ${interfaces}`, async (t) => {
      const patient = await Patient.create(await Workspace.of(t), 'host', {
        main: `compatibility_level = 3.6\nmyhostname = mx.test\ninet_interfaces = ${interfaces}\n`,
        master: 'smtp inet n - n - - smtpd\n',
        settings: '',
      });
      const { host } = await patient.diagnosis();
      assert.deepEqual(
        host.entrances.map((entrance) => entrance.isLocal),
        [isLocal],
      );
    });
  }
});
