/**
 * Envelope addresses (RFC 5321 section 2.3.11) as the decision compares them: local parts and domains without case,
 * domains in A-label form, with and without the address extension. It never refuses an address: a stranger wrote it.
 */
import { codeAt } from '../text/code-at.ts';
import { type DomainName, foldDomain, isTableForm, NO_DOMAIN } from './domain-name.ts';

declare const localPart: unique symbol;

/** A local part folded to one case, without quotes: how Postfix hands it to a policy service. */
export type LocalPart = string & { readonly [localPart]: true };

const AT = 0x40;
const BANG = 0x21;
const PERCENT = 0x25;
const DOT = 0x2e;
const LAST_ASCII = 0x7f;

/** What is known of an address's text once it has been looked at, as bits: what most are need not be done again. */
const ASCII_DOMAIN = 1;
const FOLDED_DOMAIN = 2;
const FOLDED_LOCAL = 4;
const ROUTES = 8;

/** What of main.cf decides how an address is read. */
export interface AddressRules {
  /** recipient_delimiter: a set of characters. */
  readonly recipientDelimiter: string;
  /** The domain that Postfix appends to an address without one; NO_DOMAIN: it is not known. */
  readonly myorigin: DomainName;
}

/** Where the main file says nothing else. */
export const DEFAULT_ADDRESS_RULES: AddressRules = { recipientDelimiter: '+', myorigin: NO_DOMAIN };

/** Names that Postfix never splits, whatever the delimiter is (split_addr(3)). */
const NEVER_SPLIT: ReadonlySet<string> = new Set(['postmaster', 'mailer-daemon', 'double-bounce']);

/**
 * Folds a local part. Beyond ASCII this is Unicode full case folding as far as JavaScript has it (upper, then lower,
 * and the final sigma), which is what Postfix's tables do with a key.
 */
export function foldLocalPart(text: string): LocalPart {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return text.toUpperCase().toLowerCase().replaceAll('ς', 'σ') as LocalPart;
  }
  return text.toLowerCase() as LocalPart;
}

/** `user` of `user+ext`, by Postfix's rules for `recipient_delimiter` (a set of characters); undefined if there is no extension. */
function withoutExtension(local: LocalPart, delimiters: string): LocalPart | undefined {
  let end = local.length;
  for (let i = 0; i < delimiters.length; i++) {
    const at = local.indexOf(delimiters.charAt(i));
    if (at >= 0 && at < end) end = at;
  }
  if (end === 0 || end === local.length || NEVER_SPLIT.has(local)) return undefined;
  if (delimiters.includes('-') && (local.startsWith('owner-') || (local.length > 8 && local.endsWith('-request')))) {
    return undefined;
  }
  return local.slice(0, end) as LocalPart;
}

/** One envelope address. The local part is folded only when a list asks for it, since most requests need the domain alone. */
export class Address {
  /** Without a domain, {@link NO_DOMAIN}. */
  readonly domain: DomainName;
  /** The null sender `<>` (RFC 5321 section 4.5.5). */
  readonly isNull: boolean;
  /** The address without a source route; its local part ends at `#at`. */
  readonly #text: string;
  readonly #at: number;
  readonly #rules: AddressRules;
  readonly #traits: number;
  #local: LocalPart | undefined;
  #base: LocalPart | undefined | null = null;

  private constructor(text: string, at: number, domain: DomainName, rules: AddressRules, traits: number) {
    this.domain = domain;
    this.isNull = text === '';
    this.#text = text;
    this.#at = at;
    this.#rules = rules;
    this.#traits = traits;
  }

  /**
   * Reads an address as Postfix passes it (unquoted; '' is the null sender). Without `@` it is what Postfix's
   * trivial-rewrite(8) makes of it: `site!user` and `user%site` are `user@site`, and `user` is `user@myorigin`, so that none
   * slips past a setting. A source route (RFC 5321 appendix C) is dropped, as Postfix drops it.
   */
  static read(given: string, rules: AddressRules): Address {
    const text = codeAt(given, 0) === AT ? given.slice(given.indexOf(':') + 1) : given;
    // Backwards in one go: where the domain begins, and whether anything has to be folded at all.
    let at = text.length - 1;
    let traits = ASCII_DOMAIN | FOLDED_DOMAIN;
    for (; at >= 0; at--) {
      const code = codeAt(text, at);
      if (code === AT) break;
      if (code > LAST_ASCII) traits = 0;
      else if (isUpperCase(code)) traits &= ~FOLDED_DOMAIN;
    }
    if (at < 0) return Address.#readBare(text, rules);
    // No table has `user%site@` under the name that Postfix resolves it to, since it is not rewritten before.
    if (at === text.length - 1) return Address.#readOpen(text.slice(0, at), rules);
    if (codeAt(text, text.length - 1) === DOT) traits &= ~FOLDED_DOMAIN;
    const written = text.slice(at + 1);
    const domain = (traits & FOLDED_DOMAIN) !== 0 ? (written as DomainName) : foldDomain(written);
    return new Address(text, at, domain, rules, traits | localTraits(text, at));
  }

