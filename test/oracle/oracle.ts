// The rules, said slowly and obviously: what tlswarden must do with a message, from the settings as they stand in the
// files. Written from the contract alone, to be read and found right. Never imports anything of the product, compiles
// nothing, remembers nothing that could be looked up again, and is in no hurry.

import { domainToASCII } from 'node:url';

// ---------------------------------------------------------------------------------------------------------------------
// Settings as they stand in TOML

export type Level = 'encrypt' | 'fingerprint' | 'dane-only' | 'verify' | 'secure';
export type Version = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
export type Ciphers = 'medium' | 'high';

interface RawSetting {
  readonly require_tls?: 'never' | 'always' | 'specific';
  readonly senders?: string | readonly string[];
  readonly recipients?: string | readonly string[];
  readonly when?: 'either' | 'both';
  readonly enforcement?: 'enforce' | 'monitor';
}

export interface RawReceipt extends RawSetting {
  readonly min_protocol?: Version;
  readonly min_cipher_bits?: number;
  readonly on_failure?: 'reject' | 'defer';
}

export interface RawDelivery extends RawSetting {
  readonly level?: Level;
  readonly certificate_names?: readonly string[];
  readonly fingerprints?: readonly string[];
  /** `>=TLSv1.2` */
  readonly protocols?: string;
  readonly ciphers?: Ciphers;
  readonly on_failure?: 'defer' | 'bounce';
}

export interface RawFlow {
  readonly receipt?: RawReceipt;
  readonly delivery?: RawDelivery;
}

export interface RawFlows {
  readonly incoming?: RawFlow;
  readonly outgoing?: RawFlow;
}

export interface RawDomain extends RawFlows {
  readonly aliases?: readonly string[];
  readonly nexthop?: string;
}

/** What the main file says as far as decisions depend on it, and all domains. */
export interface RawSettings {
  readonly defaults?: RawFlows;
  readonly addresses?: { readonly recipient_delimiter?: string; readonly myorigin?: string };
  readonly postfix?: { readonly relayhost?: string };
  readonly domains: Readonly<Record<string, RawDomain>>;
}

export type FlowName = 'incoming' | 'outgoing';

// ---------------------------------------------------------------------------------------------------------------------
// Addresses

/** A domain as it is compared: without case, as A-labels, one trailing dot dropped. */
export function normalDomain(text: string): string {
  const withoutDot = text.endsWith('.') ? text.slice(0, -1) : text;
  const lower = withoutDot.toLowerCase();
  return /^[ -~]*$/.test(lower) ? lower : domainToASCII(lower) || lower;
}

/** An address as it is compared. The null sender is `null`; an address without any domain has the domain ''. */
export type Address = {
  readonly local: string;
  readonly domain: string;
  /** It was written as `user%domain@elsewhere`, under which no table of senders has it. */
  readonly routed?: true;
} | null;

/** An address as a client may send it, normalised; what has no @ is what Postfix makes of it. */
export function normalAddress(settings: RawSettings, text: string): Address {
  if (text === '') {
    return null;
  }
  const at = text.lastIndexOf('@');
  if (at >= 0) {
    const local = text.slice(0, at).toLowerCase();
    const domain = normalDomain(text.slice(at + 1));
    const percent = local.lastIndexOf('%');
    if (percent >= 0 && hostedDomain(settings, domain) === undefined) {
      const routed = normalDomain(local.slice(percent + 1));
      if (hostedDomain(settings, routed) !== undefined) {
        return { local: local.slice(0, percent), domain: routed, routed: true };
      }
    }
    return { local, domain };
  }
  const bang = text.indexOf('!');
  if (bang >= 0) {
    return { local: text.slice(bang + 1).toLowerCase(), domain: normalDomain(text.slice(0, bang)) };
  }
  const percent = text.lastIndexOf('%');
  if (percent >= 0) {
    return { local: text.slice(0, percent).toLowerCase(), domain: normalDomain(text.slice(percent + 1)) };
  }
  return { local: text.toLowerCase(), domain: normalDomain(settings.addresses?.myorigin ?? '') };
}

