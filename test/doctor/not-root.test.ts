// doctor by somebody who is not root: what only root may read says nothing of Postfix, whose programs open it as root.

import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { test } from 'node:test';
import type { Finding } from '../../src/doctor/finding.ts';
import { userId } from '../harness/account.ts';
import { selfSignedCertificate } from '../harness/certificates.ts';
import { attempt } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import { Workspace } from '../harness/workspace.ts';
import { idsOf, Patient } from './patient.ts';

test("takes neither smtpd's key nor a table for one that Postfix cannot read", async (t) => {
  const workspace = await Workspace.of(t);
  const { certificateFile, keyFile } = await selfSignedCertificate(workspace, ['mx.test']);
  const patient = await Patient.create(workspace, 'host', {
    main: `compatibility_level = 3.6\nmyhostname = mx.test\nsmtpd_tls_chain_files = ${keyFile}, ${certificateFile}\n`,
    master: 'smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\nrewrite unix - - n - - trivial-rewrite\n',
    settings: '[domains."example.com".incoming.receipt]\nrequire_tls = "always"\n',
  });
  const table = await patient.table('routes', 'example.com smtp:\n');
  await patient.set({ transport_maps: table });
  for (const file of [keyFile, `${table.slice('lmdb:'.length)}.lmdb`]) await chmod(file, 0o600);
  const doctor = [MAIN, '--config', `${patient.directory}/tlswarden.toml`, '--json', 'doctor'];
  // Whether this user reaches the program at all depends on where it lies; only then is there something to see.
  const asNobody = { uid: userId('nobody'), cwd: '/' };
  if ((await attempt(process.execPath, [MAIN, '--version'], asNobody)).status !== 0) {
    t.skip('the program lies where nobody may read');
    return;
  }
  const { stdout, stderr } = await attempt(process.execPath, doctor, asNobody);
  const { findings } = JSON.parse(stdout || stderr) as { readonly findings: readonly Finding[] };
  const ids = idsOf(findings);
  assert.ok(ids.includes('breach service-not-asked'), stdout);
  assert.deepEqual(
    ids.filter((id) => /smtpd-certificate|table-unreadable/u.test(id)),
    [],
  );
});
