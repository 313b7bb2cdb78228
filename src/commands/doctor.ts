/**
 * `tlswarden doctor`: whether this Postfix really enforces the settings, and what mends it where it does not. What it looks
 * at stands in src/doctor.
 */
import type { Command } from 'commander';
import { type Diagnosis, examineHost } from '../doctor/examine-host.ts';
import { SEVERITIES } from '../doctor/finding.ts';
import { wordDiagnosis } from '../doctor/word-diagnosis.ts';
import { LeftBehind, type LiveOptions, runLive } from '../live/run-live.ts';
import type { Door } from '../live/smtp-sender.ts';
import { CannotTry } from '../live/stage.ts';
import type { Trial } from '../live/trial.ts';
import { wordLive } from '../live/word-live.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { settingsAtHand } from '../main-file/open-source.ts';
import { QueueError } from '../postfix/queue-program.ts';
import { systemResolvers } from '../probe/dns-client.ts';
import { parseListenAddress } from '../service/listen-address.ts';
import { DEFAULT_BASE } from '../settings/trial-domain.ts';
import {
  action,
  type CommandContext,
  CommandFailure,
  type ExitStatus,
  FAILED,
  openStore,
  UsageError,
  WELL,
} from './command-context.ts';
import { domainArgument } from './domains/find-domain.ts';
import { tablesOptions } from './maps.ts';
import { showProgress } from './progress.ts';

const HELP = `
It reads main.cf, master.cf, tables and settings, asks the policy service, and changes nothing. Of each finding it says
what it is, why it matters, and the commands that mend it. A breach lets mail go without the TLS that it has to have, or to
a wrong server; a fault refuses or delays mail without need, or is a safeguard that is missing; the rest is advice.

With --live it proves it besides: it hosts a few domains of its own for a minute, sends messages through the running
Postfix to servers that it starts itself on loopback, with and without TLS, and tells what came of each. It takes domains
and messages out again, also when it is interrupted; what a killed run has left the next one takes out. It needs root.

Examples:
  tlswarden doctor
  tlswarden doctor --live
  tlswarden --json doctor      {"breach": 0, "fault": 1, "advice": 0, "findings": [{id, severity, where, what, why, mend, note}], …}
  tlswarden --json doctor --live                 the same, and "live": [{id, what, expected, outcome, seen}], or null if it did not work

Run it as root: for anybody else it passes over what only root may read. While Redis is away it goes by the snapshot and
says so; without one it tells what does not depend on the settings.

Exit status: 0 no breach; 1 at least one breach, or no settings to go by, or with --live something that was tried was not as
it should be, or it did not work; 2 main file or settings that cannot be used.`;

interface Flags {
  readonly live?: boolean;
  readonly under: string;
  readonly smtpd?: string;
}

/** Makes `tlswarden doctor` a command of `program` (contract section 10). */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .option('--live', 'also send messages through the running Postfix, and see whether the settings hold')
    .option(
      '--under <domain>',
      'with --live: have the domains of the trial below this one, where Postfix refuses names that the DNS does not have',
      DEFAULT_BASE,
    )
    .option('--smtpd <host:port>', 'with --live: send to this smtpd instead of the one that takes mail from strangers')
    .summary('whether this Postfix really enforces the settings')
    .description('Says what keeps this Postfix from enforcing the settings, why that matters, and what mends it.')
    .addHelpText('after', HELP)
    .action(action((context, flags: Flags) => doctor(context, flags)));
}

async function doctor(context: CommandContext, flags: Flags): Promise<ExitStatus> {
  const base = domainArgument(flags.under);
  const door = flags.smtpd === undefined ? undefined : parseDoor(flags.smtpd);
  const main = await context.readMain();
  const diagnosis = await examine(main);
  if (!context.json) context.print(wordDiagnosis(diagnosis));
  const isWell = diagnosis.hasSettings && diagnosis.findings.every(({ severity }) => severity !== 'breach');
  if (flags.live !== true) {
    if (context.json) context.printJson(toJson(diagnosis));
    return isWell ? WELL : FAILED;
  }
  const trials = await live(main, { host: diagnosis.host, base, door }).catch((error) => {
    if (context.json) context.printJson({ ...toJson(diagnosis), live: null });
    throw error;
  });
  if (context.json) context.printJson({ ...toJson(diagnosis), live: trials });
  else context.print(`\n${wordLive(trials)}`);
  const holds = trials.every(({ outcome }) => outcome === 'held' || outcome === 'not tried');
  return isWell && holds ? WELL : FAILED;
}

async function examine(main: MainFile): Promise<Diagnosis> {
  try {
    showStep('reading the settings');
    const settings = await settingsAtHand(main);
    const tables = main.maps === undefined ? undefined : await tablesOptions(main);
    return await examineHost(main, settings, tables, await systemResolvers(), showStep);
  } finally {
    showProgress('');
  }
}

const showStep = (what: string): void => showProgress(`${what} …`);

async function live(main: MainFile, options: Pick<LiveOptions, 'host' | 'base' | 'door'>): Promise<readonly Trial[]> {
  if (process.geteuid?.() !== 0) {
    throw new CommandFailure("doctor --live takes its own messages out of Postfix's queue (postsuper): run it as root");
  }
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  // The second one ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  try {
    return await runLive({ ...options, store: openStore(main), signal: stop.signal, progress: showStep });
  } catch (error) {
    throw liveFailure(error, stop.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    showProgress('');
  }
}

/** Words why nothing came of it; to be thrown. A defect stays one. */
function liveFailure(error: unknown, signal: AbortSignal): unknown {
  const isLeft = error instanceof LeftBehind;
  const first = isLeft ? error.first : error;
  const isInterrupted = signal.aborted && first instanceof Error && first.name === 'AbortError';
  const reasons: string[] = [];
  if (isInterrupted) reasons.push('interrupted');
  else if (first instanceof CannotTry || first instanceof QueueError) {
    reasons.push(`nothing could be tried: ${first.message}`);
  } else if (first !== undefined) return first;
  if (isLeft) reasons.push(`not all that was put in could be taken out again: ${error.message}; the next run tries to`);
  else if (isInterrupted) reasons.push('what was put in has been taken out again');
  return new CommandFailure(reasons.join('; '));
}

function parseDoor(text: string): Door {
  const parsed = parseListenAddress(text, { allowRemote: true });
  if ('problem' in parsed || parsed.address.kind !== 'tcp') {
    throw new UsageError(`--smtpd "${text}" is no host:port`);
  }
  return { host: parsed.address.host, port: parsed.address.port };
}

function toJson({ findings, domains }: Diagnosis): object {
  const counts = SEVERITIES.map((severity) => [severity, findings.filter((one) => one.severity === severity).length]);
  return { ...Object.fromEntries(counts), findings, domains };
}