/** The local parts under which an address may stand in a list: as it is, and without its extension. */
function localParts(settings: RawSettings, local: string): readonly string[] {
  const delimiters = settings.addresses?.recipient_delimiter ?? '+';
  for (let at = 1; at < local.length; at += 1) {
    if (delimiters.includes(local.charAt(at))) {
      return [local, local.slice(0, at)];
    }
  }
  return [local];
}

// ---------------------------------------------------------------------------------------------------------------------
// Domains and lists

/** A domain's settings with all its names, normalised. */
export interface Hosted {
  /** As it stands in the settings. */
  readonly key: string;
  readonly names: readonly string[];
  readonly raw: RawDomain;
}

/** The domain with settings that has this name, or of which this name is an alias. */
export function hostedDomain(settings: RawSettings, name: string): Hosted | undefined {
  for (const [key, raw] of Object.entries(settings.domains)) {
    const names = [key, ...(raw.aliases ?? [])].map(normalDomain);
    if (names.includes(name)) {
      return { key, names, raw };
    }
  }
  return undefined;
}

function receiptSetting(settings: RawSettings, domain: Hosted, flow: FlowName): RawReceipt {
  return domain.raw[flow]?.receipt ?? settings.defaults?.[flow]?.receipt ?? {};
}

function deliverySetting(settings: RawSettings, domain: Hosted, flow: FlowName): RawDelivery {
  return domain.raw[flow]?.delivery ?? settings.defaults?.[flow]?.delivery ?? {};
}

function entries(list: string | readonly string[] | undefined): readonly string[] {
  const all = list === undefined ? [] : typeof list === 'string' ? list.split(/[\s,]+/) : list;
  return all.map((entry) => entry.trim()).filter((entry) => entry !== '');
}

/** Whether one entry of a list means an address. `own` is the domain whose own side the list is; absent: the far side. */
function entryMeans(settings: RawSettings, entry: string, own: Hosted | undefined, address: Address): boolean {
  if (entry === '*') {
    return true;
  }
  if (entry === '<>') {
    return address === null;
  }
  if (address === null) {
    return false;
  }
  if (entry.startsWith('*@*.')) {
    return address.domain.endsWith(`.${normalDomain(entry.slice(4))}`);
  }
  if (entry.startsWith('*@')) {
    return address.domain === normalDomain(entry.slice(2));
  }
  if (entry.startsWith('@')) {
    return address.domain === normalDomain(entry.slice(1));
  }
  const at = entry.lastIndexOf('@');
  if (at < 0 && own === undefined) {
    return address.domain === normalDomain(entry);
  }
  const local = (at < 0 ? entry : entry.slice(0, at)).toLowerCase();
  if (!localParts(settings, address.local).includes(local)) {
    return false;
  }
  // An own-side local part or address holds for the domain and all its aliases.
  return own === undefined ? address.domain === normalDomain(entry.slice(at + 1)) : own.names.includes(address.domain);
}

/** Whether a setting of a domain asks for TLS, for this sender and this recipient. */
function asks(
  settings: RawSettings,
  setting: RawSetting,
  flow: FlowName,
  domain: Hosted,
  sender: Address,
  recipient: Address,
): boolean {
  switch (setting.require_tls ?? 'never') {
    case 'never':
      return false;
    case 'always':
      return true;
    case 'specific': {
      const senders = entries(setting.senders);
      const recipients = entries(setting.recipients);
      const ownSenders = flow === 'outgoing' ? domain : undefined;
      const ownRecipients = flow === 'incoming' ? domain : undefined;
      const senderListed = senders.some((entry) => entryMeans(settings, entry, ownSenders, sender));
      const recipientListed = recipients.some((entry) => entryMeans(settings, entry, ownRecipients, recipient));
      return setting.when === 'both'
        ? (senders.length === 0 || senderListed) && (recipients.length === 0 || recipientListed)
        : senderListed || recipientListed;
    }
  }
}

