/**
 * The addresses of `[server]` in the main file as values, for those who listen and for those who only check. It opens
 * nothing.
 */

import type { MainFile } from '../main-file/main-file.ts';
import { type ListenAddress, parseListenAddress } from '../service/listen-address.ts';
import { quoted } from '../text/printable.ts';
import type { Complaint } from '../toml/complaint.ts';

/** What `[server]` names; whoever listens has to look at `complaints` first. */
export interface ServerAddresses {
  /** Where requests are taken, in the order of server.listen. */
  readonly sockets: readonly ListenAddress[];
  /** undefined: no metrics are shown. */
  readonly metrics: ListenAddress | undefined;
  readonly complaints: readonly Complaint[];
}

/** `passed` are the sockets that take the place of `listen`. What is no address is not there, but complained of. */
export function readServerAddresses(main: MainFile, passed: readonly ListenAddress[] = []): ServerAddresses {
  const { listen, metrics, allowRemote } = main.server;
  const complaints: Complaint[] = [];
  const read = (key: 'listen' | 'metrics', text: string): readonly ListenAddress[] => {
    const parsed = parseListenAddress(text, { allowRemote });
    if ('address' in parsed) return [parsed.address];
    complaints.push({ file: main.path, key: `server.${key}`, message: `${quoted(text)}: ${parsed.problem}` });
    return [];
  };
  const sockets = passed.length > 0 ? passed : listen.flatMap((text) => read('listen', text));
  const [metricsAddress] = metrics === undefined ? [] : read('metrics', metrics);
  return { sockets, metrics: metricsAddress, complaints };
}
