/**
 * Envelope addresses (RFC 5321 section 2.3.11) as the decision compares them: local parts and domains without case,
 * domains in A-label form, with and without the address extension. It never refuses an address: a stranger wrote it.
 */
import { type DomainName, foldDomain, isTableForm, NO_DOMAIN } from './domain-name.ts';

declare const localPart: unique symbol;

/** A local part folded to one case, without quotes: how Postfix hands it to a policy service. */
export type LocalPart = string & { readonly [localPart]: true };

const AT = 0x40;
const BANG = 0x21;
const PERCENT = 0x25;
const DOT = 0x2e;

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
export function withoutExtension(local: LocalPart, delimiters: string): LocalPart | undefined {
  let end = local.length;
  for (const delimiter of delimiters) {
    const at = local.indexOf(delimiter);
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
  readonly domain: DomainName;
  /** The null sender `<>` (RFC 5321 section 4.5.5). */
  readonly isNull: boolean;
  /** The address without a source route; its local part ends at `#at`. */
  readonly #text: string;
  readonly #at: number;
  readonly #delimiters: string;
  #local: LocalPart | undefined;
  #base: LocalPart | undefined | null = null;

  private constructor(text: string, at: number, domain: DomainName, delimiters: string) {
    this.domain = domain;
    this.isNull = text === '';
    this.#text = text;
    this.#at = at;
    this.#delimiters = delimiters;
  }

  /**
   * Reads an address as Postfix passes it (unquoted; '' is the null sender). Without `@` it is what Postfix's
   * trivial-rewrite(8) makes of it: `site!user` and `user%site` are `user@site`, so that neither slips past a setting.
   * A source route (RFC 5321 appendix C) is dropped, as Postfix drops it.
   */
  static read(given: string, delimiters: string): Address {
    const text = given.charCodeAt(0) === AT ? given.slice(given.indexOf(':') + 1) : given;
    // Backwards in one go: where the domain begins, and whether it has to be folded at all.
    let at = text.length - 1;
    let isFolded = true;
    for (; at >= 0; at--) {
      const code = text.charCodeAt(at);
      if (code === AT) break;
      if (code > 0x7f || (code >= 0x41 && code <= 0x5a)) isFolded = false;
    }
    if (at < 0) return Address.#readBare(text, delimiters);
    if (at === text.length - 1) return Address.#readBare(text.slice(0, at), delimiters);
    const written = text.slice(at + 1);
    const domain = isFolded && text.charCodeAt(text.length - 1) !== DOT ? (written as DomainName) : foldDomain(written);
    return new Address(text, at, domain, delimiters);
  }

  static #readBare(text: string, delimiters: string): Address {
    const bang = text.indexOf('!');
    const sign = bang > 0 ? bang : text.lastIndexOf('%');
    if (sign < 0) return new Address(text, text.length, NO_DOMAIN, delimiters);
    const [left, right] = [text.slice(0, sign), text.slice(sign + 1)];
    const [local, domain] = sign === bang ? [right, left] : [left, right];
    if (domain === '') return new Address(local, local.length, NO_DOMAIN, delimiters);
    return new Address(`${local}@${domain}`, local.length, foldDomain(domain), delimiters);
  }

  get local(): LocalPart {
    this.#local ??= foldLocalPart(this.#text.slice(0, this.#at));
    return this.#local;
  }

  /** The local part without its extension, or undefined if it has none. */
  get base(): LocalPart | undefined {
    if (this.#base === null) this.#base = withoutExtension(this.local, this.#delimiters);
    return this.#base;
  }

  /** Whether Postfix's tables match the domain as the client wrote it: an odd U-label form they do not. */
  get isTableForm(): boolean {
    return isTableForm(this.#text.slice(this.#at + 1));
  }

  /**
   * The address that Postfix would resolve this one to if its domain were one of Postfix's own (`user%site@here`,
   * `"user@site"@here`), or undefined if the local part routes nowhere. Only Postfix knows its own domains.
   */
  get routed(): Address | undefined {
    if (!this.#hasRoutingSign) return undefined;
    const text = this.#text.slice(0, this.#at);
    return text.includes('@') ? Address.read(text, this.#delimiters) : Address.#readBare(text, this.#delimiters);
  }

  get #hasRoutingSign(): boolean {
    for (let i = 0; i < this.#at; i++) {
      const code = this.#text.charCodeAt(i);
      if (code === AT || code === BANG || code === PERCENT) return true;
    }
    return false;
  }
}
