/**
 * Reads what `domains import` is given: TOML, or JSON Lines with one domain a line. Pure; what a domain's table says is
 * for the store to validate.
 */
import { type DomainName, parseDomain } from '../../address/domain-name.ts';
import { normalRecord } from '../../settings/domain-record.ts';
import { domainTables } from '../../source/domain-tables.ts';
import type { Complaint } from '../../toml/complaint.ts';
import { KeyLocator } from '../../toml/locate-key.ts';
import { parseToml } from '../../toml/read-toml.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';

/** A text of domains as it was read: tables in normal form ({@link normalRecord}), not validated. */
export interface ImportedDomains {
  /** By their own names, in the order of the text. */
  readonly domains: ReadonlyMap<DomainName, Table>;
  /** About what is not among the domains. */
  readonly complaints: readonly Complaint[];
  /** The line of a complaint about what was read here. */
  lineOf(complaint: Complaint): number | undefined;
}

/** `name` is how complaints call the text; its ending tells the form, or else the text does. Throws a ComplaintError if it is no TOML. */
export function readImport(text: string, name: string): ImportedDomains {
  return isJsonLines(text, name) ? readJsonLines(text, name) : readTomlText(text, name);
}

function isJsonLines(text: string, name: string): boolean {
  if (/\.(?:jsonl|ndjson|json)$/iu.test(name)) return true;
  return !/\.toml$/iu.test(name) && /^\s*\{/u.test(text);
}

function readTomlText(text: string, file: string): ImportedDomains {
  const complaints: Complaint[] = [];
  const domains = new Map<DomainName, Table>();
  const locator = new KeyLocator(text);
  const lineOf = (complaint: Complaint): number | undefined => locator.nearest(complaint.domain, complaint.key)?.line;
  for (const [written, table] of Object.entries(domainTables(parseToml(text, file), file, complaints))) {
    add(domains, written, table, { file, domain: written }, complaints);
  }
  return { domains, complaints: complaints.map((complaint) => placed(complaint, lineOf(complaint))), lineOf };
}

function readJsonLines(text: string, file: string): ImportedDomains {
  const complaints: Complaint[] = [];
  const domains = new Map<DomainName, Table>();
  const lines = new Map<string, number>();
  let isToldTorn = false;
  for (const [index, source] of text.split('\n').entries()) {
    if (source.trim() === '') continue;
    const line = index + 1;
    const record = parseRecord(source);
    if (typeof record === 'string') {
      // Of a record that goes over many lines each would be a mistake of its own.
      const isTorn = isBeginning(source);
      if (isTorn && !isToldTorn) complaints.push({ file, line, message: TORN });
      else if (!isToldTorn) complaints.push({ file, line, message: record });
      isToldTorn ||= isTorn;
      continue;
    }
    const { domain, ...table } = record;
    if (typeof domain !== 'string') {
      complaints.push({ file, line, key: 'domain', message: 'must be the name of the domain' });
      continue;
    }
    const earlier = lines.get(domain);
    const hint = earlier === undefined ? '' : ` on line ${earlier}`;
    add(domains, domain, table, { file, line, domain }, complaints, hint);
    lines.set(domain, line);
    lines.set(parseDomain(domain) ?? domain, line);
  }
  return { domains, complaints, lineOf: ({ domain }) => (domain === undefined ? undefined : lines.get(domain)) };
}

const TORN = 'not JSON Lines: write one domain a line, as {"domain":"example.com",…}';

/** Whether this line of JSON can be no whole document, as lines are that were broken for people to read. */
const isBeginning = (source: string): boolean => /[[{,]\s*$/u.test(source);

function parseRecord(source: string): Table | string {
  try {
    const value: unknown = JSON.parse(source);
    return isTable(value) ? value : 'must be a JSON object with a key "domain"';
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
}

function add(
  domains: Map<DomainName, Table>,
  written: string,
  table: unknown,
  place: Omit<Complaint, 'message'>,
  complaints: Complaint[],
  hint = '',
): void {
  const name = parseDomain(written);
  if (name === undefined) complaints.push({ ...place, message: 'is no valid domain name' });
  else if (domains.has(name)) complaints.push({ ...place, message: `stands here already${hint}` });
  else if (!isTable(table)) complaints.push({ ...place, message: 'must be a table' });
  else domains.set(name, normalRecord(table));
}

function placed(complaint: Complaint, line: number | undefined): Complaint {
  return complaint.line !== undefined || line === undefined ? complaint : { ...complaint, line };
}
