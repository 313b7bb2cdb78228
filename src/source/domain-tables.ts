/**
 * What stands in a settings file: nothing but `[domains]`, a table for each domain. Shared by whoever reads such a file;
 * what a domain's table means it does not know.
 */
import type { Complaint } from '../toml/complaint.ts';
import { isTable, type Table, TableReader } from '../toml/table-reader.ts';

/** The tables of the domains by name as written; empty, with complaints, if the file holds something else. */
export function domainTables(file: Table, name: string, complaints: Complaint[]): Table {
  const reader = new TableReader(file, { file: name }, ['domains'], complaints, hint);
  const table = reader.raw('domains') ?? {};
  if (isTable(table)) return table;
  reader.complain('domains', 'must be a table: [domains."example.com"]');
  return {};
}

function hint(key: string): string | undefined {
  return key === 'defaults' ? '[defaults] belongs to the main file' : undefined;
}
