/**
 * What stands in main.cf and master.cf, as the programs of Postfix see it: each service with what it sets for itself. Pure.
 */
import type { PresentConfiguration } from '../fragments/fragment.ts';
import { OVERRIDES_SEEN, PARAMETERS_EXTENDED, PARAMETERS_SEEN } from '../fragments/main-parameters.ts';
import { type Restriction, readRestrictions } from '../fragments/restrictions.ts';
import { splitValue } from '../fragments/value-list.ts';

/** A service of master.cf. */
export interface MasterService {
  /** `smtp/inet`. */
  readonly name: string;
  /** The whole of it in one line. */
  readonly entry: string;
  /** The program that it runs: `smtpd`. */
  readonly program: string;
  /** Whether it runs in the queue directory, and sees no file outside. */
  readonly isChrooted: boolean;
  /** What it sets by `-o`, as written. */
  readonly raw: ReadonlyMap<string, string>;
  /** The same with every `$name` expanded. */
  readonly expanded: ReadonlyMap<string, string>;
}

/** Where a service of type inet listens (master(5)). */
export interface InetAddress {
  /** Without brackets; '': wherever inet_interfaces says. */
  readonly host: string;
  /** A number, or a name of services(5). */
  readonly port: string;
}

/** The address of `[::1]:smtp/inet`; undefined: the service is of another type. */
export function inetAddressOf({ name }: MasterService): InetAddress | undefined {
  if (!name.endsWith('/inet')) return undefined;
  const address = name.slice(0, -'/inet'.length);
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, Math.max(0, colon)).replaceAll(/[[\]]/gu, ''), port: address.slice(colon + 1) };
}

/** What postconf(1) says of one configuration directory. */
export interface ConfigurationFacts {
  /** Postfix's config_directory. */
  readonly directory: string;
  /** main.cf's values, the defaults among them; what this Postfix does not know is absent. */
  readonly raw: ReadonlyMap<string, string>;
  /** The same with every `$name` expanded. */
  readonly expanded: ReadonlyMap<string, string>;
  /** In the order of master.cf. */
  readonly services: readonly MasterService[];
  /** Parameters that main.cf sets more than once. */
  readonly repeated: readonly string[];
}

const MAX_DEPTH = 10;

/**
 * Answers what holds in main.cf, and for one service, whose own `-o` come first (master(5)). It is read once, and stays
 * as it was.
 */
export class PostfixConfiguration {
  readonly directory: string;
  readonly services: readonly MasterService[];
  readonly repeated: readonly string[];
  readonly #raw: ReadonlyMap<string, string>;
  readonly #expanded: ReadonlyMap<string, string>;

  constructor(facts: ConfigurationFacts) {
    this.directory = facts.directory;
    this.services = facts.services;
    this.repeated = facts.repeated;
    this.#raw = facts.raw;
    this.#expanded = facts.expanded;
  }

  /** What holds for a service, or, without one, in main.cf; '' if this Postfix has no such parameter. */
  value(parameter: string, service?: MasterService): string {
    return service?.expanded.get(parameter) ?? this.#expanded.get(parameter) ?? '';
  }

  /** The same as it is written, `$name` and all. */
  raw(parameter: string, service?: MasterService): string {
    return service?.raw.get(parameter) ?? this.#raw.get(parameter) ?? '';
  }

  /** The elements of a value. */
  list(parameter: string, service?: MasterService): readonly string[] {
    return splitValue(this.value(parameter, service));
  }

  /** Where what holds stands: `smtp/inet: smtpd_tls_security_level`, or `main.cf: …`. */
  placeOf(parameter: string, service?: MasterService): string {
    return `${service?.raw.has(parameter) ? service.name : 'main.cf'}: ${parameter}`;
  }

  /** As the fragments look at it. */
  get present(): PresentConfiguration {
    const parameters = new Map<string, string>();
    for (const name of PARAMETERS_EXTENDED) if (this.#raw.has(name)) parameters.set(name, this.raw(name));
    for (const name of PARAMETERS_SEEN) if (this.#expanded.has(name)) parameters.set(name, this.value(name));
    const overrides = new Map<string, string>();
    for (const { name, raw } of this.services) {
      for (const parameter of OVERRIDES_SEEN) {
        const value = raw.get(parameter);
        if (value !== undefined) overrides.set(`${name}/${parameter}`, value);
      }
    }
    return { parameters, overrides };
  }

  /** The services that run a program of Postfix: `smtpd`. */
  running(program: string): readonly MasterService[] {
    return this.services.filter((service) => service.program === program);
  }

  /** The service by which qmgr(8) delivers: `relay`, `tlswarden-encrypt`. */
  agent(transport: string): MasterService | undefined {
    return this.services.find(({ name }) => name === `${transport}/unix`);
  }

  /** The restrictions of a parameter, those of restriction classes in place of their names. */
  restrictions(parameter: string, service?: MasterService): readonly Restriction[] {
    const classes = this.classes(service);
    const read = (value: string, depth: number): readonly Restriction[] =>
      readRestrictions(value).flatMap((restriction) =>
        classes.has(restriction.name) && depth < MAX_DEPTH
          ? read(this.value(restriction.name, service), depth + 1)
          : [restriction],
      );
    return read(this.value(parameter, service), 0);
  }

  /** The restriction classes of a service. */
  classes(service?: MasterService): ReadonlySet<string> {
    return new Set(this.list('smtpd_restriction_classes', service));
  }

  /** inet_interfaces: addresses, without brackets, and names; `all` and `loopback-only` as they are. */
  get interfaces(): readonly string[] {
    return this.list('inet_interfaces').map((name) => name.replaceAll(/[[\]]/gu, ''));
  }

  /** Whether a boolean parameter is on; one that this Postfix does not have is off. */
  isYes(parameter: string, service?: MasterService): boolean {
    return this.value(parameter, service).toLowerCase() === 'yes';
  }
}
