// A setting goes from never to always while mail flows. From that moment on not one message leaves in plaintext: not while
// the table writer is late, not while parts of Postfix still go by the tables before, not when the service leaves it to the
// tables. The server has no TLS until the end, so whatever gets there left in plaintext.
//
// This takes a minute, for that is how long Postfix takes: trivial-rewrite(8) looks for other tables every 10 s, and qmgr(8)
// keeps the route of the same recipient for 30 s more; so the same recipient gets mail all the time.

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { deliveriesAt } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { NameServer } from '../harness/name-server.ts';
import { sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const writerDelayMs = 10_000;
/** What every part of Postfix that keeps routes has forgotten them after. */
const postfixDelayMs = 45_000;
const pauseMs = 200;

interface Way {
  readonly from: string;
  readonly to: string;
  readonly setting: 'incoming.delivery' | 'outgoing.delivery';
  readonly nexthop: boolean;
}

const ways: Readonly<Record<string, Way>> = {
  'of a domain with a next hop': {
    from: 'someone@partner.example',
    to: 'user@changing.example',
    setting: 'incoming.delivery',
    nexthop: true,
  },
  'of a domain by MX': {
    from: 'someone@partner.example',
    to: 'user@changing.example',
    setting: 'incoming.delivery',
    nexthop: false,
  },
  'from a domain to others': {
    from: 'user@changing.example',
    to: 'someone@partner.example',
    setting: 'outgoing.delivery',
    nexthop: false,
  },
};

describe('after the change not one message leaves in plaintext', { concurrency: true }, () => {
  for (const [what, { from, to, setting, nexthop }] of Object.entries(ways)) {
    test(what, async (t) => {
      const workspace = await Workspace.of(t);
      const authority = await Authority.create(workspace);
      const names = await NameServer.start(workspace);
      const destination = await Destination.start(workspace);
      names.setMailHost(to.replace(/.*@/, ''), 'mx.test', destination.address);
      const domain = ['[domains."changing.example"]', nexthop ? `nexthop = "${destination.nexthop}"` : ''].join('\n');
      const gateway = await Gateway.start(workspace, {
        nameServer: names.address,
        settled: true,
        parameters: {
          relay_domains: 'changing.example',
          ...(nexthop ? { transport_maps: `inline:{ changing.example=smtp:${destination.nexthop} }` } : {}),
          minimal_backoff_time: '1000s',
          maximal_backoff_time: '1000s',
        },
        settings: {
          changing: `${domain}\n${setting} = { require_tls = "never" }`,
          // The level is in use, so Postfix has its transport.
          steady: '[domains."steady.example"]\nincoming.delivery = { require_tls = "always" }',
        },
      });
      const stampAge = async (): Promise<number> =>
        Date.now() - (await stat(join(gateway.mapsDirectory, 'stamp.json'))).mtimeMs;

      let sent = 0;
      let firstAfter = Number.POSITIVE_INFINITY;
      /** Goes on sending, one message after the other, until the fact holds. */
      async function sendUntil(fact: () => boolean | Promise<boolean>): Promise<void> {
        do {
          const last = Date.now();
          const { data } = await sendMessage(gateway.postfix, { from, to: [to], id: String(sent++) });
          assert.equal(data?.code, 250, data?.text);
          await waitFor(() => Date.now() - last >= pauseMs, 'time passes');
        } while (!(await fact()));
      }
      const isFiltered = async (id: number): Promise<boolean> => {
        const line = new RegExp(`message-id=<${id}@`);
        const lines = await gateway.postfix.logLines();
        const at = lines.findIndex((text) => line.test(text));
        const queueId = lines[at]?.match(/: (\w+): message-id/)?.[1];
        return lines.some((text) => text.includes(`${queueId}: filter: DATA`));
      };

      await sendUntil(() => destination.messages.length >= 10);
      const log = gateway.log.length;
      const changedAt = Date.now();
      await gateway.write('changing', `${domain}\n${setting} = { require_tls = "always" }`);
      await sendUntil(() => /"settings in force"/u.test(gateway.log.slice(log)));
      firstAfter = sent;
      await sendUntil(() => Date.now() - changedAt >= writerDelayMs);
      const written = gateway.run('maps');
      await sendUntil(async () => {
        await written;
        return (await stampAge()) < postfixDelayMs;
      });
      await sendUntil(async () => (await stampAge()) >= postfixDelayMs);
      // The service would wait for longer, for the sake of sessions that smtp(8) may have kept open: there are none here.
      await gateway.settle();
      await sendUntil(async () => !(await isFiltered(sent - 1)));
      const leftToTables = sent - 1;
      await sendUntil(() => sent - leftToTables >= 10);

      const ids = (): readonly number[] => deliveriesAt([destination]).map(({ id }) => Number(id));
      const settled = (): Promise<unknown> =>
        gateway.postfix.waitForQueue((queue) => queue.every(({ queue_name: name }) => name === 'deferred'));
      await settled();
      assert.deepEqual(
        ids().filter((id) => id >= firstAfter),
        [],
        `messages from ${firstAfter} on are to leave over TLS; from ${leftToTables} on tables see to it`,
      );

      destination.certificate = await authority.issue(['mx.test']);
      destination.starttls = true;
      await gateway.postfix.flush();
      await gateway.postfix.waitForQueue((queue) => queue.length === 0, 60_000);
      assert.deepEqual(
        [...ids()].sort((a, b) => a - b),
        Array.from({ length: sent }, (_, id) => id),
      );
      assert.ok(deliveriesAt([destination]).every(({ id, overTls }) => overTls || Number(id) < firstAfter));
    });
  }
});