/** Whether a setting asks for TLS for an address of its own domain, whoever is on the far side. */
function asksWhoever(
  settings: RawSettings,
  setting: RawSetting,
  flow: FlowName,
  domain: Hosted,
  address: Address,
): boolean {
  switch (setting.require_tls ?? 'never') {
    case 'never':
      return false;
    case 'always':
      return true;
    case 'specific': {
      const own = entries(flow === 'incoming' ? setting.recipients : setting.senders);
      const far = entries(flow === 'incoming' ? setting.senders : setting.recipients);
      const ownListed = own.some((entry) => entryMeans(settings, entry, domain, address));
      const farEveryone = far.includes('*');
      return setting.when === 'both'
        ? (own.length === 0 || ownListed) && (far.length === 0 || farEveryone)
        : ownListed || farEveryone;
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Receipt

/** The session that a message comes by. */
export interface Session {
  /** Absent: plaintext. */
  readonly tls?: { readonly protocol: Version; readonly bits: number };
  /** The client is one of exempt_clients. */
  readonly exempt?: boolean;
  /** `sasl_username`, if the client has logged in. */
  readonly login?: string;
}

/** What receipt says of a recipient. */
export type ReceiptVerdict = 'accept' | 'warn' | 450 | 550;

const versions: readonly Version[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** What a setting asks for that does not say: the values that the contract gives with the keys. */
const usual = { minProtocol: 'TLSv1.2', minCipherBits: 128, protocols: '>=TLSv1.2', ciphers: 'medium' } as const;

/** The receipt requirements that the session does not satisfy, each with the domain that has it. */
export function unsatisfiedReceipts(
  settings: RawSettings,
  sender: Address,
  recipient: Address,
  session: Session,
): readonly { readonly domain: Hosted; readonly setting: RawReceipt }[] {
  if (session.exempt === true) {
    return [];
  }
  const unsatisfied: { domain: Hosted; setting: RawReceipt }[] = [];
  for (const [flow, party] of [
    ['incoming', recipient],
    ['outgoing', sender],
  ] as const) {
    const domain = party === null ? undefined : hostedDomain(settings, party.domain);
    if (domain === undefined) {
      continue;
    }
    const setting = receiptSetting(settings, domain, flow);
    if (!asks(settings, setting, flow, domain, sender, recipient)) {
      continue;
    }
    const satisfied =
      session.tls !== undefined &&
      versions.indexOf(session.tls.protocol) >= versions.indexOf(setting.min_protocol ?? usual.minProtocol) &&
      session.tls.bits >= (setting.min_cipher_bits ?? usual.minCipherBits);
    if (!satisfied) {
      unsatisfied.push({ domain, setting });
    }
  }
  return unsatisfied;
}

/** What receipt says: reject before defer before WARN, each requirement judged by itself. */
export function receiptVerdict(
  settings: RawSettings,
  sender: Address,
  recipient: Address,
  session: Session,
): ReceiptVerdict {
  const unsatisfied = unsatisfiedReceipts(settings, sender, recipient, session).map(({ setting }) => setting);
  const enforced = unsatisfied.filter((setting) => setting.enforcement !== 'monitor');
  if (enforced.some((setting) => setting.on_failure !== 'defer')) {
    return 550;
  }
  if (enforced.length > 0) {
    return 450;
  }
  return unsatisfied.length > 0 ? 'warn' : 'accept';
}

// ---------------------------------------------------------------------------------------------------------------------
// Delivery

/** How mail must leave, by what its requirements say. */
export interface Terms {
  readonly level: Level;
  /** The lowest version that will do. The next hop may be asked for more: {@link sharedAtNexthop}. */
  readonly minimum: Version;
  readonly ciphers: Ciphers;
  /** Mail that cannot have its TLS bounces; otherwise it waits. */
  readonly bounce: boolean;
  /** As in a FILTER: '' is the recipient's domain, by MX. */
  readonly nexthop: string;
}

/**
 * A transport with a next hop, as a FILTER names them. The minimum stands in the transport's name only if it is more than
 * what the domains behind the next hop ask of it anyway, which the transport's table of next hops says; so do ciphers.
 */
export interface Filter {
  readonly level: Level;
  readonly minimum: Version | undefined;
  readonly ciphers: Ciphers | undefined;
  readonly bounce: boolean;
  readonly nexthop: string;
}

const levels: readonly Level[] = ['encrypt', 'fingerprint', 'dane-only', 'verify', 'secure'];
const cipherGrades: readonly Ciphers[] = ['medium', 'high'];

/** The strictest of several. */
function strictest<T>(order: readonly T[], first: T, ...others: readonly T[]): T {
  let best = first;
  for (const other of others) {
    best = order.indexOf(other) > order.indexOf(best) ? other : best;
  }
  return best;
}

function isBelow(one: Version, other: Version): boolean {
  return versions.indexOf(one) < versions.indexOf(other);
}

function minimumOf(setting: RawDelivery): Version {
  return (setting.protocols ?? usual.protocols).replace('>=', '') as Version;
}

function ciphersOf(setting: RawDelivery): Ciphers {
  return setting.ciphers ?? usual.ciphers;
}

function isEnforced(setting: RawDelivery): boolean {
  return (setting.require_tls ?? 'never') !== 'never' && setting.enforcement !== 'monitor';
}

/** Where a recipient's mail goes when nothing else is said: '' is by MX. */
export function nexthopOf(settings: RawSettings, recipient: Address): string {
  const domain = recipient === null ? undefined : hostedDomain(settings, recipient.domain);
  return domain === undefined ? (settings.postfix?.relayhost ?? '') : (domain.raw.nexthop ?? '');
}

/** What the domains behind a recipient's next hop together ask of that next hop, whoever the mail is for. */
export function sharedAtNexthop(
  settings: RawSettings,
  recipient: Address,
): { readonly minimum: Version; readonly ciphers: Ciphers } {
  const nexthop = nexthopOf(settings, recipient);
  const wanted = nexthop === '' ? (recipient?.domain ?? '') : nexthop;
  const sharers: RawDelivery[] = [];
  for (const [key, raw] of Object.entries(settings.domains)) {
    const names = [key, ...(raw.aliases ?? [])].map(normalDomain);
    const setting = deliverySetting(settings, { key, raw, names }, 'incoming');
    const hops = raw.nexthop === undefined || raw.nexthop === '' ? names : [raw.nexthop];
    if (isEnforced(setting) && hops.includes(wanted)) {
      sharers.push(setting);
    }
  }
  const [first, ...others] = sharers.length > 0 ? sharers : [{}];
  return {
    minimum: strictest(versions, minimumOf(first ?? {}), ...others.map(minimumOf)),
    ciphers: strictest(cipherGrades, ciphersOf(first ?? {}), ...others.map(ciphersOf)),
  };
}

/** The terms that some requirements together make: undefined if there is none. */
function together(settings: RawSettings, recipient: Address, requirements: readonly RawDelivery[]): Terms | undefined {
  if (requirements.length === 0) {
    return undefined;
  }
  const [first = {}, ...others] = requirements;
  return {
    level: strictest(levels, 'encrypt', ...requirements.map((setting) => setting.level ?? 'encrypt')),
    minimum: strictest(versions, minimumOf(first), ...others.map(minimumOf)),
    ciphers: strictest(cipherGrades, ciphersOf(first), ...others.map(ciphersOf)),
    bounce: requirements.some((setting) => setting.on_failure === 'bounce'),
    nexthop: nexthopOf(settings, recipient),
  };
}

/** How a recipient's mail from this sender must leave: undefined if TLS is not compulsory. */
export function deliveryAsked(settings: RawSettings, sender: Address, recipient: Address): Terms | undefined {
  const requirements: RawDelivery[] = [];
  for (const [flow, party] of [
    ['incoming', recipient],
    ['outgoing', sender],
  ] as const) {
    const domain = party === null ? undefined : hostedDomain(settings, party.domain);
    if (domain !== undefined) {
      const setting = deliverySetting(settings, domain, flow);
      if (isEnforced(setting) && asks(settings, setting, flow, domain, sender, recipient)) {
        requirements.push(setting);
      }
    }
  }
  return together(settings, recipient, requirements);
}

function isBelowHosted(settings: RawSettings, name: string): boolean {
  const labels = name.split('.');
  return labels.some((_, at) => at > 0 && hostedDomain(settings, labels.slice(at).join('.')) !== undefined);
}

/** Whether the tables that Postfix reads hold the settings in force for a domain (its key in the settings). */
export type TablesHold = (domain: string) => boolean;

/** How a recipient's mail leaves by the tables alone: undefined if they do not make TLS compulsory. */
export function deliveryByTables(
  settings: RawSettings,
  tablesHold: TablesHold,
  sender: Address,
  recipient: Address,
): Terms | undefined {
  if (recipient === null) {
    return undefined;
  }
  const home = hostedDomain(settings, recipient.domain);
  if (home === undefined && isBelowHosted(settings, recipient.domain)) {
    // Postfix takes names below a relay domain for relay domains: sender_dependent_default_transport_maps is not asked.
    return undefined;
  }
  const [flow, domain, party] =
    home !== undefined
      ? (['incoming', home, recipient] as const)
      : (['outgoing', sender === null ? undefined : hostedDomain(settings, sender.domain), sender] as const);
  if (domain === undefined || !tablesHold(domain.key)) {
    return undefined;
  }
  if (flow === 'outgoing' && party?.routed === true) {
    return undefined;
  }
  const { minimum } = sharedAtNexthop(settings, recipient);
  if (flow === 'outgoing' && nexthopOf(settings, recipient) === '' && isBelow(minimum, 'TLSv1.2')) {
    // The sender's entry is for whatever next hop there is by MX, and knows nothing of the one that is asked for less.
    return undefined;
  }
  const setting = deliverySetting(settings, domain, flow);
  return isEnforced(setting) && asksWhoever(settings, setting, flow, domain, party)
    ? together(settings, recipient, [setting])
    : undefined;
}

// ---------------------------------------------------------------------------------------------------------------------
// Lanes

/** How one recipient's mail is sent on its way: by what Postfix does anyway (undefined), or by FILTER. */
export type Lane = Filter | undefined;

/**
 * What a transport need not say in its name for this recipient, since it is asked for at the next hop anyway: what its table
 * says there; no more than by default while the tables do not hold the recipient's domain, and for outgoing mail, whose
 * transport says it all: that others ask for more at relayhost is none of its business. That they ask for less is.
 */
function unsaidFor(
  settings: RawSettings,
  tablesHold: TablesHold,
  recipient: Address,
): Pick<Terms, 'minimum' | 'ciphers'> {
  const home = recipient === null ? undefined : hostedDomain(settings, recipient.domain);
  const shared = sharedAtNexthop(settings, recipient);
  return home !== undefined && tablesHold(home.key)
    ? shared
    : { minimum: isBelow(shared.minimum, 'TLSv1.2') ? shared.minimum : 'TLSv1.2', ciphers: 'medium' };
}

/** The FILTER that sees to these terms for a recipient. */
function filterFor(settings: RawSettings, tablesHold: TablesHold, recipient: Address, terms: Terms): Filter {
  const unsaid = unsaidFor(settings, tablesHold, recipient);
  return {
    ...terms,
    minimum: strictest(versions, unsaid.minimum, terms.minimum) === unsaid.minimum ? undefined : terms.minimum,
    ciphers: strictest(cipherGrades, unsaid.ciphers, terms.ciphers) === unsaid.ciphers ? undefined : terms.ciphers,
  };
}

function sameTerms(one: Terms | undefined, other: Terms | undefined): boolean {
  return one?.minimum === other?.minimum && one?.ciphers === other?.ciphers && sameLane(one, other);
}

export function sameLane(one: Lane, other: Lane): boolean {
  return (
    one?.level === other?.level &&
    one?.minimum === other?.minimum &&
    one?.ciphers === other?.ciphers &&
    one?.bounce === other?.bounce &&
    one?.nexthop === other?.nexthop
  );
}

/** The lane that a recipient needs: a FILTER if and only if what is asked is not what the tables give. */
export function laneOf(settings: RawSettings, tablesHold: TablesHold, sender: Address, recipient: Address): Lane {
  const asked = deliveryAsked(settings, sender, recipient);
  if (asked === undefined) {
    return undefined;
  }
  const given = deliveryByTables(settings, tablesHold, sender, recipient);
  const wanted = filterFor(settings, tablesHold, recipient, asked);
  return given !== undefined && sameLane(filterFor(settings, tablesHold, recipient, given), wanted)
    ? undefined
    : wanted;
}

/** Whether a recipient of a mail program, which cannot split, may travel in a lane that is not its own. */
export function mayJoin(
  settings: RawSettings,
  tablesHold: TablesHold,
  lane: Lane,
  needed: Lane,
  sender: Address,
  recipient: Address,
): 'yes' | 'no' | 'open' {
  if (lane === undefined) {
    // Without a FILTER the tables decide, and for this recipient they do not do.
    return needed === undefined ? 'yes' : 'no';
  }
  if (lane.nexthop !== nexthopOf(settings, recipient)) {
    return 'no';
  }
  const asked = deliveryAsked(settings, sender, recipient);
  if (asked === undefined) {
    return 'yes';
  }
  // Whatever the transport's name says, its table says for the next hop what that is asked for anyway.
  const unsaid = unsaidFor(settings, tablesHold, recipient);
  const minimum = strictest(versions, unsaid.minimum, lane.minimum ?? unsaid.minimum);
  const ciphers = strictest(cipherGrades, unsaid.ciphers, lane.ciphers ?? unsaid.ciphers);
  const satisfied =
    levels.indexOf(lane.level) >= levels.indexOf(asked.level) &&
    versions.indexOf(minimum) >= versions.indexOf(asked.minimum) &&
    cipherGrades.indexOf(ciphers) >= cipherGrades.indexOf(asked.ciphers);
  // The contract does not say whether bouncing where waiting was asked, or the other way round, satisfies.
  return !satisfied ? 'no' : lane.bounce === asked.bounce ? 'yes' : 'open';
}

/** What the service may answer. */
export type Answer =
  | { readonly kind: 'dunno' }
  | { readonly kind: 'warn' }
  | { readonly kind: 'refuse'; readonly code: 450 | 550 }
  | { readonly kind: 'filter'; readonly filter: Filter }
  /** 452: this recipient in a transaction of its own. */
  | { readonly kind: 'separately' }
  /** 451: all of it again. */
  | { readonly kind: 'again' };

export function sameAnswer(one: Answer, other: Answer): boolean {
  if (one.kind === 'filter' && other.kind === 'filter') {
    return sameLane(one.filter, other.filter);
  }
  return one.kind === other.kind && (one.kind !== 'refuse' || other.kind !== 'refuse' || one.code === other.code);
}

/** What the service knows when it is asked. */
export interface Knowledge {
  readonly settings: RawSettings;
  readonly tablesHold: TablesHold;
}

/** Which hops the request is limited to. */
export type Context = 'receipt' | 'delivery' | undefined;

/** What a request tells of its message. */
export interface Envelope {
  /** `instance`: the same for all requests of one message. */
  readonly message: string;
  readonly sender: string;
  readonly recipient: string;
  readonly session: Session;
  readonly context?: Context;
}

/** A recipient that was accepted, and what was known then. */
interface Accepted {
  readonly sender: Address;
  readonly recipient: Address;
  readonly knowledge: Knowledge;
}

/** A service from one start to its end: what it remembers of the messages that it was asked about. */
export class OracleService {
  readonly #messages = new Map<string, { readonly lane: Lane; readonly recipients: Accepted[] }>();

  /** All right answers to a recipient. */
  rcpt({ settings, tablesHold }: Knowledge, envelope: Envelope): readonly Answer[] {
    const sender = normalAddress(settings, envelope.sender);
    const recipient = normalAddress(settings, envelope.recipient);
    const receipt =
      envelope.context === 'delivery' ? 'accept' : receiptVerdict(settings, sender, recipient, envelope.session);
    if (receipt === 450 || receipt === 550) {
      return [{ kind: 'refuse', code: receipt }];
    }
    const quiet: Answer = { kind: receipt === 'warn' ? 'warn' : 'dunno' };
    if (envelope.context === 'receipt') {
      return [quiet];
    }
    const needed = laneOf(settings, tablesHold, sender, recipient);
    const own: Answer = needed === undefined ? quiet : { kind: 'filter', filter: needed };
    const known = this.#messages.get(envelope.message);
    if (known === undefined || sameLane(known.lane, needed)) {
      return [own];
    }
    if (envelope.session.login === undefined) {
      return [{ kind: 'separately' }];
    }
    const joined: readonly Answer[] =
      known.lane === undefined ? [quiet] : [quiet, { kind: 'filter', filter: known.lane }];
    switch (mayJoin(settings, tablesHold, known.lane, needed, sender, recipient)) {
      case 'yes':
        return joined;
      case 'no':
        return [{ kind: 'separately' }];
      case 'open':
        return [...joined, { kind: 'separately' }];
    }
  }

  /** Has it remember a recipient: one that was accepted when {@link OracleService.rcpt} was asked about delivery. */
  accepted(knowledge: Knowledge, envelope: Envelope): void {
    const { settings, tablesHold } = knowledge;
    const sender = normalAddress(settings, envelope.sender);
    const recipient = normalAddress(settings, envelope.recipient);
    const known = this.#messages.get(envelope.message) ?? {
      lane: laneOf(settings, tablesHold, sender, recipient),
      recipients: [],
    };
    known.recipients.push({ sender, recipient, knowledge });
    this.#messages.set(envelope.message, known);
  }

  /**
   * All right answers at DATA.
   *
   * @param count - recipients that Postfix has accepted
   * @param earlier - recipients that a service accepted which has ended since; undefined: there was none
   */
  data(knowledge: Knowledge, envelope: Envelope, count: number, earlier: number | undefined): readonly Answer[] {
    if (envelope.context === 'receipt') {
      return [{ kind: 'dunno' }];
    }
    const { settings, tablesHold } = knowledge;
    const known = this.#messages.get(envelope.message);
    if (count === 1) {
      const sender = normalAddress(settings, envelope.sender);
      const recipient = normalAddress(settings, envelope.recipient);
      const now = laneOf(settings, tablesHold, sender, recipient);
      const lane = known === undefined ? now : known.lane;
      const answer = (of: Lane): Answer => (of === undefined ? { kind: 'dunno' } : { kind: 'filter', filter: of });
      if (known?.recipients.some((accepted) => accepted.knowledge !== knowledge)) {
        // Right by what was known then, unless that gives less than is asked now; right by what is known now.
        const stillDoes = sameLane(lane, now) || mayJoin(settings, tablesHold, lane, now, sender, recipient) !== 'no';
        return [...(stillDoes ? [answer(lane)] : []), answer(now), { kind: 'again' }];
      }
      return earlier === undefined ? [answer(lane)] : [answer(lane), answer(now), { kind: 'again' }];
    }
    if (known === undefined || known.recipients.length < count || (earlier ?? 0) > 0) {
      // Of what a service before it has accepted it cannot know.
      return [{ kind: 'again' }];
    }
    if (known.recipients.some((accepted) => accepted.knowledge.settings !== settings)) {
      // One of them may have to leave in another way by now.
      const asMuch = known.recipients.every((accepted) => {
        const { sender, recipient } = accepted;
        const then = deliveryAsked(accepted.knowledge.settings, sender, recipient);
        const now = deliveryAsked(settings, sender, recipient);
        const fits =
          known.lane !== undefined && mayJoin(settings, tablesHold, known.lane, now && known.lane, sender, recipient);
        return now === undefined || sameTerms(then, now) || fits === 'yes';
      });
      return asMuch ? [{ kind: 'dunno' }, { kind: 'again' }] : [{ kind: 'again' }];
    }
    return earlier === undefined ? [{ kind: 'dunno' }] : [{ kind: 'dunno' }, { kind: 'again' }];
  }
}
