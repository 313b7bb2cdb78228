// A log that keeps its lines for a test to look at.

import type { EventLog } from '../../src/log/event-log.ts';

export interface KeptLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export class KeptLog implements EventLog {
  readonly lines: KeptLine[] = [];

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields: { ...fields }, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields: { ...fields }, message });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields: { ...fields }, message });
  }

  /** The reasons given so far, in order. */
  get reasons(): readonly unknown[] {
    return this.lines.map(({ fields }) => fields['reason']);
  }
}
