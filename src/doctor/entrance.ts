/**
 * An entrance: one smtpd(8) service of master.cf, and where mail that comes in there comes to tlswarden. Pure: it reads
 * what stands in main.cf and master.cf, in the order in which smtpd(8) goes through it.
 */
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { mayPermit, stopsStrangers } from '../fragments/restrictions.ts';
import { isTableAt, splitValue } from '../fragments/value-list.ts';
import { isLoopback } from '../service/listen-address.ts';
import { HOPS, type Hop } from '../settings/setting.ts';
import { inetAddressOf, type MasterService, type PostfixConfiguration } from './postfix-configuration.ts';
import { readCall, type ServiceCall, wasOurs } from './service-call.ts';

/** Looked at before or behind smtpd_recipient_restrictions (postconf(5), smtpd_relay_before_recipient_restrictions). */
export const RELAY_RESTRICTIONS = 'smtpd_relay_restrictions';
/** Before RCPT the service has nothing to say; with smtpd_delay_reject these lists are looked at then. */
const DELAYED_RESTRICTIONS = ['smtpd_client_restrictions', 'smtpd_helo_restrictions', 'smtpd_sender_restrictions'];

/** By what tlswarden is known in main.cf. */
export interface OurNames {
  /** Where the service listens: `inet:127.0.0.1:10040`. */
  readonly addresses: ReadonlySet<string>;
  /** The path of receipt_access; undefined: there are no tables. */
  readonly receiptAccess: string | undefined;
}

/** A call of tlswarden, where it stands, and what stands before it. */
export interface CallSeen {
  readonly call: ServiceCall;
  /** Not where the service listens now. */
  readonly isStray: boolean;
  /** The list of restrictions that it stands in. */
  readonly parameter: string;
  /** The first restriction before it that may permit: then it is not asked. */
  readonly permit: string | undefined;
  /** Whether recipients that strangers may not relay to have been refused before. */
  readonly isBehindRelayCheck: boolean;
}

/** One smtpd(8) service, and what it asks of whom. */
export interface Entrance {
  readonly service: MasterService;
  /** All calls when a recipient is named, in the order of asking. */
  readonly atRecipient: readonly CallSeen[];
  /** Those in smtpd_data_restrictions. */
  readonly atData: readonly CallSeen[];
  /** Whether receipt_access is asked. */
  readonly asksTable: boolean;
  /** Only this host can connect. */
  readonly isLocal: boolean;
  /** The parameter by which mail is handed to a filter that gives it back at another entrance. */
  readonly filter: 'smtpd_proxy_filter' | 'content_filter' | undefined;
}

/**
 * One for each smtpd(8) service, in the order of master.cf. What a restriction class holds counts as standing in the
 * list.
 */
export function readEntrances(postfix: PostfixConfiguration, names: OurNames): readonly Entrance[] {
  return postfix.running('smtpd').map((service): Entrance => {
    const relayFirst = postfix.isYes('smtpd_relay_before_recipient_restrictions', service);
    const lists = [
      ...(postfix.isYes('smtpd_delay_reject', service) ? DELAYED_RESTRICTIONS : []),
      ...(relayFirst ? [RELAY_RESTRICTIONS, RECIPIENT_RESTRICTIONS] : [RECIPIENT_RESTRICTIONS, RELAY_RESTRICTIONS]),
    ];
    const atRecipient: CallSeen[] = [];
    let isChecked = false;
    let asksTable = false;
    for (const parameter of lists) {
      const seen = readList(postfix, service, parameter, names, isChecked);
      atRecipient.push(...seen.calls);
      isChecked = seen.isChecked;
      asksTable ||= seen.asksTable;
    }
    return {
      service,
      atRecipient,
      atData: readList(postfix, service, DATA_RESTRICTIONS, names, true).calls,
      asksTable,
      isLocal: isLocal(postfix, service),
      filter: (['smtpd_proxy_filter', 'content_filter'] as const).find((name) => postfix.value(name, service) !== ''),
    };
  });
}

interface ListSeen {
  readonly calls: readonly CallSeen[];
  readonly isChecked: boolean;
  readonly asksTable: boolean;
}

function readList(
  postfix: PostfixConfiguration,
  service: MasterService,
  parameter: string,
  { addresses, receiptAccess }: OurNames,
  wasChecked: boolean,
): ListSeen {
  const calls: CallSeen[] = [];
  let permit: string | undefined;
  let isChecked = wasChecked;
  let asksTable = false;
  const classes = postfix.classes(service);
  for (const { name, text } of postfix.restrictions(parameter, service)) {
    if (stopsStrangers(name)) isChecked = true;
    const call = readCall(text, postfix, service);
    const [, argument = ''] = splitValue(text);
    if (call !== undefined && (addresses.has(call.address) || wasOurs(call))) {
      const isStray = !addresses.has(call.address);
      calls.push({ call, isStray, parameter, permit, isBehindRelayCheck: isChecked });
    } else if (receiptAccess !== undefined && isTableAt(argument, receiptAccess)) asksTable ||= permit === undefined;
    else if (mayPermit({ name, text }, classes)) permit ??= text;
  }
  return { calls, isChecked, asksTable };
}

function isLocal(postfix: PostfixConfiguration, service: MasterService): boolean {
  if (service.name.endsWith('/unix')) return true;
  const address = inetAddressOf(service);
  // What postscreen(8) passes on (pass) came from outside.
  if (address === undefined) return false;
  const hosts = address.host === '' ? postfix.interfaces : [address.host];
  return hosts.every((host) => host === 'loopback-only' || isLoopback(host));
}

/** The hops that the calls which are come to ask about. */
export function hopsAsked(calls: readonly CallSeen[]): ReadonlySet<Hop> {
  const asked = new Set<Hop>();
  for (const { call, permit, isStray } of calls) {
    if (permit !== undefined || isStray) continue;
    for (const hop of call.hop === undefined ? HOPS : [call.hop]) asked.add(hop);
  }
  return asked;
}
