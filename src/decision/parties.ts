/**
 * Whose settings count for one sender and one recipient (contract section 5), and which of them ask for TLS. Pure:
 * settings and two addresses go in.
 */
import { Address, type AddressRules } from '../address/address.ts';
import type { DomainName } from '../address/domain-name.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type DeliverySetting, type Flow, type Hop, isRequired, type ReceiptSetting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import type { PolicyRequest } from './request.ts';

/**
 * Who is mailing whom: the addresses that count, which may stand in the local part of those given, and their settings.
 */
export interface Parties {
  readonly sender: Address;
  readonly recipient: Address;
  /** The sender was written as `user%hosted@elsewhere`: no table of senders has it under that name. */
  readonly senderIsRouted: boolean;
  /** The hosted domain of the sender: its `outgoing` counts. */
  readonly senderDomain: HostedDomain | undefined;
  /** The hosted domain of the recipient: its `incoming` counts. */
  readonly recipientDomain: HostedDomain | undefined;
  /**
   * The same mail, as `user%other@hosted` is user@other should Postfix have the hosted domain's mailboxes itself: what is
   * asked of either holds.
   */
  readonly otherwise: Parties | undefined;
}

/** A {@link Setting}, by its hop. */
export type SettingOf<H extends Hop> = H extends 'receipt' ? ReceiptSetting : DeliverySetting;

/** What was found for the request before: at DATA the parties are mostly those of the RCPT before. */
export interface FoundParties {
  parties: Parties;
  /** {@link Settings.version} of the settings that they were found in. */
  version: number;
  /** As Postfix passed it; so with the recipient. */
  sender: string;
  recipient: string;
  rules: AddressRules;
}

/** The parties of a request: {@link findParties}, or what that has just found on the same connection. */
export function partiesOf(settings: Settings, request: PolicyRequest, rules: AddressRules): Parties {
  const { sender, recipient } = request;
  const { version } = settings;
  const before = request.found;
  if (
    before?.version === version &&
    before.sender === sender &&
    before.recipient === recipient &&
    before.rules === rules
  ) {
    return before.parties;
  }
  const parties = findParties(settings, sender, recipient, rules);
  if (before === undefined) request.found = { parties, version, sender, recipient, rules };
  else {
    before.parties = parties;
    before.version = version;
    before.sender = sender;
    before.recipient = recipient;
    before.rules = rules;
  }
  return parties;
}

/** Finds the parties of a message. `sender` and `recipient` are as Postfix passes them; '' is the null sender. */
export function findParties(settings: Settings, sender: string, recipient: string, rules: AddressRules): Parties {
  const from = Address.read(sender, rules);
  const to = Address.read(recipient, rules);
  const senderDomain = settings.find(from.domain);
  const recipientDomain = settings.find(to.domain);
  const routedFrom = from.mayRoute && !isKnown(settings, from.domain) ? findRouted(settings, from) : undefined;
  const routedTo = to.mayRoute ? findRouted(settings, to) : undefined;
  const parties: Parties = {
    sender: routedFrom?.address ?? from,
    recipient: to,
    senderIsRouted: routedFrom !== undefined,
    senderDomain: routedFrom?.domain ?? senderDomain,
    recipientDomain,
    otherwise: undefined,
  };
  if (routedTo === undefined) return parties;
  const routed = { ...parties, recipient: routedTo.address, recipientDomain: routedTo.domain };
  return isKnown(settings, to.domain) ? { ...parties, otherwise: routed } : routed;
}

/** Whether something may be asked of this name: it is hosted, or it is not known what it asks. */
function isKnown(settings: Settings, name: DomainName): boolean {
  return settings.find(name) !== undefined || settings.withheld.has(name);
}

/**
 * The address that counts instead of one that is not hosted, and its hosted domain. `user%hosted@here` goes to user@hosted
 * if `here` is one of Postfix's own domains. Whether it is, only Postfix knows; what the service must not do is let it past
 * a requirement.
 */
function findRouted(
  settings: Settings,
  given: Address,
): { readonly address: Address; readonly domain: HostedDomain | undefined } | undefined {
  const address = given.routedTo((name) => isKnown(settings, name));
  return address && { address, domain: settings.find(address.domain) };
}

/** The setting of this flow and hop if it asks for TLS between the two: a requirement. Of {@link Parties.otherwise} it says nothing. */
export function requirement<H extends Hop>(parties: Parties, flow: Flow, hop: H): SettingOf<H> | undefined {
  const incoming = flow === 'incoming';
  const settings = (incoming ? parties.recipientDomain : parties.senderDomain)?.settings;
  if (settings === undefined) return undefined;
  // Not by [flow][hop]: V8 looks such names up anew each time.
  const { receipt, delivery } = incoming ? settings.incoming : settings.outgoing;
  const setting = hop === 'receipt' ? receipt : delivery;
  if (setting === undefined) return undefined;
  const own = incoming ? parties.recipient : parties.sender;
  const far = incoming ? parties.sender : parties.recipient;
  return isRequired(setting, own, far) ? (setting as SettingOf<H>) : undefined;
}
