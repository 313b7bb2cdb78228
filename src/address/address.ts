/**
 * Envelope addresses (RFC 5321 section 2.3.11) as the decision compares them: local parts and domains without case,
 * domains in A-label form, with and without the address extension. It never refuses an address: a stranger wrote it.
 */
import { type DomainName, foldDomain, isTableForm, NO_DOMAIN } from './domain-name.ts';

declare const localPart: unique symbol;

/** A local part folded to one case, without quotes: how Postfix hands it to a policy service. */
export type LocalPart = string & { readonly [localPart]: true };

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
  readonly #rawLocal: string;
  readonly #rawDomain: string;
  readonly #delimiters: string;
  #local: LocalPart | undefined;
  #base: LocalPart | undefined | null = null;

  private constructor(rawLocal: string, rawDomain: string, delimiters: string) {
    this.#rawLocal = rawLocal;
    this.#rawDomain = rawDomain;
    this.#delimiters = delimiters;
    this.domain = rawDomain === '' ? NO_DOMAIN : foldDomain(rawDomain);
    this.isNull = rawLocal === '' && rawDomain === '';
  }

  /**
   * Reads an address as Postfix passes it (unquoted; '' is the null sender). Without `@` it is what Postfix's
   * trivial-rewrite(8) makes of it: `site!user` and `user%site` are `user@site`, so that neither slips past a setting.
   * A source route (RFC 5321 appendix C) is dropped, as Postfix drops it.
   */
  static read(given: string, delimiters: string): Address {
    const text = given.charCodeAt(0) === 0x40 ? given.slice(given.indexOf(':') + 1) : given;
    const at = text.lastIndexOf('@');
    if (at >= 0 && at < text.length - 1) return new Address(text.slice(0, at), text.slice(at + 1), delimiters);
    return Address.#readBare(at < 0 ? text : text.slice(0, at), delimiters);
  }

  static #readBare(text: string, delimiters: string): Address {
    const bang = text.indexOf('!');
    if (bang > 0) return new Address(text.slice(bang + 1), text.slice(0, bang), delimiters);
    const percent = text.lastIndexOf('%');
    if (percent >= 0) return new Address(text.slice(0, percent), text.slice(percent + 1), delimiters);
    return new Address(text, '', delimiters);
  }

  get local(): LocalPart {
    this.#local ??= foldLocalPart(this.#rawLocal);
    return this.#local;
  }

  /** The local part without its extension, or undefined if it has none. */
  get base(): LocalPart | undefined {
    if (this.#base === null) this.#base = withoutExtension(this.local, this.#delimiters);
    return this.#base;
  }

  /** Whether Postfix's tables match the domain as the client wrote it: an odd U-label form they do not. */
  get isTableForm(): boolean {
    return isTableForm(this.#rawDomain);
  }

  /**
   * The address that Postfix would resolve this one to if its domain were one of Postfix's own (`user%site@here`,
   * `"user@site"@here`), or undefined if the local part routes nowhere. Only Postfix knows its own domains.
   */
  get routed(): Address | undefined {
    const text = this.#rawLocal;
    if (text.includes('@')) return Address.read(text, this.#delimiters);
    if (text.includes('!') || text.includes('%')) return Address.#readBare(text, this.#delimiters);
    return undefined;
  }
}
