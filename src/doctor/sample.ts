/**
 * Which hosted domains are looked at one by one: all, or, where they are very many, so many of them spread over all. Pure.
 */
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Settings } from '../settings/settings.ts';
import { isTrialDomain } from '../settings/trial-domain.ts';

/** Each is looked up in every table by postmap(1), and a database may take its time. */
const MOST_DOMAINS = 20_000;

/** The domains that are looked at one by one; trial domains are not among them. */
export interface Sample {
  readonly domains: readonly HostedDomain[];
  /** How many there are. */
  readonly of: number;
}

/** At most `most` domains, every n-th in the order of the settings. */
export function sampleOf(settings: Settings, most: number = MOST_DOMAINS): Sample {
  const stride = Math.max(1, Math.ceil(settings.size / most));
  const domains: HostedDomain[] = [];
  let i = 0;
  for (const domain of settings.domains()) {
    // What `doctor --live` hosts for a minute is nobody's mail.
    if (i++ % stride === 0 && !isTrialDomain(domain.name)) domains.push(domain);
  }
  return { domains, of: stride === 1 ? domains.length : settings.size };
}

/** A domain and its aliases. */
export function namesOf({ name, aliases }: HostedDomain): readonly string[] {
  return [name, ...aliases];
}
