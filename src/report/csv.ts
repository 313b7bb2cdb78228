/**
 * CSV as RFC 4180 has it: lines end in CR LF, and a field is quoted where it must be.
 */

/** One line a row; '' for no rows. */
export function formatCsv(rows: readonly (readonly string[])[]): string {
  return rows.map((fields) => `${fields.map(formatField).join(',')}\r\n`).join('');
}

const formatField = (text: string): string => (/[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
