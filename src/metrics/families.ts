/**
 * What the service exports: every metric by name, type and meaning, made of a reading of its parts. All families are
 * there from the start, at zero if need be, and all labels are closed sets of words: nobody's domain or address is one.
 */
import type { ServiceCounters } from '../service/server.ts';
import type { Following } from '../source/settings-in-force.ts';
import type { TablesReading } from '../tables/deployed-tables.ts';
import type { DecisionCounters } from './decision-counters.ts';
import type { Family, MetricType, Sample } from './exposition.ts';
import type { Histogram } from './histogram.ts';
import type { ProcessMeter } from './process-meter.ts';

/** Everything that is exported, at one moment. Times are milliseconds since the epoch. */
export interface Reading {
  readonly version: string;
  readonly isReady: boolean;
  readonly decisions: DecisionCounters;
  readonly replyTimes: Histogram;
  readonly connections: ServiceCounters;
  readonly maxConnections: number;
  readonly lanes: { readonly size: number; readonly capacity: number; readonly forgotten: number };
  readonly settings: {
    readonly settings: { readonly size: number } | undefined;
    readonly generation: number;
    readonly changedAt: number | undefined;
    readonly loadedAt: number | undefined;
    readonly reloads: number;
    readonly reloadErrors: number;
    readonly isFailing: boolean;
  };
  /** Whether there is a maps directory. */
  readonly hasTables: boolean;
  /** undefined: they are not looked at yet. */
  readonly tables: TablesReading | undefined;
  /** undefined: the settings are not in Redis. */
  readonly redis: Following | undefined;
  readonly process: ProcessMeter;
}

/** The bounds of {@link Reading.replyTimes}: replies take microseconds, and trouble begins at milliseconds. */
export const REPLY_BOUNDS: readonly number[] = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];

/** In the order of the text; the same names whatever the reading. */
export function families(reading: Reading): readonly Family[] {
  return [
    ...serviceFamilies(reading),
    ...settingsFamilies(reading),
    ...tablesFamilies(reading),
    ...redisFamilies(reading.redis),
    ...processFamilies(reading.process),
  ];
}

function serviceFamilies(reading: Reading): readonly Family[] {
  const { connections, lanes } = reading;
  const trouble = Object.entries(connections.trouble).map(([kind, value]) => ({ labels: { kind }, value }));
  return [
    family('tlswarden_build_info', 'gauge', 'Always 1; which tlswarden this is, on which Node.js', [
      { labels: { version: reading.version, node: process.versions.node }, value: 1 },
    ]),
    gauge('tlswarden_ready', 'Whether requests are answered: settings are in force and it listens', reading.isReady),
    family(
      'tlswarden_requests_total',
      'counter',
      'Requests decided, by protocol state and decision',
      reading.decisions.decisions(),
    ),
    family(
      'tlswarden_refusals_total',
      'counter',
      'Recipients whose session lacked what receipt requires, by what it lacked and what was done; warn: under monitor, let pass',
      reading.decisions.refusals(),
    ),
    counter('tlswarden_replies_total', 'Replies given, those to requests of other types too', connections.requests),
    family(
      'tlswarden_reply_seconds',
      'histogram',
      'Time from reading the last bytes of a request until its reply was handed to the kernel',
      reading.replyTimes.samples(),
    ),
    family(
      'tlswarden_trouble_total',
      'counter',
      'Connections closed without a reply, by what was wrong; Postfix then tries again, or answers 451',
      trouble,
    ),
    gauge('tlswarden_connections', 'Connections of Postfix open now', connections.connections),
    gauge(
      'tlswarden_connections_max',
      'Connections of Postfix that may be open: server.max_connections',
      reading.maxConnections,
    ),
    counter('tlswarden_connections_accepted_total', 'Connections accepted', connections.accepted),
    counter(
      'tlswarden_connections_refused_total',
      'Connections closed at once because of server.max_connections',
      connections.refused,
    ),
    gauge('tlswarden_lanes_messages', 'Messages whose lane is remembered', lanes.size),
    gauge('tlswarden_lanes_messages_max', 'Messages whose lane can be remembered', lanes.capacity),
    counter(
      'tlswarden_lanes_forgotten_total',
      'Messages forgotten before their time to make room for others; with several recipients they are deferred',
      lanes.forgotten,
    ),
  ];
}

