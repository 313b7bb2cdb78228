/**
 * What the postfix commands take from the main file: which Postfix, and what main.cf is to name.
 */
import type { FragmentContext } from '../../fragments/fragment.ts';
import { policyServiceAt } from '../../fragments/policy-service.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { parameterDefault } from '../../postfix/postconf.ts';
import { shellWords } from '../../text/shell-words.ts';
import { tablesOptions } from '../maps.ts';

/** {@link FragmentContext} but for what Postfix has now, and where that is. */
export interface ThisHost extends Pick<FragmentContext, 'policyService' | 'maps'> {
  readonly configDirectory: string;
}

/** Rejects with a PostconfError where Postfix has to be asked for its type of tables and does not answer. */
export async function thisHost(main: MainFile): Promise<ThisHost> {
  return {
    configDirectory: main.postfix.configDirectory,
    policyService: policyServiceAt(main.server.listen[0] ?? ''),
    maps: main.maps === undefined ? undefined : await tablesOptions(main),
  };
}

/** How somebody at a shell calls a Postfix program for this Postfix: `postfix reload`, `postfix -c /etc/postfix-out reload`. */
export async function commandFor(
  configDirectory: string,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  const isDefault = (await parameterDefault('config_directory')) === configDirectory;
  return shellWords(program, ...(isDefault ? [] : ['-c', configDirectory]), ...args);
}