  static #readBare(text: string, rules: AddressRules): Address {
    if (text === '') return Address.#readLocal(text, rules);
    const { value: first } = routesOf(text).next();
    if (first === undefined) return Address.#readLocal(text, rules);
    // `!site!user` is `site!user@` to Postfix, which it unpacks only when it resolves it.
    if (first.domain === '') return Address.#readOpen(first.local, rules);
    return Address.#readParts(first.local, foldDomain(first.domain), rules);
  }

  /** What has an empty domain: if its local part leads anywhere, that is known only once it is resolved. */
  static #readOpen(local: string, rules: AddressRules): Address {
    const traits = localTraits(local, local.length);
    if ((traits & ROUTES) === 0) return Address.#readLocal(local, rules);
    return new Address(local, local.length, NO_DOMAIN, rules, traits);
  }

  static #readParts(local: string, domain: DomainName, rules: AddressRules): Address {
    return new Address(`${local}@${domain}`, local.length, domain, rules, localTraits(local, local.length));
  }

  /** A local part alone; '' is the null sender, to which Postfix appends nothing. */
  static #readLocal(local: string, rules: AddressRules): Address {
    const { myorigin } = rules;
    const traits = localTraits(local, local.length);
    if (local === '' || myorigin === NO_DOMAIN) return new Address(local, local.length, NO_DOMAIN, rules, traits);
    const all = traits | ASCII_DOMAIN | FOLDED_DOMAIN;
    return new Address(`${local}@${myorigin}`, local.length, myorigin, rules, all);
  }

  /** '' of the null sender, and of `@domain`. */
  get local(): LocalPart {
    if (this.#local === undefined) {
      const local = this.#text.slice(0, this.#at);
      this.#local = (this.#traits & FOLDED_LOCAL) !== 0 ? (local as LocalPart) : foldLocalPart(local);
    }
    return this.#local;
  }

  /** `local@domain`, both as they are compared. */
  get whole(): string {
    const isFolded = (this.#traits & FOLDED_LOCAL) !== 0 && (this.#traits & FOLDED_DOMAIN) !== 0;
    return isFolded ? this.#text : `${this.local}@${this.domain}`;
  }

  /** The local part without its extension, or undefined if it has none. */
  get base(): LocalPart | undefined {
    if (this.#base === null) this.#base = withoutExtension(this.local, this.#rules.recipientDelimiter);
    return this.#base;
  }

  /** Whether Postfix's tables match the domain as the client wrote it: an odd U-label form they do not. */
  get isTableForm(): boolean {
    return (this.#traits & ASCII_DOMAIN) !== 0 || isTableForm(this.#text.slice(this.#at + 1));
  }

  /** Whether the local part has a routing sign; of others {@link routedTo} has nothing to say. */
  get mayRoute(): boolean {
    return (this.#traits & ROUTES) !== 0;
  }

  /**
   * The address that Postfix would resolve this one to if its domain, and each that comes before one that is meant, were one
   * of Postfix's own (`user%site@here`, `"user@site"@here`); undefined if the local part leads to none that is meant. Only
   * Postfix knows its own domains.
   */
  routedTo(isMeant: (domain: DomainName) => boolean): Address | undefined {
    for (const { local, domain } of routesOf(this.#text.slice(0, this.#at))) {
      const folded = foldDomain(domain);
      if (folded !== NO_DOMAIN && isMeant(folded)) return Address.#readParts(local, folded, this.#rules);
    }
    return undefined;
  }
}

/** What a local part needs quotes for, besides dots in odd places (Postfix's quote_822_local.c). */
const NEEDS_QUOTES = /[\p{Cc} ()<>@,;:\\"[\]]|\.\./u;

/**
 * The addresses that a local part leads to, outermost first, as trivial-rewrite(8) unpacks it while the domains are its own
 * (resolve.c, rewrite.c). A domain may be empty. All of them, since a stranger chooses how many there are; the time that it
 * takes grows with the length of the text, however they nest.
 */
function* routesOf(text: string): Generator<{ readonly local: string; readonly domain: string }, undefined> {
  let start = 0;
  let end = text.length;
  const odd = text.search(NEEDS_QUOTES);
  // In quotes the order of signs is another one, and what is left may need them still: it begins where the whole does.
  let inQuotes = true;
  // A sign that is nowhere is not looked for again.
  let [at, bang, percent, colon] = [0, 0, 0, 0];
  for (;;) {
    if (codeAt(text, start) === AT && colon >= 0) {
      colon = text.indexOf(':', start);
      if (colon >= 0 && colon < end - 1) start = colon + 1;
    }
    if (at >= 0) at = lastOf('@', text, start, end);
    if (at >= 0) {
      yield { local: text.slice(start, at), domain: text.slice(at + 1, end) };
      end = at;
      continue;
    }
    inQuotes &&= codeAt(text, start) === DOT || codeAt(text, end - 1) === DOT || (odd >= 0 && odd < end);
    if (bang >= 0 && !inQuotes) bang = firstOf('!', text, start, end);
    if (percent >= 0 && (inQuotes || bang < 0)) percent = lastOf('%', text, start, end);
    if (percent >= 0 && (inQuotes || bang < 0)) {
      yield { local: text.slice(start, percent), domain: text.slice(percent + 1, end) };
      end = percent;
      continue;
    }
    if (inQuotes) bang = firstOf('!', text, start, end);
    if (bang < 0) return;
    yield { local: text.slice(bang + 1, end), domain: text.slice(start, bang) };
    start = bang + 1;
    inQuotes = false;
  }
}

/** Within [start, end); -1: it is not there. */
function firstOf(sign: string, text: string, start: number, end: number): number {
  const at = text.indexOf(sign, start);
  return at < end ? at : -1;
}

/** Likewise. */
function lastOf(sign: string, text: string, start: number, end: number): number {
  const at = end === 0 ? -1 : text.lastIndexOf(sign, end - 1);
  return at >= start ? at : -1;
}

function isUpperCase(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

/** What is known of the local part, which ends at `end`. */
function localTraits(text: string, end: number): number {
  let traits = FOLDED_LOCAL;
  for (let i = 0; i < end; i++) {
    const code = codeAt(text, i);
    if (code > LAST_ASCII || isUpperCase(code)) traits &= ~FOLDED_LOCAL;
    else if (code === AT || code === BANG || code === PERCENT) traits |= ROUTES;
  }
  return traits;
}
