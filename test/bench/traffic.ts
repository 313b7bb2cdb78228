/**
 * A mail host's day for the fleet, as policy requests: no test, and its mix is a guess, but it is what it says. Of the
 * requests a half come by plaintext sessions, a tenth are refused and a tenth get FILTER; every domain of the fleet is
 * asked about as often as any other of its kind.
 */
import { Random } from '../oracle/prng.ts';
import { domainName, KINDS, type Kind } from './fleet.ts';

/** Answers by kind, of one round. */
export interface Answers {
  readonly dunno: number;
  readonly filter: number;
  readonly refused: number;
}

/** One message: its requests, which go over one connection one after the other. */
export type Message = readonly Buffer[];

interface Sort {
  readonly kind: Kind;
  /** Of the 110 messages of a deck, which are 200 requests: a refused message never comes to DATA. */
  readonly plaintext: number;
  readonly encrypted: number;
  readonly from: 'anyone' | 'bank' | 'itself';
  readonly fate: 'pass' | 'refused' | 'filter';
}

const DECK: readonly Sort[] = [
  { kind: 'receipt', plaintext: 10, encrypted: 0, from: 'anyone', fate: 'refused' },
  { kind: 'listed receipt', plaintext: 10, encrypted: 0, from: 'bank', fate: 'refused' },
  { kind: 'listed delivery', plaintext: 5, encrypted: 5, from: 'bank', fate: 'filter' },
  { kind: 'nothing', plaintext: 20, encrypted: 20, from: 'anyone', fate: 'pass' },
  { kind: 'receipt', plaintext: 0, encrypted: 8, from: 'anyone', fate: 'pass' },
  { kind: 'delivery', plaintext: 4, encrypted: 4, from: 'anyone', fate: 'pass' },
  { kind: 'listed receipt', plaintext: 3, encrypted: 5, from: 'anyone', fate: 'pass' },
  { kind: 'listed delivery', plaintext: 4, encrypted: 4, from: 'anyone', fate: 'pass' },
  { kind: 'outgoing', plaintext: 4, encrypted: 4, from: 'itself', fate: 'pass' },
];

const CARDS: readonly { readonly sort: Sort; readonly isPlaintext: boolean }[] = DECK.flatMap((sort) => [
  ...new Array(sort.plaintext).fill({ sort, isPlaintext: true }),
  ...new Array(sort.encrypted).fill({ sort, isPlaintext: false }),
]);

const TLS = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', bits: 256 } as const;

export class Traffic {
  readonly #domains: number;
  readonly #random = new Random(1);
  readonly #next = new Map<Kind, number>();
  #messages = 0;

  /** For a fleet of so many domains, at least ten. */
  constructor(domains: number) {
    this.#domains = domains;
  }

  /** So many decks of messages. No message is ever given twice. */
  decks(count: number): readonly Message[] {
    const seconds = Math.floor(Date.now() / 1000);
    return Array.from({ length: count }, () => this.#random.shuffled(CARDS))
      .flat()
      .map(({ sort, isPlaintext }) => this.#message(sort, isPlaintext, seconds));
  }

  #message({ kind, from, fate }: Sort, isPlaintext: boolean, seconds: number): Message {
    const n = this.#messages++;
    const domain = domainName(this.#domainOf(kind));
    const sender = {
      anyone: `someone@sender${n % 1000}.example`,
      bank: 'desk@bank.example',
      itself: `sales@${domain}`,
    }[from];
    const envelope = {
      sender,
      recipient: from === 'itself' ? `info@partner${n % 1000}.example` : `info@${domain}`,
      // Postfix's pid.seconds.microseconds.sequence, in hexadecimal.
      instance: `${(n % 512).toString(16)}.${seconds.toString(16)}.${(n % 999_983).toString(16)}.${n.toString(16)}`,
      isPlaintext,
    };
    const recipient = request({ ...envelope, state: 'RCPT', recipients: 0 });
    return fate === 'refused' ? [recipient] : [recipient, request({ ...envelope, state: 'DATA', recipients: 1 })];
  }

  /** All domains of a kind in turn, neighbours in the files far apart. */
  #domainOf(kind: Kind): number {
    const kinds = KINDS.flatMap((each, i) => (each === kind ? [i] : []));
    const n = this.#next.get(kind) ?? 0;
    this.#next.set(kind, n + 1);
    const tens = Math.floor(this.#domains / KINDS.length);
    return ((n * 7919) % tens) * KINDS.length + (kinds[Math.floor(n / tens) % kinds.length] ?? 0);
  }
}

/** So many decks are to be answered so: a mix that is not what it says makes every number beside it worthless. */
export function assertAnswers(whose: string, answers: Answers, decks: number): void {
  const [seen, wanted] = [JSON.stringify(answers), JSON.stringify(answersOf(decks))];
  if (seen !== wanted) throw new Error(`${whose} answered ${seen}, and not ${wanted}`);
}

/** What so many decks are answered. */
function answersOf(decks: number): Answers {
  const sum = (fate: Sort['fate']): number =>
    DECK.filter((sort) => sort.fate === fate).reduce((all, sort) => all + sort.plaintext + sort.encrypted, 0);
  return { dunno: 2 * decks * sum('pass'), filter: 2 * decks * sum('filter'), refused: decks * sum('refused') };
}

/** One request as Postfix 3.7 sends it, with every attribute that it has. */
function request(fields: {
  readonly state: 'RCPT' | 'DATA';
  readonly sender: string;
  readonly recipient: string;
  readonly recipients: number;
  readonly instance: string;
  readonly isPlaintext: boolean;
}): Buffer {
  const { protocol, cipher, bits } = fields.isPlaintext ? { protocol: '', cipher: '', bits: 0 } : TLS;
  return Buffer.from(
    `request=smtpd_access_policy
protocol_state=${fields.state}
protocol_name=ESMTP
client_address=192.0.2.10
client_name=mail.sender.example
client_port=45632
reverse_client_name=mail.sender.example
server_address=192.0.2.25
server_port=25
helo_name=mail.sender.example
sender=${fields.sender}
recipient=${fields.recipient}
recipient_count=${fields.recipients}
queue_id=
instance=${fields.instance}
size=10240
etrn_domain=
stress=
sasl_method=
sasl_username=
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=${protocol}
encryption_cipher=${cipher}
encryption_keysize=${bits}
policy_context=
compatibility_level=3.6
mail_version=3.7.11

`,
  );
}
