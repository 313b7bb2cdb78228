// A service that counts, and `tlswarden report` on what it counted: each a process of its own, with settings in a directory.

import { waitFor } from '../harness/wait-for.ts';
import { type Service, tlswarden } from '../redis/host.ts';
import { PolicyClient } from '../service/policy-client.ts';
import { recordedRequest } from '../service/recorded-request.ts';

/** One recipient at the service; absent: what the recorded request says, TLSv1.3 among it. */
export interface Asked {
  readonly sender?: string;
  readonly recipient: string;
  /** '' is plaintext. */
  readonly protocol?: string;
  readonly client?: string;
}

/** Asks a service about recipients, and gives the replies. */
export async function ask(service: Service, ...all: readonly Asked[]): Promise<readonly string[]> {
  const client = await PolicyClient.to(`127.0.0.1:${service.port}`);
  const replies: string[] = [];
  for (const { sender = 'ceo@partner.example', recipient, protocol = 'TLSv1.3', client: address } of all) {
    const request = recordedRequest({
      sender,
      recipient,
      instance: '',
      encryption_protocol: protocol,
      encryption_keysize: protocol === '' ? '0' : '256',
      ...(address === undefined ? {} : { client_address: address }),
    });
    replies.push(await client.ask(request));
  }
  client.socket.destroy();
  return replies;
}

/** What the rows of `report --json` say in short: `example.com partner.example 3 recipients, 2 plaintext, 1 would be refused`. */
export async function reported(config: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { status, stdout, stderr } = await tlswarden(config, ['--json', 'report', '--by', 'pair', ...args]);
  if (status !== 0) throw new Error(stderr);
  const { rows } = JSON.parse(stdout);
  const sum = (lacks: Record<string, number>): number => Object.values(lacks).reduce((all, n) => all + n, 0);
  return rows
    .map(
      (row: {
        domain: string;
        remote: string;
        recipients: number;
        sessions: Record<string, number>;
        refused: Record<string, number>;
        would_refuse: Record<string, number>;
      }) =>
        `${row.domain} ${row.remote}: ${row.recipients} recipients, ${row.sessions['plaintext']} plaintext, ` +
        `${sum(row.refused)} refused, ${sum(row.would_refuse)} would be refused`,
    )
    .sort();
}

/** Waits until the report says these rows, and no others. */
export async function untilReported(config: string, wanted: readonly string[]): Promise<void> {
  let seen: readonly string[] | string = [];
  await waitFor(
    async () => {
      seen = await reported(config).catch((error: Error) => error.message);
      return JSON.stringify(seen) === JSON.stringify(wanted);
    },
    () => `the report to say ${JSON.stringify(wanted)}; it says ${JSON.stringify(seen)}`,
  );
}
