/**
 * Words what doctor has found for somebody who has been woken by it. It says nothing that is not in the data.
 */
import type { Diagnosis } from './examine-host.ts';
import { type Finding, SEVERITIES, type Severity } from './finding.ts';

const HEADINGS: Readonly<Record<Severity, string>> = {
  breach: 'BREACH: mail may go without its TLS, or to a wrong server',
  fault: 'FAULT: mail is refused or late without need, or a safeguard is missing',
  advice: 'ADVICE: nothing that the settings ask for is at stake',
};

const WIDTH = 100;

/** Many lines, without a newline at the end; commands are never wrapped. */
export function wordDiagnosis({ host, findings, domains }: Diagnosis): string {
  const sections = SEVERITIES.flatMap((severity) => {
    const these = findings.filter((finding) => finding.severity === severity);
    return these.length === 0 ? [] : [HEADINGS[severity], ...these.map(wordFinding)];
  });
  const looked =
    domains.looked === domains.of ? [] : [`Looked at ${domains.looked} of ${domains.of} domains one by one.`];
  const place = `Postfix in ${host.postfix.directory}, settings by ${host.main.path}`;
  return [`${place}: ${wordCounts(findings)}`, ...sections, ...looked].join('\n\n');
}

function wordCounts(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing found. It enforces the settings, as far as files and programs tell.';
  const count = (severity: Severity, one: string, many: string): string[] => {
    const n = findings.filter((finding) => finding.severity === severity).length;
    return n === 0 ? [] : [`${n} ${n === 1 ? one : many}`];
  };
  return `${[
    ...count('breach', 'breach', 'breaches'),
    ...count('fault', 'fault', 'faults'),
    ...count('advice', 'piece of advice', 'pieces of advice'),
  ].join(', ')}.`;
}

function wordFinding({ id, where, what, why, mend, note }: Finding): string {
  return [
    `  ${where}  [${id}]`,
    ...wrap(`${what} ${why}`, '    '),
    ...mend.map((line, i) => `    ${i === 0 ? 'Mend:' : '     '} ${line}`),
    ...(note === undefined ? [] : wrap(`Note: ${note}`, '    ')),
  ].join('\n');
}

function wrap(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + word.length >= WIDTH) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
