/**
 * Whose settings count for one sender and one recipient (contract section 5), and which of them ask for TLS. Pure:
 * settings and two addresses go in.
 */
import { Address } from '../address/address.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type DeliverySetting, type Flow, type Hop, isRequired, type ReceiptSetting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';

/** Routing signs in a local part nest; Postfix unpacks them all, a stranger gets this many. */
const MAX_ROUTING = 16;

export interface Parties {
  readonly sender: Address;
  readonly recipient: Address;
  /** The sender was written as `user%hosted@elsewhere`: no table of senders has it under that name. */
  readonly senderIsRouted: boolean;
  /** The hosted domain of the sender: its `outgoing` counts. */
  readonly senderDomain: HostedDomain | undefined;
  /** The hosted domain of the recipient: its `incoming` counts. */
  readonly recipientDomain: HostedDomain | undefined;
}

export type SettingOf<H extends Hop> = H extends 'receipt' ? ReceiptSetting : DeliverySetting;

/** Finds the parties of a message. `sender` and `recipient` are as Postfix passes them; '' is the null sender. */
export function findParties(settings: Settings, sender: string, recipient: string, delimiters: string): Parties {
  const from = resolveAddress(settings, Address.read(sender, delimiters));
  const to = resolveAddress(settings, Address.read(recipient, delimiters));
  return {
    sender: from.address,
    recipient: to.address,
    senderIsRouted: from.isRouted,
    senderDomain: from.domain,
    recipientDomain: to.domain,
  };
}

/**
 * The address that counts, and its hosted domain. `user%hosted@here` goes to user@hosted if `here` is one of Postfix's
 * own domains. Whether it is, only Postfix knows; what the service must not do is let it past a requirement.
 */
function resolveAddress(
  settings: Settings,
  address: Address,
): { readonly address: Address; readonly domain: HostedDomain | undefined; readonly isRouted: boolean } {
  const domain = settings.find(address.domain);
  if (domain !== undefined) return { address, domain, isRouted: false };
  let routed = address.routed;
  for (let depth = 0; routed !== undefined && depth < MAX_ROUTING; depth++) {
    const inner = settings.find(routed.domain);
    if (inner !== undefined) return { address: routed, domain: inner, isRouted: true };
    routed = routed.routed;
  }
  return { address, domain: undefined, isRouted: false };
}

/** The setting of this flow and hop if it asks for TLS between the two: a requirement. */
export function requirement<H extends Hop>(parties: Parties, flow: Flow, hop: H): SettingOf<H> | undefined {
  const incoming = flow === 'incoming';
  const setting = (incoming ? parties.recipientDomain : parties.senderDomain)?.settings[flow][hop];
  if (setting === undefined) return undefined;
  const own = incoming ? parties.recipient : parties.sender;
  const far = incoming ? parties.sender : parties.recipient;
  return isRequired(setting, own, far) ? (setting as SettingOf<H>) : undefined;
}