function settingsFamilies({ settings }: Reading): readonly Family[] {
  return [
    gauge('tlswarden_settings_domains', 'Hosted domains in the settings in force', settings.settings?.size ?? 0),
    gauge('tlswarden_settings_generation', 'Settings put in force since the start', settings.generation),
    time(
      'tlswarden_settings_changed_timestamp_seconds',
      'When the settings in force came into force',
      settings.changedAt,
    ),
    time('tlswarden_settings_loaded_timestamp_seconds', 'When settings were last loaded well', settings.loadedAt),
    family('tlswarden_settings_reloads_total', 'counter', 'Loads after the first, by how they ended', [
      { labels: { result: 'done' }, value: settings.reloads },
      { labels: { result: 'failed' }, value: settings.reloadErrors },
    ]),
    gauge(
      'tlswarden_settings_reload_failing',
      'Whether the last load failed, so that older settings are in force',
      settings.isFailing,
    ),
  ];
}

function tablesFamilies({ hasTables, tables }: Reading): readonly Family[] {
  return [
    gauge('tlswarden_tables_configured', 'Whether there is a maps directory', hasTables),
    time(
      'tlswarden_tables_written_timestamp_seconds',
      'When the tables in the maps directory were written; 0: there are none, or not whole',
      tables?.writtenAt,
    ),
    gauge(
      'tlswarden_tables_current',
      'Whether the tables were written from the settings in force',
      tables?.isCurrent ?? false,
    ),
    gauge(
      'tlswarden_tables_domains_not_held',
      'Domains answered by FILTER until all of Postfix uses tables that hold them: six minutes after a change',
      tables?.domainsNotHeld ?? 0,
    ),
  ];
}

function redisFamilies(redis: Following | undefined): readonly Family[] {
  const snapshot = redis?.snapshot;
  return [
    gauge('tlswarden_redis_configured', 'Whether the settings are in Redis', redis !== undefined),
    gauge('tlswarden_redis_connected', 'Whether there is a connection to Redis', redis?.isConnected ?? false),
    gauge('tlswarden_redis_following', 'Whether changes in Redis come into force here', redis?.isFollowing ?? false),
    time('tlswarden_redis_heard_timestamp_seconds', 'When Redis last answered', redis?.heardAt),
    gauge(
      'tlswarden_redis_position',
      'The change in Redis that the settings in force stand at, on all hosts alike',
      redis?.position ?? 0,
    ),
    gauge(
      'tlswarden_redis_refused_records',
      'Records in Redis that cannot be used; the last good settings of these domains stay, and what concerns a domain without any gets no reply',
      redis?.refusedRecords ?? 0,
    ),
    gauge(
      'tlswarden_snapshot_configured',
      'Whether a snapshot is kept for a start without Redis',
      snapshot !== undefined,
    ),
    time('tlswarden_snapshot_written_timestamp_seconds', 'When the snapshot was last written', snapshot?.writtenAt),
    gauge(
      'tlswarden_snapshot_current',
      'Whether the snapshot holds the settings in force',
      snapshot?.isCurrent ?? false,
    ),
  ];
}

function processFamilies(meter: ProcessMeter): readonly Family[] {
  return [
    family(
      'tlswarden_event_loop_delay_seconds',
      'histogram',
      'How late the process comes to what is due, looked at ten times a second',
      meter.delay.samples(),
    ),
    counter('process_cpu_seconds_total', 'User and system CPU time', meter.cpuSeconds),
    gauge('process_resident_memory_bytes', 'Resident memory', meter.residentBytes),
    gauge('process_start_time_seconds', 'When the process began, in seconds since the epoch', meter.startedAt),
  ];
}

function family(name: string, type: MetricType, help: string, samples: readonly Sample[]): Family {
  return { name, type, help, samples };
}

function counter(name: string, help: string, value: number): Family {
  return family(name, 'counter', help, [{ value }]);
}

function gauge(name: string, help: string, value: number | boolean): Family {
  return family(name, 'gauge', help, [{ value: Number(value) }]);
}

/** A moment, in seconds since the epoch; 0 if it never came. */
function time(name: string, help: string, milliseconds: number | undefined): Family {
  return gauge(name, help, (milliseconds ?? 0) / 1000);
}
