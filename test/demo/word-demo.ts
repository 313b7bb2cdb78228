// The demo's table as text of at most 120 columns. Pure.

export interface Row {
  readonly from: string;
  readonly to: string;
  readonly session: string;
  /** The whole reply to RCPT TO. */
  readonly reply: string;
  readonly delivered: string;
}

const HEAD = ['from', 'to', 'session', 'reply', 'delivered over'] as const;

export function wordTable(rows: readonly Row[]): string {
  const cells = [HEAD, ...rows.map((row) => [row.from, row.to, row.session, codesOf(row.reply), row.delivered])];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [lines[0], rule, ...lines.slice(1), ''].join('\n');
}

/** What those who were refused were told, each once. */
export function wordRefusals(rows: readonly Row[]): string {
  const refused = new Set(rows.filter(({ reply }) => !reply.startsWith('2')).map(({ reply }) => reply));
  return ['Refused with:', ...[...refused].flatMap(wrap), ''].join('\n');
}

/** `550 5.7.10`. */
function codesOf(reply: string): string {
  return reply.match(/^\d{3}(?: \d\.\d+\.\d+)?/u)?.[0] ?? reply;
}

function wrap(text: string): readonly string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > 120) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
