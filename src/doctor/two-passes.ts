/**
 * Delivery asked about by the recipients that cleanup(8) has made of those that the client named: whether it is, and how a
 * host is made so. Pure.
 */
import { withOptions } from '../apply/master-entry.ts';
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { type Entrance, hopsAsked } from './entrance.ts';
import { innerEntrance } from './examine-filters.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { PostfixConfiguration } from './postfix-configuration.ts';
import { dataList, mendLists, recipientList } from './restriction-lists.ts';

const OVERRIDE_OPTIONS = 'receive_override_options';
const SECOND_PASS = '127.0.0.1:10026';

/**
 * Whether delivery is asked about where addresses are rewritten, and copies added, only afterwards. Behind a filter that may have
 * been done before.
 */
export function decidesBeforeRewriting({ postfix, entrances }: Host): boolean {
  return entrances.some((entrance) => hopsAsked(entrance.atRecipient).has('delivery') && rewrites(postfix, entrance));
}

/** Whether cleanup(8) rewrites addresses, and adds copies, of what comes in here. */
function rewrites(postfix: PostfixConfiguration, { service }: Entrance): boolean {
  return !postfix.list(OVERRIDE_OPTIONS, service).includes('no_address_mappings');
}

/**
 * What has delivery asked about when `what` (addresses, copies) have been `done` (rewritten, added): where mail passes no
 * filter the README's recipe, by which it passes twice.
 */
export function twoPasses(
  host: Host,
  what: 'addresses' | 'copies',
  done: 'rewritten' | 'added',
): Required<Pick<Finding, 'mend' | 'note'>> {
  if (host.entrances.every(({ filter }) => filter === undefined)) {
    const note = `This has mail pass twice, so that delivery is asked about when ${what} are ${done} (README, "Virtual aliases").`;
    return { mend: secondPass(host), note };
  }
  const mend = doneOnce(host);
  const note =
    mend.length > 0
      ? `Here ${what} are ${done} before the filter, and delivery is asked about behind it: there they need not be ${done} once more.`
      : `Mail passes a filter already: let ${what} be ${done} before that, and delivery be asked about where it brings mail back.`;
  return { mend, note };
}

/** Where mail passes a filter, and addresses are rewritten, and copies added, before it and behind it: behind it they need not be. */
function doneOnce(host: Host): readonly string[] {
  const { postfix, entrances, mending } = host;
  const inner = innerEntrance(host);
  const isDoneBefore = entrances.every((entrance) => entrance.filter === undefined || rewrites(postfix, entrance));
  if (inner === undefined || !isDoneBefore || !hopsAsked(inner.atRecipient).has('delivery')) return [];
  const options = [...postfix.list(OVERRIDE_OPTIONS, inner.service), 'no_address_mappings'].join(',');
  return [...mending.override(inner.service, { [OVERRIDE_OPTIONS]: options }), ...mending.reload];
}

/** The README's recipe: receipt is asked about at the entrances there are, delivery at a new one that mail passes afterwards. */
function secondPass(host: Host): readonly string[] {
  const { mending, entrances } = host;
  const name = `${SECOND_PASS}/inet`;
  const options = new Map([
    ['content_filter', ''],
    [OVERRIDE_OPTIONS, 'no_address_mappings'],
    ['smtpd_relay_restrictions', 'permit_mynetworks,reject'],
    [RECIPIENT_RESTRICTIONS, recipientList(host, '', 'delivery')],
    [DATA_RESTRICTIONS, dataList(host, '', 'delivery')],
  ]);
  const first = entrances
    .filter(({ atRecipient }) => hopsAsked(atRecipient).has('delivery'))
    .flatMap((entrance) => mendLists(host, entrance, 'receipt'));
  const [address, port] = SECOND_PASS.split(':');
  return [
    mending.postconf('-M', `${name} = ${withOptions(`${SECOND_PASS} inet n - n - - smtpd`, options)}`),
    ...new Set(first),
    ...mending.set({ content_filter: `smtp:[${address}]:${port}` }),
  ];
}
