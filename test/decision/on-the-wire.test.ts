// The running service answers on the wire what the decision says in the process: nothing that counts is lost on the way
// from Postfix's attributes to the decision. One service, random settings, random mail.

import { equal } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { paperWorld, randomAddress, randomSettings, toToml } from '../oracle/scenario.ts';
import { type Asked, Core } from './core.ts';

const seed = seedOfThisRun();

/** A request as Postfix 3.7 writes it. */
function wireRequest(asked: Asked): string {
  const attributes: readonly (readonly [string, string | number])[] = [
    ['request', 'smtpd_access_policy'],
    ['protocol_state', asked.state ?? 'RCPT'],
    ['protocol_name', 'ESMTP'],
    ['client_address', asked.exempt === true ? '192.0.2.99' : '192.0.2.1'],
    ['client_name', 'client.test'],
    ['client_port', '40112'],
    ['reverse_client_name', 'client.test'],
    ['server_address', '192.0.2.2'],
    ['server_port', '25'],
    ['helo_name', 'client.test'],
    ['sender', asked.sender ?? ''],
    ['recipient', asked.recipient ?? ''],
    ['recipient_count', asked.count ?? 0],
    ['queue_id', asked.state === 'DATA' ? '4jYMrl6732zJMbk' : ''],
    ['instance', asked.instance ?? ''],
    ['size', 421],
    ['etrn_domain', ''],
    ['stress', ''],
    ['sasl_method', asked.login === undefined ? '' : 'PLAIN'],
    ['sasl_username', asked.login ?? ''],
    ['sasl_sender', ''],
    ['ccert_subject', ''],
    ['ccert_issuer', ''],
    ['ccert_fingerprint', ''],
    ['ccert_pubkey_fingerprint', ''],
    ['encryption_protocol', asked.protocol ?? ''],
    ['encryption_cipher', asked.protocol === undefined ? '' : 'TLS_AES_256_GCM_SHA384'],
    ['encryption_keysize', asked.protocol === undefined ? 0 : (asked.bits ?? 256)],
    ['policy_context', asked.context ?? ''],
  ];
  return `${attributes.map(([name, value]) => `${name}=${value}\n`).join('')}\n`;
}

test(`the service answers on the wire what the decision says (SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  const workspace = await Workspace.of(t);
  const settings = randomSettings(random, paperWorld);
  const port = await freePort();
  const { domains, ...main } = settings;
  const config = await workspace.write(
    'tlswarden.toml',
    toToml({
      server: { listen: [`127.0.0.1:${port}`] },
      receipt: { exempt_clients: ['192.0.2.99'] },
      log: { level: 'warn' },
      ...main,
    }),
  );
  await workspace.write('domains.d/all.toml', toToml({ domains }));
  const service = spawn(process.execPath, [MAIN, '--config', config, 'serve'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  workspace.push({
    dispose: async () => {
      if (service.exitCode === null && service.kill('SIGKILL')) {
        await once(service, 'exit');
      }
    },
    abandon: () => service.kill('SIGKILL'),
  });
  const socket = await waitFor(
    () =>
      new Promise<ReturnType<typeof connect> | undefined>((resolve) => {
        const attempt = connect(port, '127.0.0.1');
        attempt.once('connect', () => resolve(attempt));
        attempt.once('error', () => resolve(undefined));
      }),
    'the service listens',
  );
  workspace.push({ dispose: () => void socket.destroy() });
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  const core = new Core(settings);
  for (let message = 1; message <= 200; message += 1) {
    core.now = Date.now();
    const common: Asked = {
      sender: random.percent(8) ? '' : randomAddress(random, paperWorld, settings, random.percent(50)),
      instance: core.instance(message),
      context: random.pick([undefined, undefined, 'receipt', 'delivery'] as const),
      ...(random.percent(20) ? { login: 'ann' } : {}),
      ...(random.percent(10) ? { exempt: true } : {}),
      ...(random.percent(50)
        ? { protocol: random.pick(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']), bits: random.pick([112, 128, 256]) }
        : {}),
    };
    const requests: Asked[] = Array.from({ length: random.integer(1, 5) }, () => ({
      ...common,
      recipient: randomAddress(random, paperWorld, settings, random.percent(75)),
    }));
    const count = random.integer(1, 4);
    const recipient = count === 1 ? (requests[0]?.recipient ?? '') : '';
    requests.push({ ...common, state: 'DATA', count, recipient });
    for (const asked of requests) {
      socket.write(wireRequest(asked));
      const action = await replies.next();
      const end = await replies.next();
      equal(`${action.value}\n${end.value}\n`, `action=${core.reply(asked)}\n\n`, JSON.stringify(asked));
    }
  }
});
