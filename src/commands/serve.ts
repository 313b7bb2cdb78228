/**
 * `tlswarden serve`: the policy service, put together. Settings in force, tables in force and lanes on one side, the
 * network on the other, and signals around them. It decides nothing itself.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Command } from 'commander';
import { type DecisionContext, decide, isWithheld } from '../decision/decide.ts';
import { NO_TABLES } from '../decision/delivery.ts';
import { Lanes } from '../decision/lanes.ts';
import { isOwnQuestion } from '../decision/own-question.ts';
import { openLog } from '../log/logger.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { openReportKeeper } from '../main-file/open-report-store.ts';
import { openSource } from '../main-file/open-source.ts';
import { ServiceMetrics } from '../metrics/service-metrics.ts';
import { countRecipientsIn } from '../report/count-recipient.ts';
import { DecisionLog } from '../service/decision-log.ts';
import { ListenError } from '../service/listener.ts';
import { ServiceNotifier } from '../service/notify.ts';
import { roomForConnections } from '../service/open-files.ts';
import { takePassedSockets } from '../service/passed-sockets.ts';
import { PolicyServer } from '../service/server.ts';
import { compileExemptClients } from '../settings/exempt-clients.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsInForce } from '../source/settings-in-force.ts';
import { DeployedTables } from '../tables/deployed-tables.ts';
import { ComplaintError, complaintFields } from '../toml/complaint.ts';
import { action, CommandFailure, WELL } from './command-context.ts';
import { readServerAddresses } from './server-addresses.ts';
import { untilStopped } from './until-stopped.ts';

/** What the handler decides by; the settings' owner writes it, between two requests. */
type MutableContext = { -readonly [K in keyof DecisionContext]: DecisionContext[K] };

/** Makes `tlswarden serve` a command of `program`. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .summary('run the policy service')
    .description(
      "Answers Postfix's policy requests (check_policy_service) until SIGTERM. SIGHUP reads the settings again; so does a change " +
        'in the settings directory. It logs to standard error: a JSON line an event, readable lines on a terminal. With ' +
        'server.metrics in the main file it shows /metrics, /healthz and /readyz there.',
    )
    .option('--try', 'when ready, print a request to try')
    .addHelpText(
      'after',
      '\nExit status: 0 stopped by a signal; 1 it cannot listen; 2 main file or settings that cannot be used.',
    )
    .action(
      action(async (context, flags: { readonly try?: boolean }) => {
        const main = await context.readMain();
        await serve(main, program.version() ?? '', (settings, addresses) => {
          if (flags.try === true) context.print(wordReady(settings, addresses));
        });
        return WELL;
      }),
    );
}

/** What `npm start` prints: that it is ready, and a line to try. */
function wordReady(settings: Settings, addresses: readonly string[]): string {
  const ready = `ready on ${addresses.join(', ')} with ${settings.size} domains`;
  const tcp = addresses.find((address) => !address.startsWith('unix:'));
  const request = sampleRequest(settings);
  if (tcp === undefined || request === '') return ready;
  const [host, port] = [tcp.slice(0, tcp.lastIndexOf(':')), tcp.slice(tcp.lastIndexOf(':') + 1)];
  // bash speaks TCP by itself; netcat is not everywhere.
  return `${ready}; try, in another terminal:\n  bash -c "exec 3<>/dev/tcp/${host}/${port}; printf '${request}' >&3; head -n 1 <&3"`;
}

