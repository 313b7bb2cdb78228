// doctor on a running Postfix with a real service and tables. What holds is shown to hold by messages of its own; what does not
// is found out; and nothing of it stays.

import assert from 'node:assert/strict';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Finding } from '../../src/doctor/finding.ts';
import type { Trial } from '../../src/live/trial.ts';
import type { Gateway } from '../harness/gateway.ts';
import { runLines } from '../harness/shell.ts';
import { Site } from '../harness/site.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

interface Told {
  readonly findings: readonly Finding[];
  readonly live?: readonly Trial[] | null;
}

describe('doctor on a running Postfix', () => {
  let workspace: Workspace;
  let site: Site;
  let gateway: Gateway;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    gateway = await site.start({
      domains: { 'a.example': inside },
      settings: {
        'a.example': `[domains."a.example"]\nnexthop = "${inside.nexthop}"\nincoming.receipt.require_tls = "always"\nincoming.delivery.require_tls = "always"`,
      },
      parameters: { mynetworks: '127.0.0.0/8' },
      main: '[report]\nstate = "report"',
    });
    await gateway.watchMaps();
  });
  after(() => workspace.dispose());

  /** Runs doctor, and gives its exit status and what it tells. */
  async function doctor(
    ...options: readonly string[]
  ): Promise<Told & { readonly status: number; readonly stderr: string }> {
    const { status, stdout, stderr } = await gateway.attempt('--json', 'doctor', ...options);
    assert.notEqual(stdout, '', stderr);
    return { status, stderr, ...(JSON.parse(stdout) as Told) };
  }

  /** The same where a program of Postfix is another one. */
  async function doctorWith(name: string, commands: string): ReturnType<typeof doctor> {
    const path = process.env['PATH'];
    process.env['PATH'] = `${await workspace.program(name, commands)}:${path}`;
    try {
      return await doctor('--live');
    } finally {
      process.env['PATH'] = path;
      await rm(workspace.path('programs', name));
    }
  }

  function idsOf({ findings }: Told): readonly string[] {
    return findings.map(({ id, severity }) => `${severity} ${id}`);
  }

  function outcomes({ live }: Told): Readonly<Record<string, string>> {
    return Object.fromEntries((live ?? []).map(({ id, outcome }) => [id, outcome]));
  }

  /** The domains of trials in the settings. */
  async function trialDomains(): Promise<readonly string[]> {
    const files = await readdir(join(gateway.directory, 'domains.d'));
    const texts = await Promise.all(
      files
        .filter((name) => name.endsWith('.toml'))
        .map((name) => readFile(join(gateway.directory, 'domains.d', name), 'utf8').catch(() => '')),
    );
    return texts.join('\n').match(/[a-z]+\.doctor-[^"]+/gu) ?? [];
  }

  async function leavesNothing(): Promise<void> {
    assert.deepEqual(await trialDomains(), []);
    assert.deepEqual(await gateway.postfix.queue(), []);
  }

  /** The hosted domains that the report has rows of, once a service that ends has kept all that it counted. */
  async function countedDomains(): Promise<readonly string[]> {
    await gateway.kill('SIGTERM');
    const { status, stdout, stderr } = await gateway.attempt('--json', 'report');
    await gateway.serve();
    if (status !== 0 && stderr.includes('nothing is counted yet')) return [];
    const { rows } = JSON.parse(stdout);
    return rows.map(({ domain }: { domain: string }) => domain);
  }

  test('finds nothing where all is well, and shows by messages of its own that the settings hold', async () => {
    const told = await doctor('--live');
    assert.deepEqual(told.findings, []);
    assert.deepEqual(outcomes(told), {
      'receipt-plaintext': 'held',
      'receipt-tls': 'held',
      'receipt-free': 'held',
      'delivery-tls': 'held',
      'delivery-plaintext': 'held',
      lanes: 'held',
      table: 'held',
    });
    assert.equal(told.status, 0);
    await leavesNothing();
    // Postfix has asked about those of the trial, and doctor itself about a.example; nobody mailed either.
    assert.deepEqual(await countedDomains(), []);
  });

  test('notices a service that is not there, and one that goes by another main file', async () => {
    await gateway.kill();
    const told = await doctor();
    assert.deepEqual(idsOf(told), ['fault service-silent']);
    assert.match(told.findings[0]?.mend[0] ?? '', /^systemctl restart |^tlswarden --config \S+ serve &$/u);
    assert.equal(told.status, 0);
    // Nothing can be tried then; that the queue fails it besides is told behind that, and hides nothing.
    const once = 'test ! -e "$0.used" && : > "$0.used" && PATH=/usr/sbin:/usr/bin exec postqueue "$@"';
    const tried = await doctorWith('postqueue', `${once}; echo "no queue" >&2; exit 69`);
    assert.deepEqual([tried.status, idsOf(tried), tried.live], [1, ['fault service-silent'], null]);
    assert.match(
      tried.stderr,
      /nothing could be tried: the policy service is not reached: \w+; not all that was put in could be taken out again: no queue/u,
    );
    assert.deepEqual(await trialDomains(), []);
    await gateway.serve();
    assert.deepEqual(idsOf(await doctor()), []);
    const main = await readFile(gateway.configFile, 'utf8');
    await writeFile(gateway.configFile, main.replace('exempt_clients = []', 'exempt_clients = ["192.0.2.77"]'));
    assert.deepEqual(idsOf(await doctor()), ['breach tables-damaged', 'breach service-behind']);
    await writeFile(gateway.configFile, main);
    // Postfix is told of a service when that is there.
    const elsewhere = join(gateway.directory, 'elsewhere.toml');
    await writeFile(elsewhere, main.replace(`127.0.0.1:${gateway.port}`, '127.0.0.1:1'));
    const mends = (await doctor('--config', elsewhere)).findings.map(({ mend }) => mend.join('\n'));
    const applying = mends.filter((mend) => mend.includes('postfix apply'));
    assert.notEqual(applying.length, 0);
    for (const mend of applying) {
      assert.match(mend, /^(?:systemctl restart |tlswarden --config \S+ serve &\n).*postfix apply --reload$/su);
    }
  });

  test('takes its domains out again also if its messages cannot be deleted, and tells what it has found', async () => {
    const told = await doctorWith('postsuper', 'echo "queue file is busy" >&2; exit 1');
    assert.deepEqual([told.status, told.findings, told.live], [1, [], null]);
    assert.match(told.stderr, /^[^;]*not all that was put in could be taken out again: queue file is busy/u);
    assert.deepEqual(await trialDomains(), []);
    // The next run deletes them.
    assert.notDeepEqual(await gateway.postfix.queue(), []);
  });

  test('takes out what it has put in when it is interrupted, and what a killed one has left', async () => {
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const running = gateway.launch('doctor', '--live');
      await waitFor(async () => (await trialDomains()).length > 0, 'the trial domains are hosted');
      running.kill(signal);
      assert.equal(await running.ended, signal === 'SIGINT' ? 1 : null);
      if (signal === 'SIGINT') await leavesNothing();
    }
    const told = await doctor();
    assert.deepEqual(idsOf(told), ['advice trial-left']);
    await runLines(
      gateway.directory,
      told.findings.flatMap(({ mend }) => mend),
    );
    assert.deepEqual(idsOf(await doctor()), []);
  });

  test('shows a breach: an smtpd that does not ask, and a transport that was weakened', async () => {
    await gateway.stopWatching();
    const sideDoor = await site.sideDoor();
    await gateway.postfix.postconf('-P', 'tlswarden-encrypt/unix/smtp_tls_security_level=may');
    await gateway.postfix.postconf('-P', 'tlswarden-encrypt/unix/smtp_tls_policy_maps=');
    const [now, soon] = [Date.now() / 1000, Date.now() / 1000 + 60];
    await utimes(gateway.postfix.masterFile, soon, soon);
    const due = (await doctor()).findings.find(({ id }) => id === 'reload-due');
    await utimes(gateway.postfix.masterFile, now, now);
    await runLines(gateway.directory, due?.mend ?? ['false']);
    // Until the processes with the old configuration are gone.
    await gateway.postfix.reload();
    // Doctor comes from there: it cannot show what is asked of others.
    const main = await readFile(gateway.configFile, 'utf8');
    const exempting = join(gateway.directory, 'exempting.toml');
    await writeFile(exempting, main.replace('exempt_clients = []', 'exempt_clients = ["127.0.0.0/8"]'));
    const door = `${sideDoor.address}:${sideDoor.port}`;
    const [front, side] = await Promise.all([
      doctor('--live', '--config', exempting),
      doctor('--live', '--smtpd', door),
    ]);
    assert.deepEqual(idsOf(front), [
      'breach service-not-asked',
      'breach transport-weakened',
      'breach tables-damaged',
      'breach service-behind',
    ]);
    assert.deepEqual(outcomes(front), {
      'receipt-plaintext': 'not tried',
      'receipt-tls': 'held',
      'receipt-free': 'held',
      'delivery-tls': 'held',
      'delivery-plaintext': 'broken',
      lanes: 'held',
      table: 'not tried',
    });
    assert.equal(outcomes(side)['receipt-plaintext'], 'broken');
    assert.deepEqual([front.status, side.status], [1, 1]);
    await leavesNothing();
  });

  test('says that Postfix does not run', async () => {
    await gateway.postfix.stop();
    assert(idsOf(await doctor()).includes('advice postfix-not-running'));
  });
});
