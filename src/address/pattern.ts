/**
 * The entries of the lists `senders` and `recipients` (contract section 3): what one may write, and what it means.
 * It knows nothing of settings around a list, and never guesses: what it cannot read exactly is an error.
 */
import { quoted } from '../text/printable.ts';
import { foldLocalPart, type LocalPart } from './address.ts';
import { type DomainName, parseDomain } from './domain-name.ts';

/** One entry, read. */
export type Pattern =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'null sender' }
  | { readonly kind: 'domain'; readonly domain: DomainName }
  | { readonly kind: 'subdomains'; readonly domain: DomainName }
  | { readonly kind: 'address'; readonly local: LocalPart; readonly domain: DomainName }
  | { readonly kind: 'local part'; readonly local: LocalPart };

/** `own`: the domain's own side (recipients of incoming, senders of outgoing). `far`: the other one. */
export type Side = 'own' | 'far';

/** The entries of a list that is written as a string, split at spaces, commas and newlines; no more than `most` of them. */
export function splitList(text: string, most = Number.POSITIVE_INFINITY): readonly string[] {
  // One may be empty, before the first separator.
  const entries = text.split(/[\s,]+/u, Math.min(most + 1, 0xffffffff)).filter((entry) => entry !== '');
  return entries.length > most ? entries.slice(0, most) : entries;
}

/** Reads one entry; a string is the sentence that says what is wrong with it. */
export function parsePattern(entry: string, side: Side): Pattern | string {
  if (entry === '*') return { kind: 'everyone' };
  if (entry === '<>') return { kind: 'null sender' };
  const at = entry.lastIndexOf('@');
  if (at < 0) return side === 'own' ? parseOwnWord(entry) : parseFarWord(entry);
  const left = entry.slice(0, at);
  const right = entry.slice(at + 1);
  if (left === '' || left === '*') {
    const parent = right.startsWith('*.') ? parseDomain(right.slice(2)) : undefined;
    if (parent !== undefined) return { kind: 'subdomains', domain: parent };
    const domain = parseDomain(right);
    return domain === undefined ? `${quoted(entry)} names no valid domain` : { kind: 'domain', domain };
  }
  const domain = parseDomain(right);
  if (domain === undefined) return `${quoted(entry)} names no valid domain`;
  const local = parseLocalPart(left);
  return local === undefined ? `${quoted(entry)} has no valid local part` : { kind: 'address', local, domain };
}

function parseOwnWord(entry: string): Pattern | string {
  const local = parseLocalPart(entry);
  return local === undefined ? `${quoted(entry)} is no valid local part` : { kind: 'local part', local };
}

function parseFarWord(entry: string): Pattern | string {
  const domain = parseDomain(entry);
  if (domain === undefined) return `${quoted(entry)} is neither an address nor a domain`;
  // Without a dot it is almost surely a local part on the wrong side, which would silently match nobody.
  if (!domain.includes('.')) return `${quoted(entry)} is no address; for the domain of that name write "*@${entry}"`;
  return { kind: 'domain', domain };
}

/** A local part as one writes it, perhaps quoted (RFC 5321 section 4.1.2); wildcards within it do not exist. */
function parseLocalPart(text: string): LocalPart | undefined {
  const quoted = text.length > 1 && text.startsWith('"') && text.endsWith('"');
  const plain = quoted ? text.slice(1, -1).replace(/\\(.)/gu, '$1') : text;
  if (plain === '' || plain.length > 255 || /[\p{Cc}\p{Cs}]/u.test(plain)) return undefined;
  if (!quoted && /[\s"<>()[\]\\,;:@*]/u.test(plain)) return undefined;
  return foldLocalPart(plain);
}

/** The entry as one would write it: patterns are shown, logged and exported in this form. */
export function wordPattern(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'everyone':
      return '*';
    case 'null sender':
      return '<>';
    case 'domain':
      return `*@${pattern.domain}`;
    case 'subdomains':
      return `*@*.${pattern.domain}`;
    case 'address':
      return `${pattern.local}@${pattern.domain}`;
    case 'local part':
      return pattern.local;
  }
}
