/**
 * Whether Postfix accepts mail for the domains of which the settings ask TLS of incoming mail: else strangers are told "Relay
 * access denied", whatever the settings say. Pure.
 */
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { OwnRoute } from './own-routes.ts';
import { namesOf, type Sample } from './sample.ts';

/** So many are told, and accepted by one command; a list of many more belongs in a table. */
const MOST_TOLD = 20;
const RELAY_DOMAINS = 'relay_domains';

/** One finding for all names together. `routes` has every name of the domains in the sample. */
export function examineAcceptance(
  { postfix, mending }: Host,
  { domains }: Sample,
  routes: ReadonlyMap<string, OwnRoute>,
): readonly Finding[] {
  const refused = domains
    .filter(receives)
    .flatMap(namesOf)
    .filter((name) => routes.get(name)?.isAccepted === false);
  if (refused.length === 0) return [];
  const told = refused.slice(0, MOST_TOLD);
  const rest = refused.length - told.length;
  const present = postfix.value(RELAY_DOMAINS) === '' ? [] : [postfix.raw(RELAY_DOMAINS)];
  const notes = [
    'If mail to one of them is only to be sent from here, leave that one out: from then on Postfix takes mail for it from everybody.',
    ...(rest > 0 ? [`Of so many keep a table: ${RELAY_DOMAINS} takes one.`] : []),
    ...(postfix.value('relay_recipient_maps') === ''
      ? []
      : ['relay_recipient_maps is set: recipients that are not in it are refused, so they need entries there.']),
  ];
  return [
    {
      id: 'domain-not-accepted',
      severity: 'advice',
      where: `main.cf: ${RELAY_DOMAINS}`,
      what: `Postfix accepts no mail for ${told.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}.`,
      why: 'The settings ask for TLS of mail to them, and whoever sends them any is told "Relay access denied".',
      mend: mending.set({ [RELAY_DOMAINS]: [...present, ...told].join(', ') }),
      note: notes.join(' '),
    },
  ];
}

/** Whether anything is asked of mail to it. With a next hop alone it may be a domain that mail is only sent to. */
function receives({ settings: { incoming } }: HostedDomain): boolean {
  return incoming.receipt !== undefined || incoming.delivery !== undefined;
}
