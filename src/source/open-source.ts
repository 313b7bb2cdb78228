/**
 * From `settings.source` of the main file to the thing that loads and watches the settings.
 */
import type { MainFile } from '../main-file/main-file.ts';
import { BY_MX } from '../settings/next-hop.ts';
import { ComplaintError } from '../toml/complaint.ts';
import { DirectorySource } from './directory-source.ts';
import type { SettingsSource } from './settings-in-force.ts';

export function openSource(main: MainFile): SettingsSource {
  const { source } = main.settings;
  if (source.kind === 'redis') {
    throw new ComplaintError([{ file: main.path, key: 'settings.source', message: 'redis is not supported yet' }]);
  }
  const { relayhost } = main.postfix;
  const context = { defaults: main.defaults, hasRelayhost: relayhost !== BY_MX, pool: main.pool };
  return new DirectorySource({ path: source.path, relayhost, context });
}
