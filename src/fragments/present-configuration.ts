/**
 * Reads what Postfix has now, as far as the fragments depend on it.
 */
import type { PresentConfiguration } from './fragment.ts';
import { DATA_RESTRICTIONS, PARAMETERS_EXTENDED, PARAMETERS_SEEN, RECIPIENT_RESTRICTIONS } from './main-parameters.ts';
import { expandedParameters, overridesOf, parameters } from './postconf.ts';

export async function readPresentConfiguration(configDirectory: string): Promise<PresentConfiguration> {
  const [extended, seen, overrides] = await Promise.all([
    parameters(configDirectory, PARAMETERS_EXTENDED),
    expandedParameters(configDirectory, PARAMETERS_SEEN),
    overridesOf(configDirectory, [RECIPIENT_RESTRICTIONS, DATA_RESTRICTIONS]),
  ]);
  return { parameters: new Map([...extended, ...seen]), overrides };
}
