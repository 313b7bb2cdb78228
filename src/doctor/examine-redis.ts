/**
 * Whether the settings could be read from Redis, and what doctor goes by if not. Pure.
 */
import type { SettingsAtHand } from '../main-file/open-source.ts';
import type { Finding } from './finding.ts';

/** One finding while Redis is away; none where the settings are as they stand now. */
export function examineRedis({ away, settings }: SettingsAtHand): readonly Finding[] {
  if (away === undefined) return [];
  const { redis, trouble, instead } = away;
  return [
    {
      id: 'redis-away',
      severity: 'fault',
      where: redis,
      what: `The settings cannot be read from Redis: ${trouble}.`,
      why: 'No change of them comes in. A service that was started before goes by the last ones, one that starts by the snapshot; without either it gives no reply, and all mail waits.',
      mend: [],
      note: `Bring Redis back first: commands that need the settings wait for it. Here ${instead}${settings === undefined ? ', so what depends on the settings was not looked at' : ''}.`,
    },
  ];
}
