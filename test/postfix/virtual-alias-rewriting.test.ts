// Recipients that virtual_alias_maps rewrites behind the service, which has decided for the address that the client named:
// what becomes of them, and that the two passes that README shows under "Virtual aliases" put it right.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { deliveriesAt, wordDeliveries } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { freePort } from '../harness/loopback.ts';
import { sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

/** Both domains ask for TLS of mail from this sender, to their own servers. */
const from = 'ceo@partner.example';
const domains = ['first.example', 'second.example', 'open.example'] as const;

interface Site {
  readonly gateway: Gateway;
  readonly destinations: readonly Destination[];
}

/** What `postfix show --json` prints, as far as it counts here. */
interface Shown {
  readonly 'main.cf': readonly { readonly parameter: string; readonly value: string }[];
  readonly overrides: readonly { readonly value: string }[];
}

/** first.example has TLS, the others have not; open.example asks for nothing; second.example always asks for payroll. */
async function startSite(workspace: Workspace): Promise<Site> {
  const authority = await Authority.create(workspace);
  const certificate = await authority.issue(['mx.test']);
  const destinations: Destination[] = [];
  for (const name of domains) {
    destinations.push(
      await Destination.start(workspace, { name, ...(name === 'first.example' ? { certificate } : {}) }),
    );
  }
  const dynamic = `incoming.delivery = { require_tls = "specific", senders = "${from}", recipients = "payroll" }`;
  const gateway = await Gateway.start(workspace, {
    settled: true,
    parameters: {
      relay_domains: domains.join(' '),
      transport_maps: `inline:{ ${destinations.map(({ name, nexthop }) => `${name}=smtp:${nexthop}`).join(', ')} }`,
      virtual_alias_maps: `inline:{ ${[
        'outward@first.example=user@open.example',
        'inward@open.example=user@second.example',
        'payroll@open.example=payroll@second.example',
      ].join(', ')} }`,
      minimal_backoff_time: '100s',
      maximal_backoff_time: '100s',
    },
    settings: {
      all: destinations
        .map(({ name, nexthop }) =>
          [`[domains."${name}"]`, `nexthop = "${nexthop}"`, name === 'open.example' ? '' : dynamic].join('\n'),
        )
        .join('\n'),
    },
  });
  return { gateway, destinations };
}

describe('a recipient that is rewritten behind the service', () => {
  let workspace: Workspace;
  let site: Site;
  before(async () => {
    workspace = await Workspace.create();
    site = await startSite(workspace);
  });
  after(() => workspace.dispose());

  async function send(id: string, to: string): Promise<void> {
    const sent = await sendMessage(site.gateway.postfix, { id, from, to: [to] });
    assert.equal(sent.data?.code, 250, sent.data?.text);
  }
  async function copy(id: string): Promise<string | undefined> {
    const copies = await waitFor(() => {
      const found = deliveriesAt(site.destinations).filter((each) => each.id === id);
      return found.length > 0 && found;
    }, `a copy of ${id}`);
    return wordDeliveries(copies).join();
  }

  test('goes by the FILTER of the address that the client named, to the next hop of that', async () => {
    await send('outward', 'outward@first.example');
    assert.equal(await copy('outward'), 'outward user@open.example at first.example over TLS');
  });

  test('is not asked for what depends on the sender at its new domain', async () => {
    await send('inward', 'inward@open.example');
    assert.equal(await copy('inward'), 'inward user@second.example at second.example in plaintext');
  });

  test('is held to what the tables say of its new address', async () => {
    await send('payroll', 'payroll@open.example');
    await site.gateway.postfix.waitForQueue(([message]) =>
      /TLS is required/.test(message?.recipients[0]?.delay_reason ?? ''),
    );
  });
});

test('with two passes each recipient goes where and how its new address asks, however many are in a message', async (t) => {
  const workspace = await Workspace.of(t);
  const { gateway, destinations } = await startSite(workspace);
  const { postfix } = gateway;
  const port = await freePort(postfix.address);
  const value = async (name: string): Promise<string> => (await postfix.postconf('-h', name)).trim();
  const inContext = (text: string, context: string): string =>
    text.replace(/(check_policy_service \{ inet:[^,]*),/, `$1, policy_context=${context},`);
  const [recipient, data] = [await value('smtpd_recipient_restrictions'), await value('smtpd_data_restrictions')];
  await postfix.set({
    smtpd_recipient_restrictions: inContext(recipient, 'receipt'),
    smtpd_data_restrictions: inContext(data, 'receipt'),
    content_filter: `smtp:[${postfix.address}]:${port}`,
  });
  const delivery = inContext(data, 'delivery');
  await postfix.addServices(
    [
      `${postfix.address}:${port} inet n - n - - smtpd`,
      ' -o syslog_name=postfix/delivery -o content_filter= -o receive_override_options=no_address_mappings',
      ' -o smtpd_relay_restrictions=permit_mynetworks,reject',
      ` -o { smtpd_recipient_restrictions = ${delivery} }`,
      ` -o { smtpd_data_restrictions = ${delivery} }`,
    ].join('\n'),
  );
  await postfix.reload();
  const show = JSON.parse(await gateway.run('--json', 'postfix', 'show')) as Shown;
  const shown = (name: string): string | undefined =>
    show['main.cf'].find(({ parameter }) => parameter === name)?.value;
  assert.equal(shown('smtpd_recipient_restrictions'), inContext(recipient, 'receipt'));
  assert.equal(shown('smtpd_data_restrictions'), inContext(data, 'receipt'));
  assert.deepEqual([...new Set(show.overrides.map(({ value }) => value))], [delivery]);
  const to = [
    'outward@first.example',
    'user@first.example',
    'inward@open.example',
    'payroll@open.example',
    'user@open.example',
  ];
  const sent = await sendMessage(postfix, { id: 'all', from, to });
  assert.deepEqual(
    sent.recipients.map(({ code }) => code),
    to.map(() => 250),
  );
  assert.equal(sent.data?.code, 250);
  const seen = (): readonly string[] => wordDeliveries(deliveriesAt(destinations));
  const waits = async (): Promise<readonly string[]> =>
    (await postfix.queue()).flatMap(({ recipients }) =>
      recipients.map(({ address, delay_reason: reason }) => `${address} ${reason}`),
    );
  await waitFor(
    async () => {
      await postfix.flush();
      return seen().length === 3 && (await waits()).filter((each) => each.includes('TLS is required')).length === 2;
    },
    async () => `three arrive and two wait; ${seen().join('\n')}\n${(await waits()).join('\n')}`,
  );
  assert.deepEqual(seen(), [
    'all user@first.example at first.example over TLS',
    'all user@open.example at open.example in plaintext',
    'all user@open.example at open.example in plaintext',
  ]);
  const [, second] = destinations;
  assert.ok(second !== undefined);
  second.certificate = destinations[0]?.certificate;
  second.starttls = true;
  await postfix.flush();
  await postfix.waitForQueue((queue) => queue.length === 0);
  assert.deepEqual(wordDeliveries(deliveriesAt([second])), [
    'all payroll@second.example at second.example over TLS',
    'all user@second.example at second.example over TLS',
  ]);
});
