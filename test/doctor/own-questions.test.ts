// What doctor and `postfix apply` ask the service about no mail: answered as Postfix would be, and never taken for mail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askService } from '../../src/service/policy-client.ts';
import { Workspace } from '../harness/workspace.ts';
import { MeasuredService } from '../metrics/measured-service.ts';

const SETTINGS = '[domains."strict.example".incoming.receipt]\nrequire_tls = "always"\n';
const MAIN = '[log]\nlevel = "debug"\n[report]\nstate = "report"\n[postfix]\nconfig_directory = "config"\n';
const MASTER_CF = 'smtp inet n - n - - smtpd\n';

/** A question of doctor's. */
const QUESTION = {
  protocol_state: 'RCPT',
  protocol_name: 'ESMTP',
  sender: '',
  recipient: 'postmaster@strict.example',
  client_address: '192.0.2.1',
  policy_context: 'receipt',
};

async function decided(service: MeasuredService): Promise<number> {
  const { samples } = await service.scrape();
  const counted = samples.filter(({ name }) => /^tlswarden_(?:requests|refusals)_total$/u.test(name));
  return counted.reduce((sum, { value }) => sum + value, 0);
}

/** What the report says of a service that has ended: nothing, or the hosted domains that have rows. */
async function reported(service: MeasuredService): Promise<string> {
  const { status, stdout, stderr } = await service.run('--json', 'report');
  if (status !== 0) return JSON.parse(stderr).error.complaints[0].message;
  return JSON.parse(stdout)
    .rows.map(({ domain }: { readonly domain: string }) => domain)
    .join();
}

test('what doctor asks the service is neither counted nor logged as a decision', async (t) => {
  const workspace = await Workspace.of(t);
  await workspace.write('config/main.cf', `queue_directory = ${workspace.path('queue')}\n`);
  await workspace.write('config/master.cf', MASTER_CF);
  const service = await MeasuredService.start(workspace, { settings: { strict: SETTINGS }, main: MAIN });
  const { stdout } = await service.run('--json', 'doctor');
  const ids = JSON.parse(stdout).findings.map(({ id }: { readonly id: string }) => id);
  assert.ok(!ids.includes('service-silent') && !ids.includes('service-behind'), stdout);
  assert.equal(await decided(service), 0);
  await service.stop();
  assert.deepEqual(service.lines('decision'), []);
  assert.match(await reported(service), /^nothing is counted yet/u);
});

test('the answer is what Postfix gets for the same recipient, whose request counts', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { strict: SETTINGS }, main: MAIN });
  const own = await askService(`inet:127.0.0.1:${service.port}`, QUESTION);
  assert.match(own, /^550 5\.7\.10 TLS required/u);
  assert.equal(await decided(service), 0);
  const plaintext = { encryption_protocol: '', encryption_keysize: '0', instance: '1a2b.6704e3f1.c3d4e.0' };
  assert.equal(await service.ask({ ...QUESTION, ...plaintext }), own);
  assert.equal(await decided(service), 2);
  await service.stop();
  assert.deepEqual(
    service.lines('decision').map(({ msg }) => msg),
    ['decided', 'TLS required'],
  );
  assert.equal(await reported(service), 'strict.example');
});
