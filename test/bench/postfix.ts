/**
 * The part `postfix`: messages a second through a real Postfix that asks nobody, the bare Node server, tlswarden or postfwd,
 * at RCPT and at DATA. One Postfix with an smtpd for each; what it accepts it discards.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { freePort } from '../harness/loopback.ts';
import { Postfix } from '../harness/postfix.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Bench } from './bench-run.ts';
import { PATIENCE_MS, startBareServer, startPostfwd, startService } from './contenders.ts';
import { domainName, KINDS } from './fleet.ts';
import { installPostfwd } from './postfwd-package.ts';
import { postfwdRules } from './postfwd-rules.ts';
import { inTurns, ratios } from './turns.ts';
import { writeAgedTables } from './write-tables.ts';

const DOMAINS = 1000;
const SESSIONS = 8;
/** The fewest rounds that say anything: disks are moody. */
const ROUNDS = 7;
const SECONDS_A_RUN = 4;
const PROBE_MESSAGES = 100;
const BARE_GOAL = 0.97;

const SIDES = ['nobody', 'bare', 'service', 'postfwd'] as const;
type Side = (typeof SIDES)[number];
/** As they are called in the results. */
const WORDS: Readonly<Record<Side, string>> = {
  nobody: 'asking nobody',
  bare: 'asking the bare server',
  service: 'asking the service',
  postfwd: 'asking postfwd',
};

export async function benchPostfix({ workspace, results, rounds: asked, fleet: fleetOf }: Bench): Promise<void> {
  installPostfwd();
  const part = 'postfix';
  const rounds = Math.max(asked, ROUNDS);
  const fleet = await fleetOf(DOMAINS);
  const port = await freePort();
  const mainFile = await fleet.mainFile({ port, maps: await writeAgedTables(workspace, fleet) });
  const contenders = [
    await startBareServer(workspace),
    await startService(workspace, mainFile, port),
    await startPostfwd(workspace, 'postfwd-beside-postfix', postfwdRules(DOMAINS)),
  ];
  const [bare = 0, service = 0, postfwd = 0] = contenders.map((contender) => contender.port);
  const policyPorts: Readonly<Record<Side, number>> = { nobody: 0, bare, service, postfwd };
  const { postfix, ports } = await startPostfix(workspace, policyPorts);

  const rate = (side: Side, messages: number): Promise<number> => messagesASecond(postfix, ports[side], messages);
  const messages = {} as Record<Side, number>;
  for (const side of SIDES) {
    // The first run starts smtpd, cleanup and the rest, the second says how many messages a run of some seconds takes.
    await rate(side, PROBE_MESSAGES);
    messages[side] = Math.ceil(SECONDS_A_RUN * (await rate(side, PROBE_MESSAGES)));
  }
  const measured = await inTurns(rounds, SIDES, (side) => rate(side, messages[side]));
  for (const side of SIDES) {
    results.addMedian({ part, what: WORDS[side], rounds: measured[side], unit: 'msg/s' });
  }
  const ratio = (above: Side, below: Side): Parameters<typeof results.addMedian>[0] => ({
    part,
    what: `${WORDS[above]} / ${WORDS[below]}`,
    rounds: ratios(measured[above], measured[below]),
    unit: '',
  });
  results.addMedian({ ...ratio('service', 'bare'), goal: { atLeast: BARE_GOAL } });
  results.addMedian(ratio('service', 'nobody'));
  results.addMedian(ratio('service', 'postfwd'));
  await postfix.stop();
  for (const contender of contenders) await contender.stop();
}

/** A Postfix with an smtpd for each side, whose restrictions ask at its policy port; 0 asks nobody. */
async function startPostfix(
  workspace: Bench['workspace'],
  policyPorts: Readonly<Record<Side, number>>,
): Promise<{ readonly postfix: Postfix; readonly ports: Readonly<Record<Side, number>> }> {
  const postfix = await Postfix.create(workspace, {
    name: 'bench',
    parameters: {
      default_transport: 'discard:',
      relay_transport: 'discard:',
      smtpd_authorized_xclient_hosts: '',
      smtpd_client_message_rate_limit: '0',
      smtpd_policy_service_default_action: '451 4.3.5 nobody answers',
      // No name server is asked, for any side.
      smtpd_peername_lookup: 'no',
    },
  });
  const ports = {} as Record<Side, number>;
  const services: string[] = [];
  for (const side of SIDES) {
    const port = await freePort(postfix.address);
    ports[side] = port;
    const ask = policyPorts[side] === 0 ? '' : `check_policy_service,inet:127.0.0.1:${policyPorts[side]},`;
    services.push(
      `${postfix.address}:${port} inet n - n - - smtpd`,
      `  -o smtpd_recipient_restrictions=${ask}permit_mynetworks,reject`,
      `  -o smtpd_data_restrictions=${ask}permit_mynetworks`,
    );
  }
  await postfix.addServices(...services);
  await postfix.start();
  return { postfix, ports };
}

/** Has so many messages sent to one of the fleet's domains that has lists to look at; all of them are let through. */
async function messagesASecond(postfix: Postfix, port: number, messages: number): Promise<number> {
  const recipient = `info@${domainName(KINDS.length * 50 + KINDS.indexOf('listed receipt'))}`;
  const load = ['-s', `${SESSIONS}`, '-m', `${messages}`, '-f', 'someone@sender.example', '-t', recipient];
  const began = performance.now();
  await run('smtp-source', [...load, `inet:${postfix.address}:${port}`]);
  const seconds = (performance.now() - began) / 1000;
  // What is still on its way would slow down whoever comes next.
  await waitFor(
    async () => {
      const queues = ['incoming', 'active', 'deferred'].map((queue) => join(postfix.queueDirectory, queue));
      return (await Promise.all(queues.map((queue) => readdir(queue)))).every((names) => names.length === 0);
    },
    'what was sent to be discarded',
    PATIENCE_MS,
  );
  return messages / seconds;
}
