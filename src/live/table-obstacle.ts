/**
 * What keeps the tables of this host from being tried. Pure.
 */
import type { Stage } from './stage.ts';

/** Above it the tables are not written for a trial. */
const MOST_DOMAINS = 100_000;

/** Why the tables are not tried, or undefined. */
export function tableObstacle({ host, level }: Stage): string | undefined {
  const { main, settings } = host;
  if (main.maps === undefined) return 'there is no maps directory';
  if (level === undefined) return 'there is no transport for it';
  if (main.settings.source.kind === 'redis') return 'with settings in Redis every host would write tables for it';
  if (settings.size > MOST_DOMAINS) return `the tables of ${settings.size} domains would be written twice for it`;
  return undefined;
}
