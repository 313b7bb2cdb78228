/**
 * The settings of Redis as this process holds them: compiled, kept up by the stream, and the place in the stream at which
 * they stand. A record that cannot be used leaves its domain as it was and is complained of. No I/O.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { aliasesIn } from '../settings/domain-record.ts';
import { type DomainContext, type HostedDomain, parseHostedDomain, reuseDomain } from '../settings/hosted-domain.ts';
import type { NextHop } from '../settings/next-hop.ts';
import type { Settings } from '../settings/settings.ts';
import { type DomainChange, SettingsOwner } from '../settings/settings-owner.ts';
import type { Complaint } from '../toml/complaint.ts';
import type { Table } from '../toml/table-reader.ts';
import { type Position, parseRecordJson } from './layout.ts';

/** What of the main file the meaning of a record depends on. */
export interface ReplicaOptions {
  readonly relayhost: NextHop;
  readonly context: DomainContext;
  /** What complaints call the place where the domains stand: the address of Redis. */
  readonly place: string;
}

/** Complaints that are told of many at once. */
const MAX_TOLD = 100;

/** A record that is not in force. */
interface Refused {
  /** Read, but it cannot be beside other domains; undefined: it cannot be read. */
  readonly domain: HostedDomain | undefined;
  /** The names of which it is, as far as can be told. */
  readonly names: readonly DomainName[];
  readonly complaints: readonly Complaint[];
}

/**
 * First filled by {@link put}, record by record, then kept up by {@link apply}. Whoever follows the stream sets
 * {@link position}.
 */
export class SettingsReplica {
  readonly #options: ReplicaOptions;
  readonly #owner: SettingsOwner;
  #previous: Settings | undefined;
  readonly #refused = new Map<string, Refused>();
  #untold: Complaint[] = [];
  /** Whether other records than before are not in force. */
  #isOtherwise = false;
  /** The entry of the stream up to which all is in here. */
  position: Position;

  /** `previous`: the settings that these will replace; of a domain without a usable record they are kept. */
  constructor(options: ReplicaOptions, position: Position, previous?: Settings) {
    this.#options = options;
    this.#owner = new SettingsOwner(options.relayhost);
    this.#previous = previous;
    this.position = position;
  }

