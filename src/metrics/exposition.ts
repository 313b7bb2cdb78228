/**
 * Prometheus' text format, version 0.0.4: families of values as the text that is scraped. It knows no metric by name and
 * measures nothing.
 */

/** What Prometheus may do with the values. */
export type MetricType = 'counter' | 'gauge' | 'histogram';

/** One line: a value, and what tells it from the others of its family. */
export interface Sample {
  /** What a histogram's lines have after the family's name; absent: nothing. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All values of one name. */
export interface Family {
  /** Ends in the unit, seconds or bytes, if there is one, and in `_total` if it is a counter. */
  readonly name: string;
  readonly type: MetricType;
  /** One sentence without a full stop. */
  readonly help: string;
  /** Never none: what is not there cannot be looked at. */
  readonly samples: readonly Sample[];
}

/** By which Prometheus knows the format. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The whole text, ending with a newline. */
export function formatExposition(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of families) {
    lines.push(`# HELP ${name} ${escapeText(help)}`, `# TYPE ${name} ${type}`);
    for (const { suffix = '', labels, value } of samples) {
      lines.push(`${name}${suffix}${formatLabels(labels)} ${formatValue(value)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function formatLabels(labels: Sample['labels']): string {
  if (labels === undefined) return '';
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeText(value).replaceAll('"', '\\"')}"`);
  return `{${pairs.join(',')}}`;
}

function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** As a Go program reads numbers, which is as JavaScript writes them but for infinity. */
export function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
