// Rows as a test writes them: `formatRow` with spaces in place of tabs, and what is in a tally as such lines.

import { formatRow, parseRowLine, type Row } from '../../src/report/row.ts';

/** `example.com incoming partner.example plaintext=3 first=1 last=2` */
export function rowOf(text: string): Row {
  const [domain, flow, remote, ...numbers] = text.split(' ');
  const row = parseRowLine([domain, flow, remote, numbers.join(' ')].join('\t'));
  if (row === undefined) throw new Error(`no row: ${text}`);
  return row;
}

/** The rows, sorted; without the moments. */
export function linesOf(rows: Iterable<Row>): readonly string[] {
  return [...rows]
    .map((row) =>
      formatRow(row)
        .replaceAll('\t', ' ')
        .replaceAll(/ (?:first|last|last-lacking)=\d+/gu, ''),
    )
    .sort();
}
