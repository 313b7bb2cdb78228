/**
 * Which parts of main.cf and master.cf are tlswarden's own, told from what stands there: also those that were put in while
 * the main file named another address or maps directory. Pure.
 */

import { type Transport, transportName } from '../route/transport.ts';
import { CIPHER_GRADES, LEVELS, TLS_VERSIONS } from '../settings/level.ts';
import { tablePath } from '../tables/stamp.ts';
import { RECEIPT_ACCESS, RECEIPT_CLIENTS } from '../tables/table.ts';
import { normalServiceAddress } from './policy-service.ts';
import { isTableAt, splitValue } from './value-list.ts';

/** What our call of the service has Postfix answer in place of the service: nobody else says this. */
export const DEFAULT_ACTION = '{ default_action = 451 4.3.5 TLS policy service is not available, try again later }';

/** By what tlswarden's own is told. */
export interface Ours {
  readonly policyService: string;
  /** Maps directories: the one that is in use, and the one that main.cf names. */
  readonly directories: readonly string[];
}

/** `present` is main.cf's value of the class that receipt_access names: it tells the maps directory that main.cf goes by. */
export function oursOf(policyService: string, directory: string | undefined, present: string): Ours {
  const directories = [directory, directoryInUse(present)].filter((path) => path !== undefined);
  return { policyService, directories: [...new Set(directories)] };
}

/** The maps directory that main.cf names, if it names one. */
function directoryInUse(receiptClass: string): string | undefined {
  const table = splitValue(receiptClass)[1] ?? '';
  const end = tablePath('', RECEIPT_CLIENTS);
  return table.startsWith('cidr:') && table.endsWith(end) ? table.slice('cidr:'.length, -end.length) : undefined;
}

/** A call of the policy service: by its address, or by the default action, which the address may outlive. */
export function isOurCall(restriction: string, { policyService }: Ours): boolean {
  const [address = ''] = wordsOfCall(restriction) ?? [];
  return (
    (address !== '' && normalServiceAddress(address) === normalServiceAddress(policyService)) ||
    isWrittenCall(restriction)
  );
}

/** A call as tlswarden itself writes it. Another one of the same service is somebody's own. */
export function isWrittenCall(restriction: string): boolean {
  return wordsOfCall(restriction)?.includes(DEFAULT_ACTION) === true;
}

/** The address and the attributes of a check_policy_service; undefined: the restriction is another one. */
export function wordsOfCall(restriction: string): readonly string[] | undefined {
  const [name = '', argument = ''] = splitValue(restriction);
  if (name.toLowerCase() !== 'check_policy_service') return undefined;
  return argument.startsWith('{') ? splitValue(argument.slice(1, -1)) : [argument];
}

/** The look-up in receipt_access. */
export function isOurAccess(restriction: string, ours: Ours): boolean {
  const [name, argument = ''] = splitValue(restriction);
  return name?.toLowerCase() === 'check_recipient_access' && isOurTable(argument, RECEIPT_ACCESS, ours);
}

/** `lmdb:/etc/postfix/tlswarden/current/transport` */
export function isOurTable(element: string, table: string, { directories }: Ours): boolean {
  return directories.some((directory) => isTableAt(element, tablePath(directory, table)));
}

const transportsByService: ReadonlyMap<string, Transport> = new Map(
  LEVELS.flatMap((level) =>
    [undefined, ...TLS_VERSIONS].flatMap((minProtocol) =>
      [undefined, ...CIPHER_GRADES].flatMap((ciphers) =>
        [false, true].map((bounce): [string, Transport] => {
          const transport = { level, minProtocol, ciphers, bounce };
          return [`${transportName(transport)}/unix`, transport];
        }),
      ),
    ),
  ),
);

/** The transport that a service of master.cf is, by its name (`tlswarden-encrypt/unix`); undefined: it is not ours. */
export function transportOfService(service: string): Transport | undefined {
  return transportsByService.get(service);
}
