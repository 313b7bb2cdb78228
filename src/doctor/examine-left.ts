/**
 * What a `doctor --live` that was killed has left in the settings.
 */
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import { domainsLeft, thisRun } from './run-name.ts';

/** Domains of runs that are over; one that goes on now is left alone. */
export function examineLeft({ settings, mending }: Host): readonly Finding[] {
  const left = domainsLeft(settings, thisRun());
  if (left.length === 0) return [];
  return [
    {
      id: 'trial-left',
      severity: 'advice',
      where: 'settings',
      what: `Domains of a "doctor --live" that was killed are left: ${left.join(', ')}.`,
      why: 'Nobody sends mail to them; they are in the way of whoever reads the settings.',
      mend: left.map((domain) => mending.tlswarden('domains', 'unset', domain)),
      note: 'The next "doctor --live" takes them out too, and their messages out of the queue.',
    },
  ];
}
