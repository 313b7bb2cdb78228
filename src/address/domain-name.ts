/**
 * Domain names in the one form in which they are compared: lower case, A-labels (RFC 5890), no trailing dot.
 * It never asks the DNS.
 */
import { domainToASCII, domainToUnicode } from 'node:url';
import { codeAt } from '../text/code-at.ts';

declare const domainName: unique symbol;

/** A normalised domain name; '' stands for no domain at all. A string becomes one only in this file. */
export type DomainName = string & { readonly [domainName]: true };

/** Of the null sender, and of an address without `@`. Nobody hosts it. */
export const NO_DOMAIN = '' as DomainName;

/** Characters of a domain name (RFC 1035 section 2.3.4, without the trailing dot); a longer one is hosted nowhere. */
export const MAX_DOMAIN = 253;
/**
 * Characters beyond which a stranger's domain is not converted: no way to write a domain name takes as many, and the time
 * that a conversion takes grows with their square.
 */
const MAX_WRITTEN = 1024;

/** Characters of a label (RFC 1035 section 2.3.4). */
const MAX_LABEL = 63;
const [HYPHEN, DOT, UNDERSCORE] = [0x2d, 0x2e, 0x5f];
/** ASCII that no domain name has: the URL parser behind domainToASCII would give it a meaning of its own. */
const FOREIGN_ASCII = /[^a-z0-9._\u0080-\u{10ffff}-]/u;

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (codeAt(text, i) > 0x7f) return false;
  return true;
}

/**
 * The domain of a request, normalised: total, since a stranger wrote it. What is no domain name (an address literal,
 * broken UTF-8, a thousand characters) comes back folded to lower case only, and so equals no name that {@link parseDomain}
 * gives.
 */
export function foldDomain(text: string): DomainName {
  const lower = text.toLowerCase();
  const bare = lower.charCodeAt(lower.length - 1) === 0x2e ? lower.slice(0, -1) : lower;
  if (bare.length > MAX_WRITTEN || isAscii(bare) || FOREIGN_ASCII.test(bare)) return bare as DomainName;
  return (domainToASCII(bare) || bare) as DomainName;
}

/** The domain of a setting, normalised, or undefined if it is none (RFC 1035 section 2.3.4, RFC 5890; `_` is let be). */
export function parseDomain(text: string): DomainName | undefined {
  const name = foldDomain(text);
  if (name.length === 0 || name.length > MAX_DOMAIN) return undefined;
  if (!hasPlainLabels(name)) return undefined;
  // A copy: a piece of a longer string keeps all of it in memory, here the file that it was read from.
  return Buffer.from(name, 'latin1').toString('latin1') as DomainName;
}

/** Labels of letters, digits, `_` and, within, `-`. A loop, since a fleet has millions of names, and an expression takes longer. */
function hasPlainLabels(name: string): boolean {
  let start = 0;
  for (let i = 0; i <= name.length; i++) {
    const code = i === name.length ? DOT : codeAt(name, i);
    if (code === DOT) {
      if (i === start || i - start > MAX_LABEL || codeAt(name, i - 1) === HYPHEN) return false;
      start = i + 1;
    } else if (code === HYPHEN) {
      if (i === start) return false;
    } else if (!isLetterOrDigit(code) && code !== UNDERSCORE) return false;
  }
  return true;
}

/** Lower case, ASCII. */
function isLetterOrDigit(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

/**
 * Where the domains above this one begin: the index of the dot before the first of them that is no longer than a domain
 * name may be, or -1. A stranger's name of many dots has as many domains above it, each to be looked up.
 */
export function firstParentDot(name: string): number {
  return name.indexOf('.', Math.max(0, name.length - MAX_DOMAIN - 1));
}

/**
 * The forms under which Postfix looks a domain up in a table: the A-label form and, for an internationalised name, the
 * U-label form too, since Postfix converts neither into the other (SMTPUTF8_README).
 */
export function tableForms(name: DomainName): readonly string[] {
  if (!name.includes('xn--')) return [name];
  const unicode = domainToUnicode(name);
  return unicode === '' || unicode === name ? [name] : [name, unicode];
}

/** Whether Postfix, which only folds case, finds `text` under one of the {@link tableForms} of its normal form. */
export function isTableForm(text: string): boolean {
  if (isAscii(text)) return true;
  const lower = text.toLowerCase();
  const bare = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  return bare === domainToUnicode(foldDomain(text));
}
