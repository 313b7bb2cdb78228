/**
 * `tlswarden doctor`: whether this Postfix really enforces the settings, and what mends it where it does not. What it looks
 * at stands in src/doctor.
 */
import type { Command } from 'commander';
import { type Diagnosis, examineHost } from '../doctor/examine-host.ts';
import { SEVERITIES } from '../doctor/finding.ts';
import { wordDiagnosis } from '../doctor/word-diagnosis.ts';
import { PostconfError } from '../fragments/postconf.ts';
import { systemResolvers } from '../probe/dns-client.ts';
import { loadSettings } from '../source/open-source.ts';
import { TablesError } from '../tables/tables-error.ts';
import { action, type CommandContext, CommandFailure, type ExitStatus, FAILED, WELL } from './command-context.ts';
import { tablesOptions } from './maps.ts';

const HELP = `
It reads main.cf, master.cf, tables and settings, asks the policy service, and changes nothing. Of each finding it says
what it is, why it matters, and the commands that mend it. A breach lets mail go without the TLS that it has to have, or to
a wrong server; a fault refuses or delays mail without need, or is a safeguard that is missing; the rest is advice.

Examples:
  tlswarden doctor
  tlswarden --json doctor      {"breach": 0, "fault": 1, "advice": 0, "findings": [{id, severity, where, what, why, mend, note}], …}

Exit status: 0 no breach; 1 at least one breach, or postconf does not work; 2 main file or settings that cannot be used.`;

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('whether this Postfix really enforces the settings')
    .description('Says what keeps this Postfix from enforcing the settings, why that matters, and what mends it.')
    .addHelpText('after', HELP)
    .action(action((context) => doctor(context)));
}

async function doctor(context: CommandContext): Promise<ExitStatus> {
  const main = await context.readMain();
  const settings = await loadSettings(main);
  let diagnosis: Diagnosis;
  try {
    const tables = main.maps === undefined ? undefined : await tablesOptions(main);
    diagnosis = await examineHost(main, settings, tables, await systemResolvers());
  } catch (error) {
    if (error instanceof PostconfError || error instanceof TablesError) throw new CommandFailure(error.message);
    throw error;
  }
  if (context.json) context.printJson(toJson(diagnosis));
  else context.print(wordDiagnosis(diagnosis));
  return diagnosis.findings.some(({ severity }) => severity === 'breach') ? FAILED : WELL;
}

function toJson({ findings, domains }: Diagnosis): object {
  const counts = SEVERITIES.map((severity) => [severity, findings.filter((one) => one.severity === severity).length]);
  return { ...Object.fromEntries(counts), findings, domains };
}
