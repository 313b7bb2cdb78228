/**
 * `tlswarden report`: what the services have counted: how much mail, how much of it in plaintext, and who would be refused.
 * It reads counts, and begins them anew if it is told to; it counts nothing itself.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, Option } from 'commander';
import type { DomainName } from '../address/domain-name.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { openReportForReading } from '../main-file/open-report-store.ts';
import { loadSettings } from '../main-file/open-source.ts';
import { RedisTrouble } from '../redis/redis-link.ts';
import { Deliveries } from '../report/deliveries.ts';
import { MailLog } from '../report/mail-log.ts';
import { reportCsv, reportDocument } from '../report/report-document.ts';
import type { Counted, ReportStore } from '../report/report-store.ts';
import { StateDamaged } from '../report/state-file.ts';
import { GROUPINGS, type Grouping, type Question, summarize } from '../report/summary.ts';
import { deliveriesCsv, deliveriesDocument, type ReadLog, wordDeliveries } from '../report/word-deliveries.ts';
import { wordReport } from '../report/word-report.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import type { StoreContents } from '../source/settings-store.ts';
import { ComplaintError, wordComplaint } from '../toml/complaint.ts';
import { action, type CommandContext, CommandFailure, openStore, UsageError, WELL } from './command-context.ts';
import { domainArgument, findDomain } from './domains/find-domain.ts';

const HELP = `
The service counts each recipient that Postfix asks it about, when it is asked: one that is refused and tried again counts
again. Under enforcement = "monitor" mail passes, and WOULD REFUSE is whom enforcing would refuse; a domain without any
setting is counted too, and PLAINTEXT is whom require_tls = "always" would refuse. Mail between two hosted domains is
incoming of one and outgoing of the other. LAST LACKING: the last recipient in plaintext or with less than is asked for.
--plaintext and --refused say which rows are shown; a row, and what stands above the tables, is still all of its mail.

Counts are kept in the file that [report] state names; with settings in Redis there, for all hosts together; under the
unit of systemd in /var/lib/tlswarden/report. They hold domains only, and no local parts, unless local_parts = true. There
are [report] max_rows of them, 50,000 if it does not say; what is too much is counted as (others).

Whether a delivery has its TLS the service does not see; Postfix logs it. With --maillog the rows are what that log tells of
mail that was sent by SMTP: in plaintext or by which TLS, and what the settings, also those under monitor, would not have let
leave. smtp_tls_loglevel = 1 must stand in main.cf. What goes to this very host, to a content filter, is left out.

Examples:
  $ tlswarden report
  $ tlswarden report example.com --refused        # the senders that enforcing would refuse
  $ tlswarden report --by remote --plaintext      # everybody who sends in plaintext
  $ tlswarden report --by pair --csv > report.csv
  $ tlswarden report --maillog /var/log/mail.log
  $ zcat -f /var/log/mail.log.1 /var/log/mail.log | tlswarden report --maillog - example.com
  $ tlswarden --json report      {"place": "…", "since": "…", "now": "…", "hosts": [], "by": "domain", "totals": {incoming, outgoing},
                                  "would_refuse": {…}, "rows": [{flow, domain, remote, recipients, sessions, refused, …}]}

Exit status: 0; 1 if nothing is counted, it cannot be read, a domain is neither hosted nor counted, or what --maillog names is
no log of Postfix's; 2 wrong usage or configuration.`;

const DEFAULT_ROWS = 20;

interface Options {
  readonly by?: Grouping;
  readonly flow?: Flow;
  readonly plaintext?: true;
  readonly refused?: true;
  readonly number?: string;
  readonly csv?: true;
  readonly maillog?: string;
  readonly reset?: true;
}

/**
 * Makes `tlswarden report` a command of `program`. With --json: {@link reportDocument} or {@link deliveriesDocument}.
 */
export function addReport(program: Command): void {
  program
    .command('report')
    .argument('[domains...]', 'hosted domains or aliases; all, if none is named')
    .addOption(
      new Option('--by <what>', 'a row for each hosted domain, remote domain, or pair of both').choices(GROUPINGS),
    )
    .addOption(new Option('--flow <flow>', 'only mail to, or from, hosted domains').choices(FLOWS))
    .option('--plaintext', 'only rows with mail in plaintext')
    .option('--refused', 'only rows with mail that was refused, or would be')
    .option('-n, --number <rows>', `so many rows of each table at most; ${DEFAULT_ROWS}, if it is not given`)
    .option('--csv', 'all rows as CSV')
    .option(
      '--maillog <file>',
      "what Postfix's log tells of deliveries, which the service does not see; - is standard input",
    )
    .option('--reset', 'begin to count anew')
    .summary('how much mail comes in plaintext, and who would be refused')
    .description(
      'Prints what the services have counted: by hosted domain and by remote domain, how much mail there is, how much of it ' +
        'in plaintext, which TLS versions, and who would be refused if what is under monitor were enforced.',
    )
    .addHelpText('after', HELP)
    .action(
      action(async (context, names: readonly string[], options: Options) => {
        const most = Number(options.number ?? DEFAULT_ROWS);
        if (!(most > 0)) throw new UsageError(`"${options.number}" is no number of rows`);
        if (options.csv && context.json) throw new UsageError('say --csv or --json, not both');
        const given = names.map(domainArgument);
        if (options.reset) {
          const [other] = Object.keys(options).filter((option) => option !== 'reset');
          if (other !== undefined) throw new UsageError(`say --reset or --${other}, not both`);
          if (names.length > 0) throw new UsageError('--reset is for all domains, and takes none');
        }
        const main = await context.readMain();
        if (options.reset) return await reset(context, openStoreOf(main));
        const questionOf = (domains: readonly string[]): Question => ({
          by: options.by ?? (names.length === 0 ? 'domain' : 'pair'),
          flow: options.flow,
          domains,
          plaintext: options.plaintext === true,
          refused: options.refused === true,
        });
        const form = { width: process.stdout.columns || Number.POSITIVE_INFINITY, blocks: isUtf8(process.env), most };
        if (options.maillog === undefined) {
          const store = openStoreOf(main);
          const counted = await readCounted(main, store);
          const summary = summarize(counted, questionOf(await namedDomains(context, main, given, counted)));
          if (context.json) context.printJson(reportDocument(summary, store.name, Date.now()));
          else if (options.csv) context.print(reportCsv(summary));
          else context.print(wordReport(summary, { ...form, now: Date.now(), hasTables: main.maps !== undefined }));
        } else {
          const settings = await loadSettings(main);
          const question = questionOf([...new Set(given.map((name) => hostedName(settings, name)))]);
          const log = await readMailLog(main, settings, options.maillog, question);
          if (context.json) context.printJson(deliveriesDocument(log));
          else if (options.csv) context.print(deliveriesCsv(log));
          else context.print(wordDeliveries(log, form));
        }
        return WELL;
      }),
    );
}