/** Runs the service until SIGTERM or SIGINT; resolves when it has stopped. Throws what keeps it from starting. */
export async function serve(
  main: MainFile,
  version: string,
  ready: (settings: Settings, addresses: readonly string[]) => void,
): Promise<void> {
  const addresses = readServerAddresses(main, takePassedSockets(process.env, process.pid));
  if (addresses.complaints.length > 0) throw new ComplaintError(addresses.complaints);
  const { allowRemote } = main.server;
  const log = openLog(main.log.level);
  const { logger } = log;
  // Until the settings are loaded a SIGHUP asks for nothing that is not under way; by default it would end the process.
  process.on('SIGHUP', () => {});
  const notifier = new ServiceNotifier(process.env, process.pid, logger);
  const decisionLog = new DecisionLog(logger);
  const lanes = new Lanes(Date.now());
  const keeper = openReportKeeper(main, logger, process.env);
  const count = keeper === undefined ? undefined : countRecipientsIn(keeper.tally);
  const isExempt = compileExemptClients(main.receipt.exemptClients);
  let context: MutableContext | undefined;
  let tables: DeployedTables | undefined;
  let isStarted = false;

  const inForce = new SettingsInForce(openSource(main, { log: logger, keepsSnapshot: true }), {
    changed(settings, generation) {
      const { addresses } = main;
      tables?.update(settings);
      context ??= { settings, generation, addresses, tables: NO_TABLES, lanes, isExempt, count };
      context.settings = settings;
      context.generation = generation;
      logger.info({ domains: settings.size, generation }, 'settings in force');
      // They may come after the start, from a Redis that was away.
      if (tables === undefined && isStarted) void startTables();
    },
    failed(error) {
      logger.error(complaintFields(error), 'settings cannot be used; those in force stay');
    },
  });

  const startTables = async (): Promise<void> => {
    if (main.maps === undefined || context === undefined) return;
    tables = new DeployedTables(main.maps.directory, context.settings);
    context.tables = tables;
    await tables.start();
  };

  const maxConnections = Math.min(main.server.maxConnections, roomForConnections() ?? Number.POSITIVE_INFINITY);
  if (maxConnections < main.server.maxConnections) {
    logger.warn(
      { max_connections: main.server.maxConnections, room: maxConnections },
      'max_connections is more than this process may have open: raise LimitNOFILE, or the hard limit of ulimit -n',
    );
  }
  let isStopping = false;
  const unready = (): string | undefined => {
    if (isStopping) return 'stopping';
    if (context === undefined) return 'no settings are in force yet';
    return server.addresses.length === 0 ? 'not listening yet' : undefined;
  };
  const readParts = async () => ({
    connections: server.counters,
    maxConnections,
    lanes,
    settings: inForce,
    hasTables: main.maps !== undefined,
    tables: await tables?.read(),
    redis: inForce.following,
  });
  const metrics =
    addresses.metrics === undefined
      ? undefined
      : new ServiceMetrics({ version, log: logger, unready, read: readParts });

  const server = new PolicyServer({
    log: logger,
    replyTimes: metrics?.replyTimes,
    maxConnections,
    handler(request) {
      if (context === undefined || isWithheld(context, request)) return undefined;
      if (isOwnQuestion(request)) return decide({ ...context, count: undefined }, request, Date.now()).reply;
      const decision = decide(context, request, Date.now());
      metrics?.decisions.count(request.protocolState, decision);
      decisionLog.write(context, request, decision);
      return decision.reply;
    },
  });
  try {
    // First of all: it also tells that settings are still waited for.
    if (addresses.metrics !== undefined) await metrics?.listen(addresses.metrics, { allowRemote });
    await inForce.start();
    collectGarbage();
    await startTables();
    isStarted = true;
    await server.listen(addresses.sockets, { allowRemote });
    logger.info({ listen: server.addresses, metrics: metrics?.address }, 'ready');
    keeper?.start();
    if (inForce.settings !== undefined) ready(inForce.settings, server.addresses);
    notifier.ready(`answers on ${server.addresses.join(', ')}`);
    if (notifier.watchdogMs !== undefined) setInterval(() => notifier.watchdog(), notifier.watchdogMs / 2).unref();
    await untilStopped(async () => {
      notifier.reloading();
      const isRead = await inForce.refresh();
      notifier.ready(isRead ? 'settings read again' : 'settings cannot be used; those in force stay');
      // A change has been told already; whoever asks wants to know also that there is none.
      if (isRead) logger.info({ generation: inForce.generation }, 'settings read again');
    });
    logger.info('stopping');
    isStopping = true;
    notifier.stopping();
  } catch (error) {
    throw error instanceof ListenError ? new CommandFailure(error.message) : error;
  } finally {
    inForce.stop();
    tables?.stop();
    await server.stop();
    await keeper?.stop();
    await metrics?.stop();
    log.flush();
  }
}

/**
 * Reading a fleet's files leaves more behind than the settings themselves take, and V8 is in no hurry to give memory back
 * to the host. Before the service listens nobody waits for it.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}

/** A request whose answer shows the service at work: plaintext mail to a domain that requires TLS of everyone. */
function sampleRequest(settings: Settings): string {
  for (const domain of settings.domains()) {
    if (domain.settings.incoming.receipt?.condition.kind !== 'always') continue;
    const lines = ['request=smtpd_access_policy', 'protocol_state=RCPT', 'sender=someone@partner.example'];
    return [...lines, `recipient=postmaster@${domain.name}`, 'encryption_protocol=', '', ''].join('\\n');
  }
  return '';
}
