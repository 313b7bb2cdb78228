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
  /** As the delivery was addressed, aliases already followed. */
  readonly recipient: string;
  /** undefined: plaintext. */
  readonly tls: { readonly protocol: string; readonly trust: Trust } | undefined;
  /** By one of our transports, which send nothing that lacks what was required. */
  readonly isOurs: boolean;
}

/** Messages and processes that are remembered at once; a log that never says that they end must not fill memory. */
const MAX_REMEMBERED = 200_000;

/** Where a line of one of Postfix's daemons begins: `postfix/smtpd[10]: `, or by another syslog_name. */
const HEAD = /\/([a-z-]+)\[(\d+)\]: /u;
const TLS_LINE =
  /^(?:[0-9A-Za-z]+: )?(Anonymous|Untrusted|Trusted|Verified) TLS connection (?:established|reused) to (\S+): (\S+) with cipher /u;
const DELIVERY_LINE = /^([0-9A-Za-z]+): to=<(.*?)>, (?:orig_to=<.*?>, )?relay=([^,]+), .*? status=([a-z]+)/u;
const FROM_LINE = /^([0-9A-Za-z]+): from=<(.*?)>, size=/u;
const REMOVED_LINE = /^([0-9A-Za-z]+): removed$/u;

/** What one process of smtp(8) is at: connections, and then the message that it delivers by them. */
interface Client {
  queueId: string | undefined;
  readonly sessions: Map<string, NonNullable<LoggedDelivery['tls']>>;
}

/** Reads one log from its beginning to its end; it remembers which message and connection a line is about. */
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
    const head = HEAD.exec(line);
    // What is like a head behind another program's words, or in a server's reply, is not Postfix's.
    if (head === null || line.slice(0, head.index).includes(': ')) return undefined;
    this.#isOfPostfix = true;
    const [{ length }, daemon, pid = ''] = head;
    const text = line.slice(head.index + length);
    if (daemon === 'qmgr') this.#readManager(text);
    if (daemon !== 'smtp') return undefined;
    const delivery = this.#readClient(pid, text, line.slice(0, head.index).includes('/tlswarden-'));
    if (delivery === undefined) return undefined;
    this.#last = momentOf(line);
    this.#first ||= this.#last;
    return delivery;
  }

  #readManager(text: string): void {
    const [, queueId, sender] = FROM_LINE.exec(text) ?? [];
    if (queueId !== undefined && sender !== undefined) remember(this.#senders, queueId, sender);
    const [, removed] = REMOVED_LINE.exec(text) ?? [];
    if (removed !== undefined) this.#senders.delete(removed);
  }

  #readClient(pid: string, text: string, isOurs: boolean): LoggedDelivery | undefined {
    const [, trust, relay = '', protocol = ''] = TLS_LINE.exec(text) ?? [];
    if (trust !== undefined) {
      this.#hasTls = true;
      this.#client(pid, undefined).sessions.set(relay, { protocol, trust: trust as Trust });
      return undefined;
    }
    const [, queueId, recipient = '', server = '', status] = DELIVERY_LINE.exec(text) ?? [];
    if (queueId === undefined) return undefined;
    const client = this.#client(pid, queueId);
    if (status !== 'sent' || isHere(server)) return undefined;
    return { sender: this.#senders.get(queueId), recipient, tls: client.sessions.get(server), isOurs };
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
