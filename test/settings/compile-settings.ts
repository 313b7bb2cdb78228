/**
 * Compiles settings from TOML in a test, through the same parser and builder that the loaders use, without files.
 */
import { type Defaults, NO_DEFAULTS, parseDefaults, parseHostedDomain } from '../../src/settings/hosted-domain.ts';
import { BY_MX, parseNextHop } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import { Settings } from '../../src/settings/settings.ts';
import { SettingsOwner } from '../../src/settings/settings-owner.ts';
import { domainTables } from '../../src/source/domain-tables.ts';
import { type Complaint, wordComplaint } from '../../src/toml/complaint.ts';
import { parseToml } from '../../src/toml/read-toml.ts';

export interface Given {
  /** `[defaults…]`, as in the main file. */
  readonly defaults?: string;
  readonly relayhost?: string;
}

/** The settings of these files, or what is wrong with them. */
export function tryCompile(
  files: Readonly<Record<string, string>>,
  given: Given = {},
): Settings | readonly Complaint[] {
  const complaints: Complaint[] = [];
  const relayhost = parseNextHop(given.relayhost ?? '') ?? BY_MX;
  const base = { hasRelayhost: relayhost !== BY_MX, pool: new SettingPool() };
  let defaults: Defaults = NO_DEFAULTS;
  if (given.defaults !== undefined) {
    defaults = parseDefaults(parseToml(given.defaults, 'main.toml')['defaults'], 'main.toml', base, complaints);
  }
  const owner = new SettingsOwner(relayhost);
  for (const [name, text] of Object.entries(files)) {
    for (const [domain, table] of Object.entries(domainTables(parseToml(text, name), name, complaints))) {
      const parsed = parseHostedDomain(domain, table, name, { ...base, defaults }, complaints);
      if (parsed !== undefined) complaints.push(...owner.add(parsed));
    }
  }
  return complaints.length > 0 ? complaints : owner.settings;
}

/** The settings of this text; throws if anything is wrong with it. */
export function compile(text: string, given: Given = {}): Settings {
  const result = tryCompile({ 'a.toml': text }, given);
  if (result instanceof Settings) return result;
  throw new Error(result.map(wordComplaint).join('\n'));
}

/** The complaints about these files, worded. */
export function complaintsOf(files: string | Readonly<Record<string, string>>, given: Given = {}): readonly string[] {
  const result = tryCompile(typeof files === 'string' ? { 'a.toml': files } : files, given);
  return result instanceof Settings ? [] : result.map(wordComplaint);
}
