/**
 * The explanation of one sender and recipient as data: requirements with the lines that make them, routes, replies. All
 * of it comes from the decision; here it is only asked, and traced back to the text of the settings.
 */
import type { Address } from '../address/address.ts';
import { splitList } from '../address/pattern.ts';
import { type DecisionContext, decide } from '../decision/decide.ts';
import { filterReason, NO_TABLES, ownLane, type TablesInForce, wantedRoute } from '../decision/delivery.ts';
import { Lanes } from '../decision/lanes.ts';
import { findParties, type Parties, requirement } from '../decision/parties.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { compileExemptClients } from '../settings/exempt-clients.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { People, tableHolds } from '../settings/people.ts';
import { FLOWS, type Flow, type Hop, listName, type Setting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import type { TablesReading, TablesState } from './read-tables.ts';
import { type RecordOf, SettingText } from './setting-text.ts';

/** The TLS of a client's session: `TLSv1.3`, 256. */
export interface Session {
  /** As Postfix names it: `TLSv1.3`. */
  readonly protocol: string;
  /** Of the cipher's key: encryption_keysize. */
  readonly bits: number;
}

/** What is asked, and what it is answered by. Addresses as a client gives them; '' is the null sender. */
export interface Question {
  readonly main: MainFile;
  readonly settings: Settings;
  readonly recordOf: RecordOf;
  readonly tables: TablesReading;
  readonly sender: string;
  readonly recipient: string;
  /** undefined: what one that uses TLS as well as can be would get. */
  readonly session: Session | undefined;
  /** '' is a client that is not exempt. */
  readonly clientAddress: string;
  /** A session with sasl_username. */
  readonly authenticated: boolean;
}

/** A place in the settings. */
export interface Line {
  /** With settings in Redis, its URL without credentials; it has no lines. */
  readonly file: string;
  /** From 1; null where it is not found. */
  readonly line: number | null;
}

/** One requirement with the lines that make it. The JSON of `explain`; key names are those of the settings. */
export interface RequirementExplained extends Line {
  readonly flow: Flow;
  readonly hop: Hop;
  /** The hosted domain whose setting it is. */
  readonly domain: string;
  /** Whether it stands in [defaults]. */
  readonly is_default: boolean;
  readonly require_tls: 'always' | 'specific';
  /** null with `always`. */
  readonly when: 'either' | 'both' | null;
  /** The list entries that mean this sender or recipient; with `both`, an empty list means everyone. */
  readonly entries: readonly (Line & { readonly list: 'senders' | 'recipients'; readonly entry: string | null })[];
  readonly enforcement: 'enforce' | 'monitor';
  /** In the words of the hop: reject, defer; defer, bounce. */
  readonly on_failure: string;
  /** What TLS has to be. */
  readonly asks: Readonly<Record<string, unknown>>;
  /** Whether tables, once written, hold this by themselves. */
  readonly in_tables: boolean;
}

/** What one session gets at RCPT, as the first recipient of a message; `session` is null for plaintext. */
export interface Reply {
  readonly session: Session | null;
  /** What Postfix answers by table receipt_access, so that it does not ask the service. */
  readonly before: string | null;
  /** Of the service. */
  readonly kind: string;
  /** The action that it answers, whole. */
  readonly reply: string;
  /** What it is instead while the tables are settling, if they hold something new of the domain; null: the same. */
  readonly while_settling: { readonly kind: string; readonly reply: string } | null;
}

/** All that there is to say of one sender and recipient; `tlswarden --json explain` prints it as it is. */
export interface Explanation {
  readonly sender: PartyExplained;
  readonly recipient: PartyExplained;
  /**
   * Whom the same mail is for should Postfix have the mailboxes of the recipient's domain itself ({@link Parties.otherwise}):
   * what is asked of either holds, and all below is of both; null: nobody else.
   */
  readonly otherwise: ReadingExplained | null;
  /** Whether the client is not asked for TLS on receipt. */
  readonly exempt: boolean;
  readonly receipt: readonly RequirementExplained[];
  readonly delivery: readonly RequirementExplained[];
  /**
   * All that delivery asks for together: transport and next hop; null: nothing. Where the tables in force see to either recipient
   * by itself, that of the one as it was asked for.
   */
  readonly route: RouteExplained | null;
  /**
   * By what they hold of the domain that they go by: the recipient's, or, if that is not hosted here, the sender's; of two
   * recipients' the one that they hold less of.
   */
  readonly tables: TablesState;
  /** Since when tables are in force that some part of Postfix may not use yet, and until when; null: all of it uses them. */
  readonly settling: { readonly written_at: string; readonly until: string } | null;
  /** Without TLS, then with: as asked, or as well as can be. */
  readonly replies: readonly Reply[];
}

/** Where the mail goes, and who sees to it; `nexthop` '' is by MX. */
export interface RouteExplained {
  /** `tlswarden-encrypt`, also where tls_policy has the same done by another transport. */
  readonly transport: string;
  readonly nexthop: string;
  /** By the tables in force, or by the service. */
  readonly by: 'tables' | 'filter';
  /** Whether tables, once written, give all of it. */
  readonly in_tables: boolean;
}

/** One side of the mail. `address` as it was asked for, '' being the null sender. */
export interface PartyExplained {
  readonly address: string;
  /** The hosted domain, or null. */
  readonly domain: string | null;
  readonly is_alias: boolean;
}

/** The recipient read otherwise; `route` is its own where the tables in force see to either by itself, else null. */
export interface ReadingExplained extends PartyExplained {
  readonly route: RouteExplained | null;
}

/** What reject_plaintext_session says. */
const PLAINTEXT_REJECT = '550 5.7.1 Session encryption is required';
const BEST: Session = { protocol: 'TLSv1.3', bits: 256 };

/**
 * Reads the settings' texts for lines, and the time from nobody: `question.tables` says what is in force. Rejects as
 * {@link Question.recordOf} does.
 */
export async function explain(question: Question): Promise<Explanation> {
  const { main, settings, sender, recipient } = question;
  const { inForce: tables, settling } = question.tables;
  const parties = findParties(settings, sender, recipient, main.addresses);
  const { otherwise } = parties;
  const readings = otherwise === undefined ? [parties] : [{ ...parties, otherwise: undefined }, otherwise];
  const states = readings.map((one) => stateFor(question.tables, one.recipientDomain ?? one.senderDomain));
  const text = new SettingText(main, question.recordOf);
  const isExempt = compileExemptClients(main.receipt.exemptClients);
  const exempt = isExempt(question.clientAddress);
  const receipt = await requirementsOf(text, readings, 'receipt');
  // Which of them Postfix looks up is not known here.
  const isRefusedByTable = !exempt && receipt.every((own, i) => states[i] === 'current' && own.some(isHeldByTable));
  const isEither = ownLane(settings, parties, tables) === undefined;
  const routeOf = (one: Parties): RouteExplained | null => explainRoute(settings, one, tables);
  const context = { settings, generation: 1, addresses: main.addresses, lanes: new Lanes(0), isExempt };
  return {
    sender: party(sender, parties.sender, parties.senderDomain),
    recipient: party(recipient, parties.recipient, parties.recipientDomain),
    otherwise:
      otherwise === undefined
        ? null
        : {
            ...party(otherwise.recipient.whole, otherwise.recipient, otherwise.recipientDomain),
            route: isEither ? routeOf(otherwise) : null,
          },
    exempt,
    receipt: together(receipt),
    delivery: together(await requirementsOf(text, readings, 'delivery')),
    route: routeOf(isEither ? (readings[0] ?? parties) : parties),
    tables: states.find((state) => state !== 'current') ?? 'current',
    settling:
      settling === undefined
        ? null
        : { written_at: new Date(settling.writtenAt).toISOString(), until: new Date(settling.until).toISOString() },
    replies: [null, question.session ?? BEST].map((session) => {
      const now = reply(question, session, { ...context, tables });
      const other = settling === undefined ? now : reply(question, session, { ...context, tables: NO_TABLES });
      return {
        session,
        before: session === null && isRefusedByTable ? PLAINTEXT_REJECT : null,
        ...now,
        while_settling: other.reply === now.reply ? null : other,
      };
    }),
  };
}

const isHeldByTable = ({ in_tables: inTables }: RequirementExplained): boolean => inTables;

/** What is asked of each reading by itself. */
async function requirementsOf(
  text: SettingText,
  readings: readonly Parties[],
  hop: Hop,
): Promise<readonly (readonly RequirementExplained[])[]> {
  const all: RequirementExplained[][] = [];
  for (const parties of readings) {
    const found: RequirementExplained[] = [];
    for (const flow of FLOWS) {
      const setting = requirement(parties, flow, hop);
      const domain = flow === 'incoming' ? parties.recipientDomain : parties.senderDomain;
      if (setting !== undefined && domain !== undefined) found.push(await trace(text, parties, domain, flow, setting));
    }
    all.push(found);
  }
  return all;
}

/** Each setting once, with all its entries that mean one of the readings; tables hold what they hold of each of these. */
function together(readings: readonly (readonly RequirementExplained[])[]): readonly RequirementExplained[] {
  const found = new Map<string, RequirementExplained>();
  for (const one of FLOWS.flatMap((flow) => readings.flat().filter((asked) => asked.flow === flow))) {
    const key = `${one.flow} ${one.domain}`;
    const before = found.get(key);
    if (before === undefined) found.set(key, one);
    else {
      const isNew = ({ list, entry }: RequirementExplained['entries'][number]): boolean =>
        before.entries.every((other) => other.list !== list || other.entry !== entry);
      const entries = [...before.entries, ...one.entries.filter(isNew)];
      found.set(key, { ...before, entries, in_tables: before.in_tables && one.in_tables });
    }
  }
  return [...found.values()];
}

function explainRoute(settings: Settings, parties: Parties, tables: TablesInForce): RouteExplained | null {
  const wanted = wantedRoute(settings, parties, tables);
  if (wanted === undefined) return null;
  const isGiven = ownLane(settings, parties, tables) === undefined;
  return {
    transport: wanted.text.slice(0, wanted.text.indexOf(':')),
    nexthop: wanted.nexthop,
    by: isGiven ? 'tables' : 'filter',
    in_tables: isGiven || filterReason(settings, parties, NO_TABLES) !== 'dynamic',
  };
}

/** Tables that hold other settings may hold the same of this domain. */
function stateFor({ state, inForce }: TablesReading, domain: HostedDomain | undefined): TablesState {
  if (domain === undefined || state === 'none' || state === 'absent') return state;
  return inForce.holds(domain) ? 'current' : 'outdated';
}

function party(given: string, address: Address, domain: HostedDomain | undefined): PartyExplained {
  const name = domain?.name ?? null;
  return { address: given, domain: name, is_alias: name !== null && name !== address.domain };
}

/** What a first recipient would be told: the service without a memory of other recipients. */
function reply(question: Question, session: Session | null, context: DecisionContext): Pick<Reply, 'kind' | 'reply'> {
  const { kind, reply } = decide(
    context,
    {
      protocolState: 'RCPT',
      sender: question.sender,
      recipient: question.recipient,
      recipientCount: 0,
      clientAddress: question.clientAddress,
      encryptionProtocol: session?.protocol ?? '',
      encryptionKeysize: session?.bits ?? 0,
      authenticated: question.authenticated,
      instance: '',
      policyContext: 'both',
    },
    0,
  );
  return { kind, reply };
}

async function trace(
  text: SettingText,
  parties: Parties,
  domain: HostedDomain,
  flow: Flow,
  setting: Setting,
): Promise<RequirementExplained> {
  const { condition } = setting;
  const own = flow === 'incoming' ? parties.recipient : parties.sender;
  const far = flow === 'incoming' ? parties.sender : parties.recipient;
  const written = await text.find(domain, flow, setting);
  const entries: RequirementExplained['entries'][number][] = [];
  if (condition.kind !== 'always') {
    for (const [side, address] of [
      ['own', own],
      ['far', far],
    ] as const) {
      const listed = condition[side].match(address);
      if (listed === undefined) continue;
      const list = listName(flow, side);
      const names = written.isDefault ? undefined : [domain.name, ...domain.aliases];
      const given = written.table[list];
      const all = typeof given === 'string' ? splitList(given) : Array.isArray(given) ? given.map(String) : [];
      // The first entry that would list the address if it stood alone; what has changed since is told as it was read.
      const entry =
        all.find((one) => People.compile([one], side, names, () => {}).match(address) !== undefined) ??
        (condition.kind === 'both' && condition[side].everyone ? null : listed);
      entries.push({ list, entry, ...written.lineOf(list, entry) });
    }
  }
  return {
    flow,
    hop: setting.hop,
    domain: domain.name,
    is_default: written.isDefault,
    ...written.lineOf('require_tls', null),
    require_tls: condition.kind === 'always' ? 'always' : 'specific',
    when: condition.kind === 'always' ? null : condition.kind,
    entries,
    enforcement: setting.enforcement,
    on_failure: setting.onFailure,
    asks: asksOf(setting),
    in_tables: isInTables(setting, flow, parties, own),
  };
}

function isInTables(setting: Setting, flow: Flow, parties: Parties, own: Address): boolean {
  // sender_transport is not asked for recipients that are hosted here (contract section 7).
  if (flow === 'outgoing' && parties.recipientDomain !== undefined) return false;
  return tableHolds(setting.tableIndex, own);
}

/** In the words of the settings. */
function asksOf(setting: Setting): Readonly<Record<string, unknown>> {
  if (setting.hop === 'receipt') return { min_protocol: setting.minProtocol, min_cipher_bits: setting.minCipherBits };
  const { level, minProtocol, ciphers, certificateNames, fingerprints } = setting;
  return {
    level,
    protocols: `>=${minProtocol}`,
    ciphers,
    ...(certificateNames.length > 0 ? { certificate_names: certificateNames } : {}),
    ...(fingerprints.length > 0 ? { fingerprints } : {}),
  };
}
