// The dashboard and the alert rules in monitoring/, held by promtool against what a real service exports: a query that
// names what is not there, or that is no PromQL, fails here and not on somebody's wall.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { attempt } from '../harness/command.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { MeasuredService, type ScrapedSample } from '../metrics/measured-service.ts';
import { mixedMail, mixedSettings } from '../metrics/mixed-mail.ts';

const folder = new URL('../../../monitoring/', import.meta.url);
const alertsFile = fileURLToPath(new URL('alerts.yml', folder));

/** What Prometheus adds to all that it scrapes. */
const TARGET = { job: 'tlswarden', instance: 'mx1.example:10041' };

/** Values, one a step, in promtool's notation, of the series that a selector means. */
type Course = Readonly<Record<string, string>>;

interface Situation {
  readonly what: string;
  /** What goes otherwise than in a service that does well. */
  readonly course: Course;
  readonly minutes: number;
  /** Another host's series, by name. */
  readonly other?: Course;
  readonly queries: readonly {
    readonly expr: string;
    readonly expected: readonly { labels: string; value: number }[];
  }[];
}

/** All that a service shows that has settings in Redis, a snapshot, tables, and a little of every kind of mail behind it. */
async function scrapeOfAll(workspace: Workspace): Promise<readonly ScrapedSample[]> {
  const redis = await RedisServer.start(workspace);
  const main = `
[settings]
source = "${redis.url}"
snapshot = "snapshot"
[maps]
directory = "maps"
type = "texthash"`;
  const service = await MeasuredService.begin(workspace, { main });
  const settings = await workspace.write('mixed.toml', mixedSettings);
  assert.equal((await service.run('domains', 'import', settings)).status, 0);
  await service.untilMetric('tlswarden_ready', 1);
  assert.equal((await service.run('maps')).status, 0);
  await service.makeTablesOld();
  for (const name of ['redis_following', 'tables_current', 'snapshot_current']) {
    await service.untilMetric(`tlswarden_${name}`, 1);
  }
  await service.untilMetric('tlswarden_tables_domains_not_held', 0);
  await mixedMail(service);
  const { samples } = await service.scrape();
  return [...samples, { name: 'up', labels: {}, value: 1 }];
}

function wordSelector({ name, labels }: Pick<ScrapedSample, 'name' | 'labels'>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `${name}{${pairs.join(',')}}`;
}

/** Runs situations through promtool; '' if all is as expected. */
async function runThrough(
  workspace: Workspace,
  samples: readonly ScrapedSample[],
  situations: readonly Situation[],
  stepMinutes = 1,
): Promise<string> {
  const tests = situations.map(({ what, course, minutes, other = {}, queries }) => {
    const used = new Set<string>();
    const input_series = samples.map((sample) => {
      const series = wordSelector({ name: sample.name, labels: { ...sample.labels, ...TARGET } });
      const own = Object.keys(course).find((selector) => means(selector, sample));
      if (own !== undefined) used.add(own);
      return { series, values: own === undefined ? `${sample.value}x${minutes / stepMinutes}` : course[own] };
    });
    for (const [name, values] of Object.entries(other)) {
      assert.ok(
        samples.some((sample) => sample.name === name),
        name,
      );
      input_series.push({
        series: wordSelector({ name, labels: { ...TARGET, instance: 'mx2.example:10041' } }),
        values,
      });
    }
    assert.deepEqual([...used].sort(), Object.keys(course).sort(), `${what}: what is changed is not exported`);
    return {
      name: what,
      interval: `${stepMinutes}m`,
      input_series,
      promql_expr_test: queries.map(({ expr, expected }) => ({
        expr,
        eval_time: `${minutes}m`,
        exp_samples: expected,
      })),
    };
  });
  // JSON is YAML, too.
  const file = await workspace.write(
    'situations.yml',
    JSON.stringify({ rule_files: [alertsFile], evaluation_interval: `${stepMinutes}m`, tests }),
  );
  const { status, stdout, stderr } = await attempt('promtool', ['test', 'rules', file]);
  return status === 0 ? '' : `${stdout}${stderr}`;
}

/** Whether `name{label="value"}` means a sample. */
function means(selector: string, { name, labels }: ScrapedSample): boolean {
  const [, wanted, pairs = ''] = /^([a-z_]+)(?:\{(.*)\})?$/u.exec(selector) ?? [];
  return (
    wanted === name &&
    [...pairs.matchAll(/([a-z_]+)="([^"]*)"/gu)].every(([, label = '', value]) => labels[label] === value)
  );
}

