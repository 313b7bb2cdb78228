/**
 * Before a requirement on delivery is made: whether the servers that it concerns could do it, looked at as `tlswarden probe`
 * looks. It changes nothing; whether to go on is the command's.
 */
import type { DomainName } from '../../address/domain-name.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { domainContext } from '../../main-file/open-source.ts';
import type { DomainProbe, Prober, ProbeTarget } from '../../probe/probe-domain.ts';
import { type HostedDomain, parseHostedDomain } from '../../settings/hosted-domain.ts';
import { BY_MX, type NextHop, parseNextHop } from '../../settings/next-hop.ts';
import { type DeliverySetting, FLOWS, type Flow } from '../../settings/setting.ts';
import { RejectedChange, type SettingsStore } from '../../source/settings-store.ts';
import type { Complaint } from '../../toml/complaint.ts';
import type { Table } from '../../toml/table-reader.ts';
import { findDomain } from './find-domain.ts';

/** Domains that a list of recipients names, of which so many are tried. */
const MAX_LISTED = 32;

/** What came of trying new requirements on delivery; sentences without the domain's name in front. */
export interface Trial {
  readonly probes: readonly DomainProbe[];
  /** What would not work, a sentence each; of settings that enforce. */
  readonly failures: readonly string[];
  /** What works, what could not be tried, and what would not work of settings that only monitor. */
  readonly notes: readonly string[];
}

/** The domain that a table in a store is; throws {@link RejectedChange} with what is wrong with it. */
export function hostedAs(main: MainFile, name: DomainName, table: Table, place: string): HostedDomain {
  const complaints: Complaint[] = [];
  const domain = parseHostedDomain(name, table, place, domainContext(main), complaints);
  if (domain === undefined) throw new RejectedChange(complaints);
  return domain;
}

/** Tries the requirements on delivery that `after` has and `before` had not, or not there. */
export async function tryDeliveries(
  main: MainFile,
  store: SettingsStore,
  before: HostedDomain | undefined,
  after: HostedDomain,
  prober: Prober,
): Promise<Trial> {
  const notes: string[] = [];
  const targets: ProbeTarget[] = [];
  for (const flow of FLOWS) {
    const setting = after.settings[flow].delivery;
    if (setting === undefined || isUnchanged(flow, before, after)) continue;
    const found =
      flow === 'incoming'
        ? incomingTargets(before, after, setting)
        : await outgoingTargets(main, store, after, setting);
    targets.push(...found.targets);
    if (found.untried !== undefined) notes.push(`${flow}.delivery: ${found.untried}`);
  }
  if (targets.length === 0 && notes.length === 0)
    notes.push('no requirement on delivery is new here: nothing was probed');
  const probes = await Promise.all(targets.map((target) => prober.probe(target)));
  const failures: string[] = [];
  for (const probe of probes) {
    const why = whyNot(probe);
    const { flow, setting } = probe.target;
    const what = `${flow}.delivery, level ${setting?.level}`;
    if (why === undefined) notes.push(`${what}, works at ${wordPlace(probe)}`);
    else
      (setting?.enforcement === 'monitor' ? notes : failures).push(
        `${what}, would not work at ${wordPlace(probe)}: ${why}`,
      );
  }
  return { probes, failures, notes };
}

/** Equal settings are one object; where incoming mail goes belongs to the domain. */
function isUnchanged(flow: Flow, before: HostedDomain | undefined, after: HostedDomain): boolean {
  if (before === undefined || before.settings[flow].delivery !== after.settings[flow].delivery) return false;
  return flow === 'outgoing' || (before.nexthop === after.nexthop && before.aliases.join() === after.aliases.join());
}

interface Targets {
  readonly targets: readonly ProbeTarget[];
  /** What cannot be tried, and why. */
  readonly untried: string | undefined;
}

/** One next hop, or the MX hosts of the domain and of each alias: Postfix goes by the name that mail is for. */
function incomingTargets(before: HostedDomain | undefined, after: HostedDomain, setting: DeliverySetting): Targets {
  const { name, aliases, nexthop } = after;
  const common = { owner: name, nexthop, setting, flow: 'incoming' } as const;
  // A next hop that is not in the settings yet has to be part of a command that is suggested.
  if (nexthop !== BY_MX) {
    const from = before?.nexthop === nexthop ? 'settings' : 'option';
    return { targets: [{ ...common, domain: name, from }], untried: undefined };
  }
  return { targets: [name, ...aliases].map((domain) => ({ ...common, domain, from: 'mx' })), untried: undefined };
}

/** The relayhost; without one the domains of recipients that the setting lists, since all others are everybody. */
async function outgoingTargets(
  main: MainFile,
  store: SettingsStore,
  after: HostedDomain,
  setting: DeliverySetting,
): Promise<Targets> {
  const { relayhost } = main.postfix;
  const common = { owner: after.name, setting, flow: 'outgoing' } as const;
  if (relayhost !== BY_MX) {
    return { targets: [{ ...common, domain: after.name, nexthop: relayhost, from: 'relayhost' }], untried: undefined };
  }
  const { condition } = setting;
  if (condition.kind === 'always') return { targets: [], untried: `it is for mail to everybody: nothing was probed` };
  const { far, own } = condition;
  const addresses = [...far.addresses].map((address) => address.slice(address.lastIndexOf('@') + 1) as DomainName);
  const listed = [...new Set([...far.domains, ...addresses])].sort();
  const some = listed.slice(0, MAX_LISTED);
  const { domains } = await store.read(some);
  const nexthopOf = (domain: DomainName): NextHop => {
    const stored = findDomain(domains, domain);
    const { nexthop = '' } = stored?.table ?? {};
    return (typeof nexthop === 'string' ? parseNextHop(nexthop) : undefined) ?? BY_MX;
  };
  const targets = some.map((domain): ProbeTarget => {
    const nexthop = nexthopOf(domain);
    return { ...common, domain, nexthop, from: nexthop === BY_MX ? 'mx' : 'settings' };
  });
  const isOpen =
    far.everyone ||
    far.parents.size > 0 ||
    (condition.kind === 'either' && (own.everyone || own.addresses.size + own.domains.size > 0));
  const left = listed.length - some.length;
  const parts = [
    ...(left > 0 ? [`${left} of the domains that it lists were not probed`] : []),
    ...(isOpen ? ['it is also for mail to others, whose servers cannot be told beforehand'] : []),
  ];
  return { targets, untried: parts.length === 0 ? undefined : parts.join('; ') };
}

/** undefined: it works on all hosts, and all were reached. */
function whyNot({ way, verdict, settingVerdict, target, suggestion }: DomainProbe): string | undefined {
  if (way.problem !== undefined) return way.problem;
  if (verdict.levels === undefined || settingVerdict === undefined)
    return 'no host was reached, so nothing is known of its TLS';
  if (!settingVerdict.works)
    return `${settingVerdict.why}${wordInstead(verdict.strongest, target.setting, suggestion?.command)}`;
  return verdict.complete ? undefined : `${verdict.unreached.join(', ')} was not reached`;
}

function wordInstead(
  strongest: string | undefined,
  setting: DeliverySetting | undefined,
  command: string | undefined,
): string {
  if (strongest === undefined) return '; TLS cannot be required there';
  const level = strongest === setting?.level ? '' : `; level ${strongest} would work`;
  return `${level}${command === undefined ? '' : `: ${command}`}`;
}

function wordPlace({ target, way }: DomainProbe): string {
  if (target.nexthop !== BY_MX) return target.nexthop;
  return `the ${way.mxSecure === undefined ? 'hosts' : 'MX hosts'} of ${target.domain}`;
}
