// Where doctor's own mail comes in: main.cf and master.cf say it in many ways.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { doorsOf } from '../../src/live/door.ts';
import { Patient } from '../doctor/patient.ts';
import { Workspace } from '../harness/workspace.ts';

describe('the entrance that takes mail from strangers', () => {
  for (const [what, service, main, expected] of [
    ['at a name that inet_interfaces has', 'smtp', 'inet_interfaces = localhost, [::1]', 'localhost:25 ::1:25'],
    ['on loopback alone', 'smtp', 'inet_interfaces = loopback-only', '127.0.0.1:25 ::1:25'],
    ['by IPv6 alone', 'smtp', 'inet_interfaces = loopback-only\ninet_protocols = ipv6', '::1:25'],
    ['at an address and a port of its own', '[::1]:2525', '', '::1:2525'],
  ] as const) {
    test(`is found ${what}`, async (t) => {
      const patient = await Patient.create(await Workspace.of(t), 'host', {
        main: `compatibility_level = 3.6\nmyhostname = mx.test\n${main}\n`,
        master: `${service} inet n - n - - smtpd\n`,
        settings: '',
      });
      const doors = doorsOf((await patient.diagnosis()).host);
      assert.equal(doors.map(({ host, port }) => `${host}:${port}`).join(' '), expected);
    });
  }
});
