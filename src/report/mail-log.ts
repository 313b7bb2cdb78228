/**
 * Deliveries as Postfix logs them: who sent to whom, and which TLS the next server had. It reads the lines of smtp(8) and
 * qmgr(8) in their order, and of a line only what Postfix itself wrote there. Pure; it judges nothing.
 */

/** How far Postfix trusted the server's certificate (TLS_README): by whatever its policy had it look for. */
export type Trust = 'Anonymous' | 'Untrusted' | 'Trusted' | 'Verified';

/** One recipient to whom mail was sent by SMTP. */
export interface LoggedDelivery {
  /** undefined: the log begins after its message came. */
  readonly sender: string | undefined;
  readonly recipient: string;
  /** undefined: plaintext. */
  readonly tls: { readonly protocol: string; readonly trust: Trust } | undefined;
  /** By one of our transports, which send nothing that lacks what was required. */
  readonly isOurs: boolean;
}

/** Messages and processes that are remembered at once; a log that never says that they end must not fill memory. */
const MAX_REMEMBERED = 200_000;

const TLS_LINE =
  /\/smtp\[(\d+)\]: (?:[0-9A-Za-z]+: )?(Anonymous|Untrusted|Trusted|Verified) TLS connection (?:established|reused) to (\S+): (\S+) with cipher /u;
const DELIVERY_LINE =
  /\/smtp\[(\d+)\]: ([0-9A-Za-z]+): to=<(.*?)>, (?:orig_to=<.*?>, )?relay=([^,]+), .*? status=([a-z]+)/u;
const FROM_LINE = /\/qmgr\[\d+\]: ([0-9A-Za-z]+): from=<(.*?)>, size=/u;
const REMOVED_LINE = /\/qmgr\[\d+\]: ([0-9A-Za-z]+): removed$/u;

/** A line of any daemon of Postfix's: `postfix/smtpd[10]: `, or by another syslog_name. */
const ANY_LINE = /\/[a-z-]+\[\d+\]: /u;

/** What one process of smtp(8) is at: connections, and then the message that it delivers by them. */
interface Client {
  queueId: string | undefined;
  readonly sessions: Map<string, NonNullable<LoggedDelivery['tls']>>;
}

export class MailLog {
  readonly #senders = new Map<string, string>();
  readonly #clients = new Map<string, Client>();
  #first = '';
  #last = '';
  #hasTls = false;
  #isOfPostfix = false;

  /** The moments of the first and the last delivery, as they stand there. */
  get period(): readonly [string, string] {
    return [this.#first, this.#last];
  }

  /** Whether any connection over TLS was logged; with smtp_tls_loglevel = 0 none is. */
  get hasTls(): boolean {
    return this.#hasTls;
  }

  /** Whether any line is Postfix's. */
  get isOfPostfix(): boolean {
    return this.#isOfPostfix;
  }

  /** Reads the next line; gives the delivery that it tells of. */
  read(line: string): LoggedDelivery | undefined {
    this.#isOfPostfix ||= ANY_LINE.test(line);
    if (line.includes('/qmgr[')) {
      this.#readManager(line);
      return undefined;
    }
    return line.includes('/smtp[') ? this.#readClient(line) : undefined;
  }

  #readManager(line: string): void {
    const [, queueId, sender] = FROM_LINE.exec(line) ?? [];
    if (queueId !== undefined && sender !== undefined) remember(this.#senders, queueId, sender);
    const [, removed] = REMOVED_LINE.exec(line) ?? [];
    if (removed !== undefined) this.#senders.delete(removed);
  }

  #readClient(line: string): LoggedDelivery | undefined {
    const [, at = '', trust, relay = '', protocol = ''] = TLS_LINE.exec(line) ?? [];
    if (trust !== undefined) {
      this.#hasTls = true;
      this.#client(at, undefined).sessions.set(relay, { protocol, trust: trust as Trust });
      return undefined;
    }
    const [, pid, queueId = '', recipient = '', server = '', status] = DELIVERY_LINE.exec(line) ?? [];
    if (pid === undefined) return undefined;
    const client = this.#client(pid, queueId);
    if (status !== 'sent' || isHere(server)) return undefined;
    this.#last = momentOf(line);
    this.#first ||= this.#last;
    const tls = client.sessions.get(server);
    return { sender: this.#senders.get(queueId), recipient, tls, isOurs: line.includes('/tlswarden-') };
  }

  /** A connection is for the message that comes next: what a process did for the one before says nothing of this one. */
  #client(pid: string, queueId: string | undefined): Client {
    const known = this.#clients.get(pid);
    if (known !== undefined && (known.queueId === undefined || known.queueId === queueId)) {
      known.queueId = queueId;
      return known;
    }
    const client: Client = { queueId, sessions: new Map() };
    remember(this.#clients, pid, client);
    return client;
  }
}

/** A content filter on this host, from which the message comes back. */
const isHere = (server: string): boolean => /^(?:localhost|127\.0\.0\.1|::1)\[/u.test(server);

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_REMEMBERED) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

/** `Mar  1 09:12:33`, or ISO 8601 up to the first space. */
function momentOf(line: string): string {
  return /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d/u.exec(line)?.[0] ?? line.slice(0, line.indexOf(' '));
}