/** What fires, and nothing else. */
function firing(...alerts: readonly string[]): Situation['queries'] {
  return [
    {
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      expected: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
    },
  ];
}

const hour = 60;
const alert = (name: string, course: Course, minutes = hour): Situation => ({
  what: name,
  course,
  minutes,
  queries: firing(name),
});

/** Half of all replies take 50 to 100 milliseconds. */
const slow = (name: string, bounds: readonly string[], from: number): Course =>
  Object.fromEntries(
    [...bounds, '+Inf'].map((le) => [`${name}_bucket{le="${le}"}`, `0+${Number(le) < from ? 50 : 100}x60`]),
  );

const reply = ['0.00001', '0.000025', '0.00005', '0.0001', '0.00025', '0.0005', '0.001', '0.0025', '0.005', '0.01'];
const replyBounds = [...reply, '0.025', '0.05', '0.1', '0.25', '0.5', '1'];
const delayBounds = ['0.002', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5'];

/** One situation for each alert. In promtool's time the epoch is the beginning. */
const alerts: readonly Situation[] = [
  alert('TlswardenDown', { up: '0x60' }),
  alert('TlswardenNotReady', { tlswarden_ready: '0x60' }),
  alert('TlswardenRestarting', { process_start_time_seconds: '0x15 600x15 1200x15 1800x5 2400x5 3000x20' }),
  alert('TlswardenSettingsNotInForce', { tlswarden_settings_reload_failing: '1x60' }),
  alert('TlswardenTablesStale', {
    tlswarden_tables_current: '0x60',
    tlswarden_tables_written_timestamp_seconds: '0x60',
  }),
  alert('TlswardenRedisNotFollowed', { tlswarden_redis_following: '0x60' }),
  { ...alert('TlswardenHostBehind', {}), other: { tlswarden_redis_position: '100x60' } },
  alert('TlswardenRecordsRefused', { tlswarden_redis_refused_records: '1x60' }),
  alert('TlswardenSnapshotOld', {
    tlswarden_snapshot_current: '0x60',
    tlswarden_snapshot_written_timestamp_seconds: '0x60',
  }),
  alert('TlswardenDefect', { 'tlswarden_trouble_total{kind="handler-failed"}': '0x50 1x10' }),
  alert('TlswardenTrouble', { 'tlswarden_trouble_total{kind="too-slow"}': '0+3x60' }),
  alert('TlswardenConnectionsNearMax', { tlswarden_connections: '3500x60' }),
  alert('TlswardenConnectionsRefused', { tlswarden_connections_refused_total: '0x55 3x5' }),
  alert('TlswardenSlow', slow('tlswarden_reply_seconds', replyBounds, 0.1)),
  alert('TlswardenEventLoopDelayed', slow('tlswarden_event_loop_delay_seconds', delayBounds, 0.5)),
  alert('TlswardenUnsure', { 'tlswarden_requests_total{decision="unsure"}': '0+3x60' }),
  alert('TlswardenLanesForgotten', { tlswarden_lanes_forgotten_total: '0+1x60' }),
];

/** One that looks at a whole day, in steps of five minutes. */
const DAY_STEP = 5;
const surge = alert(
  'TlswardenRefusalsSurge',
  { 'tlswarden_refusals_total{flow="incoming",reason="tls",action="reject"}': '0+5x290 1450+300x10' },
  1_500,
);

/** What must wake nobody. */
const quiet: readonly Situation[] = [
  { what: 'a service that does well', course: {}, minutes: hour, queries: firing() },
  {
    what: 'tables that are behind at every look, and are written all the time',
    course: { tlswarden_tables_current: '0x60', tlswarden_tables_written_timestamp_seconds: '0+60x60' },
    minutes: hour,
    queries: firing(),
  },
  {
    what: 'neither tables nor Redis',
    course: {
      tlswarden_tables_configured: '0x60',
      tlswarden_tables_current: '0x60',
      tlswarden_tables_written_timestamp_seconds: '0x60',
      tlswarden_redis_configured: '0x60',
      tlswarden_redis_following: '0x60',
      tlswarden_snapshot_configured: '0x60',
      tlswarden_snapshot_current: '0x60',
      tlswarden_snapshot_written_timestamp_seconds: '0x60',
    },
    minutes: hour,
    queries: firing(),
  },
  {
    what: 'much refused in the first hour of a new host',
    course: { 'tlswarden_refusals_total{flow="incoming",reason="tls",action="reject"}': '0+60x60' },
    minutes: hour,
    queries: firing(),
  },
  {
    what: 'a start after which some messages come again, and monitor that would have refused much',
    course: {
      'tlswarden_requests_total{decision="unsure"}': '0x10 5x50',
      'tlswarden_refusals_total{action="warn"}': '0x10 0+600x50',
    },
    minutes: hour,
    queries: firing(),
  },
];

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
  readonly panels: readonly Panel[];
}

