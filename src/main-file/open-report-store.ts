/**
 * From the main file to where counts are kept: the file that it names; or Redis, where the settings are in Redis; or the
 * state directory that systemd gives the service.
 */
import { join } from 'node:path';
import type { EventLog } from '../log/event-log.ts';
import { ReportInRedis } from '../redis/report-in-redis.ts';
import { ReportKeeper } from '../report/report-keeper.ts';
import type { ReportStore } from '../report/report-store.ts';
import { StateFile } from '../report/state-file.ts';
import type { MainFile } from './main-file.ts';

const FILE_NAME = 'report';
/** What `StateDirectory=tlswarden` of the unit is, for commands that systemd does not start. */
const STATE_DIRECTORY = '/var/lib/tlswarden';

/** undefined: nothing is to be counted, or there is no place that keeps it. */
function openReportStore(
  main: MainFile,
  log: Pick<EventLog, 'error'>,
  env: NodeJS.ProcessEnv,
): ReportStore | undefined {
  const { enabled, state, localParts, maxRows } = main.report;
  if (!enabled) return undefined;
  const bounds = { localParts, maxRows };
  if (state !== undefined) return new StateFile(state, bounds, log);
  const { source } = main.settings;
  if (source.kind === 'redis') return new ReportInRedis(source.address, bounds);
  // Of several directories, separated by colons, the first (systemd.exec(5)).
  const [directory] = env['STATE_DIRECTORY']?.split(':') ?? [];
  return directory ? new StateFile(join(directory, FILE_NAME), bounds, log) : undefined;
}

/** Counts for the service, and keeps them; `env` is its environment. */
export function openReportKeeper(main: MainFile, log: EventLog, env: NodeJS.ProcessEnv): ReportKeeper | undefined {
  const store = openReportStore(main, log, env);
  return store === undefined ? undefined : new ReportKeeper(store, main.report, log);
}

/** The counts for a command, which finds the service's state directory where the unit has it. */
export function openReportForReading(main: MainFile, log: Pick<EventLog, 'error'>): ReportStore | undefined {
  return openReportStore(main, log, { STATE_DIRECTORY });
}
