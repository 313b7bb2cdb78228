// Sends one message the way a server or a mail program does: the usual commands, in the usual order. For tests that care
// for the replies, not for the commands. Never tries a refused recipient again.

import { type ClientTls, type Reply, type Server, SmtpClient } from './smtp-client.ts';

/** A message, and how to send it. */
export interface Sending {
  /** '' is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** Found again in the message's `Message-ID: <id@client.test>`. */
  readonly id: string;
  readonly subject?: string;
  readonly body?: string;
  /** Absent: plaintext. `{}`: whatever version is agreed. */
  readonly tls?: ClientTls;
  /** Sent before all else: `{ ADDR: '192.0.2.1' }`. */
  readonly xclient?: Readonly<Record<string, string>>;
  readonly helo?: string;
  readonly smtputf8?: boolean;
  /** Sends the message by BDAT. */
  readonly bdat?: boolean;
}

/** What the server replied. */
export interface Sent {
  readonly mail: Reply;
  /** One for each recipient, in order. */
  readonly recipients: readonly Reply[];
  /** The reply to the message; absent if no recipient was accepted. */
  readonly data: Reply | undefined;
  /** TLS version and cipher of the session. */
  readonly tls: { readonly version: string; readonly cipher: string } | undefined;
}

/** Sends a message. Throws if the server takes no EHLO, XCLIENT or STARTTLS. */
export async function sendMessage(server: Server, sending: Sending): Promise<Sent> {
  const client = await SmtpClient.connect(server);
  try {
    if (client.greeting.code !== 220) {
      throw new Error(`refused: ${client.greeting.text}`);
    }
    expect(250, await client.ehlo(sending.helo));
    if (sending.xclient !== undefined) {
      expect(220, await client.xclient(sending.xclient));
      expect(250, await client.ehlo(sending.helo));
    }
    if (sending.tls !== undefined) {
      expect(220, await client.startTls(sending.tls));
      expect(250, await client.ehlo(sending.helo));
    }
    const tls = client.tls;
    const mail = await client.mailFrom(sending.from, ...(sending.smtputf8 === true ? ['SMTPUTF8'] : []));
    const recipients: Reply[] = [];
    for (const to of mail.code === 250 ? sending.to : []) {
      recipients.push(await client.rcptTo(to));
    }
    let data: Reply | undefined;
    if (recipients.some((reply) => reply.code === 250)) {
      const message = messageText(sending);
      data = sending.bdat === true ? await client.bdat(message) : await client.data(message);
    }
    await client.quit();
    return { mail, recipients, data, tls };
  } finally {
    client.close();
  }
}

/** The text of the message that {@link sendMessage} sends. */
export function messageText(sending: Sending): string {
  return [
    `From: <${sending.from === '' ? 'mailer-daemon@client.test' : sending.from}>`,
    `To: undisclosed-recipients:;`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Subject: ${sending.subject ?? sending.id}`,
    `Message-ID: <${sending.id}@client.test>`,
    '',
    sending.body ?? 'Test',
    '',
  ].join('\n');
}

function expect(code: number, reply: Reply): void {
  if (reply.code !== code) {
    throw new Error(`expected ${code}, got ${reply.text}`);
  }
}