/** A query as Grafana sends it, all jobs and hosts being chosen. */
function fillIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:job|instance)\b/gu, '.*');
}

describe('monitoring', () => {
  let workspace: Workspace;
  let samples: readonly ScrapedSample[];
  let dashboard: Dashboard;

  before(async () => {
    workspace = await Workspace.create();
    samples = await scrapeOfAll(workspace);
    dashboard = JSON.parse(await readFile(new URL('grafana-dashboard.json', folder), 'utf8')) as Dashboard;
  });
  after(() => workspace.dispose());

  it('has alert rules that promtool takes, and a situation for each', async () => {
    const { status, stdout, stderr } = await attempt('promtool', ['check', 'rules', alertsFile]);
    assert.equal(status, 0, stdout + stderr);
    const rules = (await readFile(alertsFile, 'utf8')).matchAll(/^ +- alert: (\w+)$/gmu);
    assert.deepEqual([...rules].map(([, name]) => name).sort(), [surge, ...alerts].map(({ what }) => what).sort());
  });

  it('fires each alert when it should, by what the service really exports, and no other with it', async () => {
    assert.equal(await runThrough(workspace, samples, alerts), '');
    assert.equal(await runThrough(workspace, samples, [surge], DAY_STEP), '');
  });

  it('fires none when all is well, however odd it looks', async () => {
    assert.equal(await runThrough(workspace, samples, quiet), '');
  });

  it('has a dashboard whose every query finds something in what the service really exports', async () => {
    const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ title, expr: fillIn(expr) })),
    );
    assert.ok(queries.length > 25);
    for (const { title, expr } of queries) assert.doesNotMatch(expr, /\$/u, title);
    const found = queries.map(({ expr }) => ({
      expr: `(count(${expr}) > bool 0)`,
      expected: [{ labels: '{}', value: 1 }],
    }));
    const situation = { what: 'the dashboard', course: {}, minutes: hour, queries: found };
    assert.equal(await runThrough(workspace, samples, [situation]), '');
  });

  it('asks for no label and no value of one that the service does not export', async () => {
    const known = new Set(
      samples.flatMap(({ labels }) => Object.entries(labels).map(([label, value]) => `${label}=${value}`)),
    );
    for (const [label, value] of Object.entries(TARGET)) known.add(`${label}=${value}`);
    const texts = [
      await readFile(alertsFile, 'utf8'),
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ];
    const asked = texts
      .flatMap((text) => [...text.matchAll(/([a-z_]+)(?:=~?|!=|!~)"([^"]*)"/gu)])
      .flatMap(([, label, values = '']) => values.split('|').map((value) => `${label}=${value}`))
      .filter((pair) => !pair.includes('$'));
    assert.ok(asked.length > 10);
    assert.deepEqual(
      asked.filter((pair) => !known.has(pair)),
      [],
    );
  });

  it('would tell if a query of the dashboard found nothing', async () => {
    const queries = [{ expr: '(count(tlswarden_no_such_metric) > bool 0)', expected: [{ labels: '{}', value: 1 }] }];
    const situation = { what: 'nothing', course: {}, minutes: hour, queries };
    assert.match(await runThrough(workspace, samples, [situation]), /tlswarden_no_such_metric/u);
  });

  it('has a dashboard that shows every metric, each panel in its own place', () => {
    const { panels, templating } = dashboard;
    const all = JSON.stringify([panels, templating]);
    const names = new Set(samples.map(({ name }) => name.replace(/_(?:bucket|sum|count)$/u, '')));
    const unseen = [...names].filter(
      (name) => name !== 'up' && !new RegExp(`\\b${name}(?:_bucket)?\\b`, 'u').test(all),
    );
    assert.deepEqual(unseen, [
      'tlswarden_replies_total',
      'tlswarden_lanes_messages_max',
      'tlswarden_settings_generation',
      'tlswarden_settings_loaded_timestamp_seconds',
      'tlswarden_redis_connected',
      'tlswarden_redis_refused_records',
    ]);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} overlaps another panel`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });
});
