/**
 * The settings as those see them who change them: each domain's table as it stands, and changes that hold whole or not
 * at all. The seam between the `domains` commands and where settings live; it decides nothing.
 */
import type { DomainName } from '../address/domain-name.ts';
import type { Complaint } from '../toml/complaint.ts';
import { ComplaintError } from '../toml/complaint.ts';
import type { Table } from '../toml/table-reader.ts';

/** One domain as it stands in the store, not validated. */
export interface StoredDomain {
  readonly name: DomainName;
  /** Where it stands: a file of the settings directory, or the address of Redis. */
  readonly place: string;
  /** What stands under `[domains."NAME"]`. */
  readonly table: Table;
}

/** By name in normal form; aliases are no keys. */
export type StoredDomains = ReadonlyMap<DomainName, StoredDomain>;

/** What the store holds; `complaints` are about what could not be read at all. */
export interface StoreContents {
  readonly domains: StoredDomains;
  readonly complaints: readonly Complaint[];
}

/** New tables by domain; undefined removes the domain. */
export type DomainChanges = ReadonlyMap<DomainName, Table | undefined>;

/** What a change concerns, and whom it tells. */
export interface ChangeOptions {
  /** The names that the plan looks at or changes, be they aliases: Redis, with its many domains, gives it no others. */
  readonly concerns?: readonly DomainName[];
  /** What is being done, for a store that keeps a log: "domains set". */
  readonly command?: string;
  /** How complaints call the place of the changed domains; absent: the place in the store. */
  readonly origin?: string;
  /** Another process is changing the settings, and this one waits for it. */
  waiting?(): void;
  /** Counts what is written: files, or domains in Redis. */
  progress?(done: number, all: number): void;
}

/** What became of domains that were to be as given. */
export interface Replaced {
  readonly added: number;
  readonly replaced: number;
  readonly unchanged: number;
}

/** The same for domains that are replaced whole: an import. */
export interface ReplaceOptions extends ChangeOptions {
  /** In one step, whatever that costs; a store that takes some time for many domains does it in several otherwise. */
  readonly allOrNothing?: boolean;
}

/**
 * Reads and changes settings where they are kept. Nothing stays open between two calls; what cannot be reached or
 * locked rejects with the store's own error.
 */
export interface SettingsStore {
  /** All domains, or those that these names stand for, be they aliases. */
  read(names?: readonly DomainName[]): Promise<StoreContents>;
  /** All domains, sorted by name, as many at once as it pleases; throws {@link ComplaintError} if some cannot be read. */
  all(): AsyncIterable<readonly StoredDomain[]>;
  /** Makes domains what they are given as, all others stay. Validated like {@link change}, before anything is written. */
  replace(domains: ReadonlyMap<DomainName, Table>, options?: ReplaceOptions): Promise<Replaced>;
  /**
   * Changes domains, while nobody else does: `plan` sees what stands, and what it gives back holds afterwards. Everything
   * that would then stand is validated first; {@link RejectedChange} says what is wrong, and nothing is changed.
   * Gives the number of domains that are other than before.
   */
  change(plan: (present: StoredDomains) => DomainChanges, options?: ChangeOptions): Promise<number>;
}

/** Complaints about settings as they would be: their lines are not those of any file. */
export class RejectedChange extends ComplaintError {}

/** Some of the change is made, the rest cannot be: a store that takes several steps has got so far. */
export class PartlyChanged extends ComplaintError {}
