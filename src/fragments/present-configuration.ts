/**
 * Reads what Postfix has now, as far as the fragments depend on it.
 */

import { expandedParameters, overridesOf, parameters } from '../postfix/postconf.ts';
import type { PresentConfiguration } from './fragment.ts';
import { OVERRIDES_SEEN, PARAMETERS_EXTENDED, PARAMETERS_SEEN } from './main-parameters.ts';

/** `configDirectory`: where main.cf is. Rejects with a PostconfError. */
export async function readPresentConfiguration(configDirectory: string): Promise<PresentConfiguration> {
  const [extended, seen, overrides] = await Promise.all([
    parameters(configDirectory, PARAMETERS_EXTENDED),
    expandedParameters(configDirectory, PARAMETERS_SEEN),
    overridesOf(configDirectory, OVERRIDES_SEEN),
  ]);
  return { parameters: new Map([...extended, ...seen]), overrides };
}
