// The real decision, spoken to in the oracle's words: raw settings go in, policy requests are asked, replies come back as
// the oracle's answers. The only file of these tests that knows the core's own types. Never decides anything.

import type { AddressRules } from '../../src/address/address.ts';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type Decision, decide } from '../../src/decision/decide.ts';
import type { TablesInForce } from '../../src/decision/delivery.ts';
import { Lanes } from '../../src/decision/lanes.ts';
import type { PolicyRequest } from '../../src/decision/request.ts';
import { parseMainFile } from '../../src/main-file/main-file.ts';
import { countRecipientsIn } from '../../src/report/count-recipient.ts';
import type { Tally } from '../../src/report/tally.ts';
import { parseHostedDomain } from '../../src/settings/hosted-domain.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { SettingsOwner } from '../../src/settings/settings-owner.ts';
import { type Complaint, ComplaintError } from '../../src/toml/complaint.ts';
import {
  type Answer,
  type Ciphers,
  type Level,
  normalDomain,
  type RawSettings,
  type TablesHold,
  type Version,
} from '../oracle/oracle.ts';

const nobodyExempt = (): boolean => false;

/** Compiles raw settings as the program does; throws what it complains of. */
export function compile(raw: RawSettings): { readonly settings: Settings; readonly addresses: AddressRules } {
  const { domains, ...mainTable } = raw;
  const main = parseMainFile(mainTable, '/tlswarden.toml');
  const complaints: Complaint[] = [];
  const { relayhost } = main.postfix;
  const context = { defaults: main.defaults, hasRelayhost: relayhost !== '', pool: main.pool };
  const owner = new SettingsOwner(relayhost);
  for (const [name, table] of Object.entries(domains)) {
    const domain = parseHostedDomain(name, table, 'domains.toml', context, complaints);
    if (domain !== undefined) {
      complaints.push(...owner.add(domain));
    }
  }
  if (complaints.length > 0) {
    throw new ComplaintError(complaints);
  }
  return { settings: owner.settings, addresses: main.addresses };
}

/** What a request says; what is absent is as Postfix has it when there is nothing to say. */
export interface Asked {
  readonly state?: 'RCPT' | 'DATA' | 'other';
  readonly sender?: string;
  readonly recipient?: string;
  readonly count?: number;
  /** Absent: plaintext. */
  readonly protocol?: string;
  readonly bits?: number;
  readonly exempt?: boolean;
  readonly login?: string;
  readonly instance?: string;
  readonly context?: 'receipt' | 'delivery' | undefined;
}

export interface CoreOptions {
  readonly tablesHold?: TablesHold;
  readonly now?: number;
  /** Counts what is decided. */
  readonly tally?: Tally;
}

/** The service as far as it decides: settings, tables and lanes, all of which a test may change. */
export class Core {
  raw: RawSettings;
  #compiled: ReturnType<typeof compile>;
  #generation = 1;
  #lanes: Lanes;
  #tablesHold: TablesHold;
  #stillUsed: TablesInForce['stillUsed'] = [];
  readonly #tally: Tally | undefined;
  /** Milliseconds since the epoch; a test lets time pass. */
  now: number;

  constructor(raw: RawSettings, options: CoreOptions = {}) {
    this.raw = raw;
    this.now = options.now ?? 1_700_000_000_000;
    this.#compiled = compile(raw);
    this.#lanes = new Lanes(this.now);
    this.#tablesHold = options.tablesHold ?? ((): boolean => false);
    this.#tally = options.tally;
  }

  /** Puts other settings into force. */
  change(raw: RawSettings): void {
    this.raw = raw;
    this.#compiled = compile(raw);
    this.#generation += 1;
  }

  /** Says which domains' settings the tables hold from now on; some of Postfix may still use those of other settings. */
  deploy(tablesHold: TablesHold, stillUsed?: RawSettings): void {
    this.#tablesHold = tablesHold;
    this.#stillUsed = [];
    if (stillUsed === undefined) return;
    const { settings } = compile(stillUsed);
    this.#stillUsed = [{ termsAt: (key) => settings.termsAt(key), hosts: (name) => settings.find(name) !== undefined }];
  }

  /** A service that was started just now, and remembers nothing. */
  restart(): void {
    this.#lanes = new Lanes(this.now);
    this.#generation = 1;
  }

  /** An `instance` as Postfix makes it for a message that begins now. */
  instance(sequence: number): string {
    const seconds = Math.floor(this.now / 1000).toString(16);
    const microseconds = ((this.now % 1000) * 1000).toString(16);
    return `1f4.${seconds}.${microseconds}.${sequence.toString(16)}`;
  }

  ask(asked: Asked): Decision {
    const request: PolicyRequest = {
      protocolState: asked.state ?? 'RCPT',
      sender: asked.sender ?? 'someone@elsewhere.example',
      recipient: asked.recipient ?? '',
      recipientCount: asked.count ?? 0,
      clientAddress: asked.exempt === true ? '127.0.0.1' : '192.0.2.1',
      encryptionProtocol: asked.protocol ?? '',
      encryptionKeysize: asked.bits ?? (asked.protocol === undefined ? 0 : 256),
      authenticated: asked.login !== undefined,
      instance: asked.instance ?? '',
      policyContext: asked.context ?? 'both',
    };
    const { settings, addresses } = this.#compiled;
    const keys = new Map(Object.keys(this.raw.domains).map((key) => [normalDomain(key), key]));
    const holds = (name: DomainName): boolean => this.#tablesHold(keys.get(name) ?? name);
    return decide(
      {
        settings,
        generation: this.#generation,
        addresses,
        tables: { holds: (domain) => holds(domain.name), stillUsed: this.#stillUsed },
        lanes: this.#lanes,
        isExempt: asked.exempt === true ? (): boolean => true : nobodyExempt,
        ...(this.#tally === undefined ? {} : { count: countRecipientsIn(this.#tally) }),
      },
      request,
      this.now,
    );
  }

  /** The reply to a request, as a string. */
  reply(asked: Asked): string {
    return this.ask(asked).reply;
  }
}

const filterReply =
  /^FILTER tlswarden-(encrypt|fingerprint|dane-only|verify|secure)(?:-tls1([0-3]))?(?:-(medium|high))?(-bounce)?:(\S*)$/;

/** A reply in the oracle's words; undefined if it is none that the contract knows. */
export function readReply(reply: string): Answer | undefined {
  if (reply === 'DUNNO') {
    return { kind: 'dunno' };
  }
  for (const [start, answer] of [
    ['550 5.7.10 ', { kind: 'refuse', code: 550 }],
    ['450 4.7.10 ', { kind: 'refuse', code: 450 }],
    ['WARN ', { kind: 'warn' }],
    ['452 4.5.3 ', { kind: 'separately' }],
    ['451 4.3.0 ', { kind: 'again' }],
  ] as const) {
    if (reply.startsWith(start) && reply.length > start.length) {
      return answer;
    }
  }
  const filter = filterReply.exec(reply);
  if (filter === null) {
    return undefined;
  }
  const [, level, minor, grade, bounce, nexthop = ''] = filter;
  return {
    kind: 'filter',
    filter: {
      level: level as Level,
      minimum: minor === undefined ? undefined : minor === '0' ? 'TLSv1' : (`TLSv1.${minor}` as Version),
      ciphers: grade as Ciphers | undefined,
      bounce: bounce !== undefined,
      nexthop,
    },
  };
}
