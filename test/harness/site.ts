// A little world of mail: a gateway, the servers behind and around it, their names in the DNS, and an authority that
// vouches for them. Sends messages and finds out what became of each. Never decides what should have become of it.

import { Authority, type Certificate } from './certificates.ts';
import { Destination, type ReceivedMessage } from './destination.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import { NameServer } from './name-server.ts';
import type { Parameters } from './postfix-configuration.ts';
import { type Sending, type Sent, sendMessage } from './send-message.ts';
import type { Server } from './smtp-client.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

/** How to send as a user of the gateway's own, who may relay: a network that it trusts. */
export const trusted = { xclient: { ADDR: '192.0.2.25' } } as const;

/** How to send as a user who has logged in: a mail program. */
export const loggedIn = { xclient: { ADDR: '192.0.2.26', LOGIN: 'fred' } } as const;

/** A server and what it shows of itself. */
export interface ServerOptions {
  /** Names in its certificate; absent: its own. Empty: it has none and offers no STARTTLS. */
  readonly certificateNames?: readonly string[];
  /** Domains whose MX it is. */
  readonly mxOf?: readonly string[];
}

export interface SiteGatewayOptions extends GatewayOptions {
  /** Where the gateway's own transport_maps sends a domain's mail; to a domain without a server it goes by MX. */
  readonly domains: Readonly<Record<string, Destination | undefined>>;
}

/** A message as it was sent. */
export interface Outgoing extends Sent {
  readonly id: string;
  /** The reply to the first RCPT TO (or to MAIL FROM, if that was refused). */
  readonly reply: string;
  /** Postfix's name of the accepted message. */
  readonly queueId: string | undefined;
}

/** What became of an accepted message at one recipient. */
export interface Fate {
  readonly status: 'sent' | 'deferred' | 'bounced';
  /** Service in master.cf that tried: `smtp`, `tlswarden-encrypt`. */
  readonly transport: string;
  readonly dsn: string;
  readonly reason: string;
  /** Where it arrived, and by which TLS version. */
  readonly at?: string;
  readonly tls?: string;
}

export class Site {
  readonly authority: Authority;
  readonly names: NameServer;
  readonly destinations: Destination[] = [];
  readonly #workspace: Workspace;
  readonly #certificate: Certificate;
  #gateway: Gateway | undefined;
  #sent = 0;
  #doors = 0;

  private constructor(workspace: Workspace, authority: Authority, names: NameServer, certificate: Certificate) {
    this.#workspace = workspace;
    this.authority = authority;
    this.names = names;
    this.#certificate = certificate;
  }