function hostedName(settings: Settings, name: DomainName): DomainName {
  const found = settings.find(name);
  if (found === undefined) throw new CommandFailure(`${name} is not hosted here: it has no settings`);
  return found.name;
}

async function readMailLog(main: MainFile, settings: Settings, file: string, question: Question): Promise<ReadLog> {
  const deliveries = new Deliveries(settings, main.addresses, question);
  const log = new MailLog();
  const name = file === '-' ? 'standard input' : file;
  // A byte that is no UTF-8 does not matter: it is in nobody's domain.
  const input = file === '-' ? process.stdin : createReadStream(file);
  const failed = new Promise<never>((_, reject) => input.once('error', reject));
  const read = async (): Promise<void> => {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const delivery = log.read(line);
      if (delivery !== undefined) deliveries.add(delivery);
    }
  };
  try {
    // The lines of a file that cannot be read come to no end.
    await Promise.race([read(), failed]);
  } catch (error) {
    throw new CommandFailure(`${name} cannot be read: ${(error as Error).message}`);
  }
  if (!log.isOfPostfix) throw new CommandFailure(`${name} holds no line of Postfix's log`);
  return {
    name,
    domains: question.domains,
    period: log.period,
    hasTls: log.hasTls,
    groups: deliveries.groups(),
    chosen: deliveries.chosen(),
  };
}

async function reset(context: CommandContext, store: ReportStore): Promise<typeof WELL> {
  const now = Date.now();
  await store.reset(now);
  if (context.json) context.printJson({ place: store.name, since: new Date(now).toISOString() });
  else context.print(`${store.name}: counting begins anew`);
  return WELL;
}

function openStoreOf(main: MainFile): ReportStore {
  const store = openReportForReading(main, { error: () => {} });
  if (store !== undefined) return store;
  throw new CommandFailure(`nothing is counted: [report] enabled is false in ${main.path}`);
}

async function readCounted(main: MainFile, store: ReportStore): Promise<Counted> {
  let counted: Counted | undefined;
  try {
    counted = await store.read();
  } catch (error) {
    if (!(error instanceof StateDamaged)) throw error;
    throw new CommandFailure(`${store.name} is damaged: ${error.message}; the service begins anew when it writes`);
  }
  if (counted !== undefined) return counted;
  if (main.report.state === undefined && main.settings.source.kind === 'directory') {
    throw new CommandFailure(
      `nothing is counted yet in ${store.name}, where a service that systemd starts keeps its counts; any other ` +
        `counts nothing until [report] state in ${main.path} names a file, and it is started anew`,
    );
  }
  throw new CommandFailure(
    `nothing is counted yet in ${store.name}: the service writes there some seconds after the first mail, if it may; ` +
      'its log says why not, and [report] state in the main file names another place',
  );
}

/**
 * Hosted domains by their own names. Counts outlive settings, so one that is hosted no more is asked for as it is; one that
 * has no counts either is the command's failure, unless it may stand in settings that cannot be read just now.
 */
async function namedDomains(
  context: CommandContext,
  main: MainFile,
  names: readonly DomainName[],
  { rows }: Counted,
): Promise<readonly DomainName[]> {
  if (names.length === 0) return [];
  const { domains, complaints } = await readSettings(main, names);
  const found = names.map((name) => {
    const hosted = findDomain(domains, name);
    if (hosted !== undefined) return hosted.name;
    if (rows.some(({ domain }) => domain === name)) return name;
    const [complaint] = complaints;
    if (complaint === undefined) {
      throw new CommandFailure(`${name} is not hosted here: it has no settings, and nothing of it is counted`);
    }
    context.note(`the settings cannot be read: ${wordComplaint(complaint)}; ${name} is taken as it is`);
    return name;
  });
  return [...new Set(found)];
}

async function readSettings(main: MainFile, names: readonly DomainName[]): Promise<StoreContents> {
  try {
    return await openStore(main).read(names);
  } catch (error) {
    if (error instanceof ComplaintError) return { domains: new Map(), complaints: error.complaints };
    if (error instanceof RedisTrouble) return { domains: new Map(), complaints: [{ message: error.message }] };
    throw error;
  }
}

/** setlocale(3): the first of these that is set. */
function isUtf8(env: NodeJS.ProcessEnv): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /utf-?8/iu.test(locale);
}
