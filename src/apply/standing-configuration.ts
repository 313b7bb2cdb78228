/**
 * main.cf and master.cf as they stand, entry by entry: what `postfix apply` and `postfix revert` compare with. It reads
 * only.
 */
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { masterEntries, overridesOf, setParameters } from '../postfix/postconf.ts';

/** What can be changed, before and after it is. */
export interface StandingConfiguration {
  /** What main.cf sets, `$name` and all; what is left to its default is absent. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The entries of master.cf, by `name/type`, each in one line. */
  readonly services: ReadonlyMap<string, string>;
  /** Restrictions that services set for themselves, by `submission/inet/smtpd_recipient_restrictions`. */
  readonly overrides: ReadonlyMap<string, string>;
}

/** Rejects with a PostconfError. */
export async function readStandingConfiguration(configDirectory: string): Promise<StandingConfiguration> {
  const [parameters, services, overrides] = await Promise.all([
    setParameters(configDirectory),
    masterEntries(configDirectory),
    overridesOf(configDirectory, [RECIPIENT_RESTRICTIONS, DATA_RESTRICTIONS]),
  ]);
  return { parameters, services, overrides };
}