  static async open(workspace: Workspace): Promise<Site> {
    const authority = await Authority.create(workspace);
    return new Site(workspace, authority, await NameServer.start(workspace), await authority.issue(['gateway.test']));
  }

  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('the gateway is not there yet');
    return this.#gateway;
  }

  /** A server that takes mail, by default over TLS with a certificate for its name. */
  async server(name: string, options: ServerOptions = {}): Promise<Destination> {
    const names = options.certificateNames ?? [name];
    const destination = await Destination.start(this.#workspace, {
      name,
      ...(names.length === 0 ? {} : { certificate: await this.authority.issue(names) }),
    });
    this.names.set(name, { a: [destination.address] });
    for (const domain of options.mxOf ?? []) this.names.set(domain, { mx: [`10 ${name}`] });
    this.destinations.push(destination);
    return destination;
  }

  /** Starts the gateway. What it could not deliver it tries again only when it is told to. */
  async start(options: SiteGatewayOptions): Promise<Gateway> {
    const { domains, parameters, ...rest } = options;
    this.#gateway = await Gateway.start(this.#workspace, {
      name: 'gateway',
      nameServer: this.names.address,
      certificate: this.#certificate,
      ...rest,
      parameters: { ...gatewayParameters(domains), smtp_tls_CAfile: this.authority.caFile, ...parameters },
    });
    return this.#gateway;
  }

  /** Opens another smtpd(8) of the gateway's, with parameters of its own: with none it asks no policy service. */
  async sideDoor(parameters: Parameters = {}): Promise<Server> {
    const { postfix } = this.gateway;
    const door: Server = { address: postfix.address, port: 2525 + this.#doors };
    this.#doors += 1;
    const all = { smtpd_recipient_restrictions: '', smtpd_data_restrictions: '', ...parameters };
    const options = Object.entries(all).map(([name, value]) => `  -o { ${name} = ${value} }`);
    await postfix.addServices(`${door.address}:${door.port} inet n - n - - smtpd`, ...options);
    await postfix.reload();
    return door;
  }

  /** What main.cf calls the table of recipients that require TLS on receipt: `lmdb:/…/receipt_access`. */
  async receiptTable(): Promise<string> {
    const restrictions = await this.gateway.postfix.postconf('-h', 'smtpd_recipient_restrictions');
    return restrictions.match(/check_recipient_access ([^,\s]+)/u)?.[1] ?? '';
  }

  /** Sends one message, as a stranger unless it says otherwise, to the front door unless it names another. */
  async send(
    sending: Omit<Sending, 'id' | 'to'> & { readonly to: string | readonly string[]; readonly door?: Server },
  ): Promise<Outgoing> {
    this.#sent += 1;
    const id = `message-${this.#sent}`;
    const to = typeof sending.to === 'string' ? [sending.to] : sending.to;
    const sent = await sendMessage(sending.door ?? this.gateway.postfix, { ...sending, to, id });
    const reply = (sent.recipients[0] ?? sent.mail).text;
    return { ...sent, id, reply, queueId: sent.data?.text.match(/queued as ([0-9A-Za-z]+)/)?.[1] };
  }

  /** Waits until Postfix has tried to deliver, and says what came of it: at the first recipient unless one is named. */
  async fate(sent: Outgoing, recipient?: string): Promise<Fate> {
    if (sent.queueId === undefined) throw new Error(`not accepted: ${sent.reply} ${sent.data?.text ?? ''}`);
    const to = recipient?.replace(/[.+*?^$(){}|[\]/\\]/gu, '\\$&') ?? '[^>]*';
    const [, transport = '', dsn = '', status = '', reason = ''] = await this.gateway.postfix.waitForLog(
      new RegExp(
        `postfix/([^[ ]+)\\[\\d+\\]: ${sent.queueId}: to=<${to}>.* dsn=([\\d.]+), status=(\\w+) \\((.*)\\)$`,
        'u',
      ),
    );
    const fate: Fate = {
      status: status as Fate['status'],
      transport: transport.replace(/\/smtp$/u, ''),
      dsn,
      reason: reason.replace(/ by host \S+$/u, '').replaceAll(/127\.\d+\.\d+\.\d+\[([\d.]+)\]/gu, '$1'),
    };
    if (status !== 'sent') return fate;
    const message = this.message(sent, recipient);
    return message === undefined
      ? fate
      : { ...fate, at: message.destination, tls: message.tls?.version ?? 'plaintext' };
  }

  /** The {@link Fate} in words: `TLSv1.3 at mx.bank.example by tlswarden-encrypt`, `deferred by smtp: connection refused`. */
  async outcome(sent: Outgoing, recipient?: string): Promise<string> {
    const { status, at, tls, transport, reason } = await this.fate(sent, recipient);
    return at === undefined ? `${status} by ${transport}: ${reason}` : `${tls} at ${at} by ${transport}`;
  }

  /** The message as it arrived: the first copy, or the one for a recipient. */
  message(sent: Outgoing, recipient?: string): ReceivedMessage | undefined {
    return this.destinations
      .flatMap(({ messages }) => messages)
      .find(({ id, to }) => id === sent.id && (recipient === undefined || to.includes(recipient)));
  }

  /** The recipients and messages that a FILTER has moved, as smtpd(8) logs it. */
  async filtered(): Promise<readonly string[]> {
    return (await this.gateway.postfix.logLines()).filter((line) => line.includes('triggers FILTER'));
  }

  /** Waits until nothing is in the queue but what has been deferred: whatever was to arrive has arrived. */
  async quiet(): Promise<void> {
    await waitFor(
      async () => (await this.gateway.postfix.queue()).every(({ queue_name }) => queue_name === 'deferred'),
      'nothing waits for its first delivery attempt',
    );
  }

  /** The ids of the messages that have arrived anywhere. */
  get arrived(): readonly (string | undefined)[] {
    return this.destinations.flatMap(({ messages }) => messages.map(({ id }) => id));
  }
}

function gatewayParameters(domains: SiteGatewayOptions['domains']): Parameters {
  const names = Object.keys(domains);
  const routes = Object.entries(domains).flatMap(([name, server]) =>
    server === undefined ? [] : [`{ ${name} = smtp:${server.nexthop} }`],
  );
  return {
    mynetworks: '192.0.2.0/24',
    recipient_delimiter: '+',
    relay_domains: names.join(', '),
    ...(routes.length === 0 ? {} : { transport_maps: `inline:{ ${routes.join(', ')} }` }),
    // Deferred mail stays where it is until the queue is flushed, and one failure says nothing of the next message.
    minimal_backoff_time: '1000s',
    maximal_backoff_time: '1000s',
    default_destination_concurrency_failed_cohort_limit: '0',
  };
}
