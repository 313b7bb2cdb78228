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
  /** The hosted domain of the sender: its `outgoing` counts. */
  readonly senderDomain: HostedDomain | undefined;
  /** The hosted domain of the recipient: its `incoming` counts. */
  readonly recipientDomain: HostedDomain | undefined;
}

export type SettingOf<H extends Hop> = H extends 'receipt' ? ReceiptSetting : DeliverySetting;

/** Finds the parties of a message. `sender` and `recipient` are as Postfix passes them; '' is the null sender. */
export function findParties(settings: Settings, sender: string, recipient: string, delimiters: string): Parties {
  const from = Address.read(sender, delimiters);
  let to = Address.read(recipient, delimiters);
  let recipientDomain = settings.find(to.domain);
  // `user%hosted@here`: if `here` is one of Postfix's own domains, the mail goes to user@hosted. Whether it is, only
  // Postfix knows; what the service must not do is let it past a requirement.
  for (
    let depth = 0, routed = to.routed;
    recipientDomain === undefined && routed !== undefined;
    routed = routed.routed
  ) {
    const found = settings.find(routed.domain);
    if (found !== undefined) {
      to = routed;
      recipientDomain = found;
    }
    if (++depth === MAX_ROUTING) break;
  }
  return { sender: from, recipient: to, senderDomain: settings.find(from.domain), recipientDomain };
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