  /** The newest version. */
  get settings(): Settings {
    if (this.#isOtherwise) this.#owner.withhold(new Set(this.#namesWithheld()));
    this.#isOtherwise = false;
    return this.#owner.settings;
  }

  /** How many records Redis holds, as far as is known here. */
  get recordCount(): number {
    let count = this.#owner.size;
    for (const name of this.#refused.keys()) if (!this.#isHeld(name)) count += 1;
    return count;
  }

  /** Why records are not in force. */
  get complaints(): readonly Complaint[] {
    return [...this.#refused.values()].flatMap(({ complaints }) => complaints);
  }

  /** Why records were refused since this was asked last: the first hundred of them. */
  takeComplaints(): readonly Complaint[] {
    const complaints = this.#untold;
    this.#untold = [];
    return complaints;
  }

  /** Records that are not in force. */
  get refusedCount(): number {
    return this.#refused.size;
  }

  /** Whether not this record of the domain is in force, but the last one before that could be used. */
  isKept(name: string): boolean {
    return this.#refused.has(name) && this.#isHeld(name);
  }

  /** The domains of which that is so. */
  get keptNames(): ReadonlySet<string> {
    return new Set([...this.#refused.keys()].filter((name) => this.#isHeld(name)));
  }

  /** Names of which nothing can be used, now or before: what is asked of their mail is not known. */
  *#namesWithheld(): IterableIterator<DomainName> {
    for (const [name, { names }] of this.#refused) if (!this.#isHeld(name)) yield* names;
  }

  #isHeld(name: string): boolean {
    return this.#owner.owned(name as DomainName) !== undefined;
  }

  /** The load is over: what these settings replaced is not held on to any more. */
  loaded(): void {
    this.#previous = undefined;
  }

  /** Takes one record, while the settings are loaded. */
  put(name: string, record: string): void {
    const parsed = this.#parse(name, record);
    if (parsed.domain === undefined) {
      this.#refuse(name, parsed);
      return;
    }
    const present = this.#owner.find(parsed.domain.name);
    if (present === undefined) {
      const complaints = this.#owner.add(parsed.domain);
      if (complaints.length > 0) this.#refuse(name, { ...parsed, complaints });
      return;
    }
    this.#applyAll([[name, parsed]]);
  }

  /** Makes one change of any number of domains: null takes a domain away. */
  apply(changes: readonly (readonly [name: string, record: string | null])[]): void {
    this.#applyAll(changes.map(([name, record]) => [name, record === null ? null : this.#parse(name, record)]));
    this.#retry();
  }

  #applyAll(changes: readonly (readonly [name: string, parsed: Refused | null])[]): void {
    const possible: DomainChange[] = [];
    for (const [name, parsed] of changes) {
      if (this.#refused.delete(name)) this.#isOtherwise = true;
      if (parsed === null) possible.push({ name: name as DomainName, domain: undefined });
      else if (parsed.domain === undefined) this.#refuse(name, parsed);
      else possible.push({ name: parsed.domain.name, domain: parsed.domain });
    }
    for (const { change, complaints } of this.#owner.apply(possible)) {
      if (change.domain !== undefined) this.#refuse(change.name, refusedDomain(change.domain, complaints));
    }
  }

  /** What could not be beside other domains may be possible now. */
  #retry(): void {
    for (const [name, { domain }] of this.#refused) {
      if (domain === undefined) continue;
      const [refused] = this.#owner.apply([{ name: domain.name, domain }]);
      if (refused !== undefined) this.#refused.set(name, refusedDomain(domain, refused.complaints));
      else {
        this.#refused.delete(name);
        this.#isOtherwise = true;
      }
    }
  }

  /** The last settings of the domain that could be used go on. What cannot be beside them is refused too. */
  #refuse(name: string, refused: Refused): void {
    this.#refused.set(name, refused);
    this.#isOtherwise = true;
    if (this.#untold.length < MAX_TOLD) this.#untold.push(...refused.complaints.slice(0, MAX_TOLD));
    const kept = this.#previous?.find(name as DomainName);
    if (kept?.name !== name || this.#isHeld(name)) return;
    for (let rival = this.#owner.rivalOf(kept); rival !== undefined; rival = this.#owner.rivalOf(kept)) {
      this.#owner.apply([{ name: rival.name, domain: undefined }]);
      const message = `cannot be in force beside the last good settings of ${name}, whose record cannot be used`;
      this.#refuse(rival.name, refusedDomain(rival, [{ file: rival.file, domain: rival.name, message }]));
    }
    this.#owner.add(kept);
  }

  #parse(name: string, record: string): Refused {
    const { place, context } = this.#options;
    const table = parseRecordJson(name, record);
    if (typeof table === 'string') return unreadable(name, {}, [{ file: place, domain: name, message: table }]);
    const complaints: Complaint[] = [];
    const parsed = parseHostedDomain(name, table, place, context, complaints);
    if (parsed !== undefined && parsed.name !== name) {
      const message = `the key of its record must be ${parseDomain(name)}`;
      return unreadable(name, table, [{ file: place, domain: name, message }]);
    }
    if (parsed === undefined) return unreadable(name, table, complaints);
    const before = this.#owner.find(parsed.name) ?? this.#previous?.find(parsed.name);
    return refusedDomain(reuseDomain(before, parsed), complaints);
  }
}

function refusedDomain(domain: HostedDomain, complaints: readonly Complaint[]): Refused {
  return { domain, names: [domain.name, ...domain.aliases], complaints };
}

function unreadable(name: string, table: Table, complaints: readonly Complaint[]): Refused {
  const names = [parseDomain(name), ...aliasesIn(table)];
  return { domain: undefined, names: names.filter((one) => one !== undefined), complaints };
}
