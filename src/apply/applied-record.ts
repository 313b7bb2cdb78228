/**
 * What `postfix apply` has changed so far, as `postfix revert` needs it: for each value, what stood there before the first
 * time and what the last one left. Pure; where it is kept is somebody else's.
 */
import { isTable } from '../toml/table-reader.ts';
import type { Digests } from './configuration-files.ts';
import type { Edits } from './edits.ts';

/** null: it did not stand there. */
export interface ValueRecord {
  readonly before: string | null;
  readonly after: string | null;
}

/** All applies since the last revert, as one. */
export interface AppliedRecord {
  readonly format: typeof FORMAT;
  /** By parameter of main.cf. */
  readonly parameters: Readonly<Record<string, ValueRecord>>;
  /** By `submission/inet/smtpd_recipient_restrictions`. */
  readonly overrides: Readonly<Record<string, ValueRecord>>;
  /** The backup with the files as they were before tlswarden; null: somebody else has changed them in between. */
  readonly pristine: string | null;
  /** The files as the last apply left them. */
  readonly digests: Digests;
  /** Whether Postfix was not told yet. */
  readonly reloadDue: boolean;
}

const FORMAT = 1;

/**
 * What an apply has done, after all those before it. `withoutApply` tells of a value that somebody has changed since the last one
 * what it would be without that.
 */
export function recordApply(
  previous: AppliedRecord | undefined,
  { parameters, overrides }: Edits,
  files: { readonly backup: string; readonly before: Digests; readonly after: Digests },
  withoutApply: (name: string, from: string, known: ValueRecord) => string | null,
): AppliedRecord {
  const changed = (
    known: Readonly<Record<string, ValueRecord>> | undefined,
    name: string,
    from: string | null,
    to: string | null,
  ): [string, ValueRecord] => {
    const last = known?.[name];
    if (last === undefined || from === null) return [name, { before: from, after: to }];
    return [name, { before: last.after === from ? last.before : withoutApply(name, from, last), after: to }];
  };
  return {
    format: FORMAT,
    parameters: {
      ...previous?.parameters,
      ...Object.fromEntries(
        parameters.map(({ parameter, from, to }) => changed(previous?.parameters, parameter, from ?? null, to ?? null)),
      ),
    },
    overrides: {
      ...previous?.overrides,
      ...Object.fromEntries(
        overrides.map(({ service, parameter, from, to }) =>
          changed(previous?.overrides, `${service}/${parameter}`, from, to),
        ),
      ),
    },
    pristine: previous === undefined ? files.backup : isSame(previous.digests, files.before) ? previous.pristine : null,
    digests: files.after,
    reloadDue: true,
  };
}

/** The record that a value is, or undefined. */
export function parseRecord(value: unknown): AppliedRecord | undefined {
  if (!isTable(value) || value['format'] !== FORMAT) return undefined;
  const { parameters, overrides, pristine, digests, reloadDue } = value;
  const isWhole =
    isTable(parameters) &&
    Object.values(parameters).every(isValueRecord) &&
    isTable(overrides) &&
    Object.values(overrides).every(isValueRecord) &&
    (pristine === null || typeof pristine === 'string') &&
    isDigests(digests) &&
    typeof reloadDue === 'boolean';
  return isWhole ? (value as unknown as AppliedRecord) : undefined;
}

function isValueRecord(value: unknown): value is ValueRecord {
  return isTable(value) && [value['before'], value['after']].every((part) => part === null || typeof part === 'string');
}

/** Whether what was read as JSON are {@link Digests}. */
export function isDigests(value: unknown): value is Digests {
  return isTable(value) && typeof value['main.cf'] === 'string' && typeof value['master.cf'] === 'string';
}

function isSame(a: Digests, b: Digests): boolean {
  return a['main.cf'] === b['main.cf'] && a['master.cf'] === b['master.cf'];
}
