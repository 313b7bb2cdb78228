/**
 * What this host's Postfix has not been told yet of a domain that was just changed: a level that is used for the first time
 * needs a transport, which only `postfix apply` puts into master.cf.
 */
import { ApplyDirectory } from '../../apply/apply-directory.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { masterEntries } from '../../postfix/postconf.ts';
import { transportName } from '../../route/transport.ts';
import type { HostedDomain } from '../../settings/hosted-domain.ts';
import { SettingsOwner } from '../../settings/settings-owner.ts';
import { transportsInUse } from '../../tables/transports-in-use.ts';

/**
 * The transports that mail of this domain needs and master.cf lacks; none where `postfix apply` was never run, for that
 * host is not to enforce anything yet. Best effort: the change is made already.
 */
export async function missingTransports(main: MainFile, domain: HostedDomain): Promise<readonly string[]> {
  const { configDirectory, relayhost } = main.postfix;
  const owner = new SettingsOwner(relayhost);
  owner.add(domain);
  const needed = transportsInUse(owner.settings).map(transportName);
  if (needed.length === 0) return [];
  try {
    if ((await new ApplyDirectory(configDirectory).record()) === undefined) return [];
    const entries = await masterEntries(configDirectory);
    return needed.filter((name) => !entries.has(`${name}/unix`));
  } catch {
    return [];
  }
}
