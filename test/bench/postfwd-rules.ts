/**
 * A fleet's settings as rules of postfwd, for what is decided by request: receipt, and the deliveries that depend on the
 * sender. What the tables hold is left to them, as tlswarden does.
 */
import { domainName, kindOf, nextHop } from './fleet.ts';

const PLAINTEXT = 'protocol_state==RCPT; encryption_keysize==0';
const LISTED_SENDERS = 'sender=~(.*\\@bank\\.example|ceo\\@partner\\.example)';

/** The rules of so many domains, in the order of their numbers. */
export function postfwdRules(count: number): string {
  return Array.from({ length: count }, (_, i) => rulesOf(i))
    .flat()
    .map((rule, n) => `id=R${n}; ${rule}\n`)
    .join('');
}

function rulesOf(i: number): readonly string[] {
  // Of an item that stands twice either value will do.
  const names = i % 4 === 0 ? [domainName(i), `c${i}.alias.example`] : [domainName(i)];
  const domain = names.map((name) => `recipient_domain==${name}`).join('; ');
  const listed = (...people: readonly string[]): string =>
    people.flatMap((local) => names.map((name) => `recipient==${local}@${name}`)).join('; ');
  const refuse = `action=550 5.7.10 ${domainName(i)} only accepts mail that arrives over TLS`;
  const filter = `action=FILTER tlswarden-encrypt:${nextHop(i)}`;
  switch (kindOf(i)) {
    case 'receipt':
      return [`${domain}; ${PLAINTEXT}; ${refuse}`];
    case 'listed receipt':
      return [
        `${domain}; ${PLAINTEXT}; ${LISTED_SENDERS}; ${refuse}`,
        `${listed('payroll', 'legal')}; ${PLAINTEXT}; ${refuse}`,
      ];
    case 'listed delivery':
      return [`${domain}; ${LISTED_SENDERS}; ${filter}`, `${listed('payroll')}; ${filter}`];
    case 'nothing':
    case 'delivery':
    case 'outgoing':
      return [];
  }
}
