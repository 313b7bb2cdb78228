/**
 * smtpd_recipient_restrictions with tlswarden's two elements in the right place: behind reject_unauth_destination, so that
 * strangers ask nothing of the service, and before whatever may permit, since nothing behind a permit is looked at. Pure.
 */
import { splitValue } from './value-list.ts';

/** Restrictions that take the element behind them as their argument (postconf(5)). */
const WITH_ARGUMENT =
  /^(?:check_[a-z0-9_]+|reject_(?:rbl|rhsbl|multi_recipient_dnsbl)[a-z0-9_]*|permit_(?:dnswl|rhswl)[a-z0-9_]*|sleep|warn_if_reject)$/iu;
const NEVER_PERMITS = /^(?:reject|defer|sleep|warn_if_reject)/iu;
const WARNINGS = /^(?:warn_if_reject +)+/iu;

/** One restriction with its argument, if it has one. */
export interface Restriction {
  readonly name: string;
  /** Name and argument, one space between words. */
  readonly text: string;
}

/** In order. `$name` is an element like any other: give it a value with all of them expanded, if that counts. */
export function readRestrictions(value: string): readonly Restriction[] {
  return groupRestrictions(splitValue(value)).map((group) => ({ name: group[0] as string, text: group.join(' ') }));
}

/** The elements of a list, each restriction together with its argument. */
export function groupRestrictions(elements: readonly string[]): readonly (readonly string[])[] {
  const groups: string[][] = [];
  for (let i = 0; i < elements.length; i++) {
    const name = elements[i] as string;
    const group = [name];
    // warn_if_reject takes a restriction, which may take an argument of its own.
    for (let last = name; WITH_ARGUMENT.test(last) && i + 1 < elements.length; ) {
      last = elements[++i] as string;
      group.push(last);
      if (!/^warn_if_reject$/iu.test(name)) break;
    }
    groups.push(group);
  }
  return groups;
}

/**
 * Whether nothing behind this restriction may be looked at: its name does not say that it never permits. What
 * warn_if_reject stands before rejects nothing, but permits as ever; a restriction class, one of `classes`, may permit
 * whatever it is called.
 */
export function mayPermit({ text }: Restriction, classes: ReadonlySet<string>): boolean {
  const bare = text.replace(WARNINGS, '');
  return classes.has(bare) || !NEVER_PERMITS.test(bare);
}

/** Whether this restriction refuses recipients that strangers may not relay to. */
export function isRelayCheck(name: string): boolean {
  return /^(?:reject|defer)_unauth_destination$/iu.test(name);
}

/** Whether no stranger's recipient elsewhere gets past this restriction: a relay check, or a refusal of all that is left. */
export function stopsStrangers(name: string): boolean {
  return isRelayCheck(name) || /^(?:reject|defer)$/iu.test(name);
}

/** The restrictions of a value, each with its argument; of another list, its elements. */
export function splitRestrictions(value: string): readonly string[] {
  return readRestrictions(value).map(({ text }) => text);
}

/**
 * The present value with `ours` in it, once. A restriction counts as one that may permit unless its name says that it does
 * not: tables, other policy services, `permit…`, and all restriction classes, which `classes` names.
 */
export function withOurs(
  present: string,
  ours: readonly string[],
  isOurs: (restriction: string) => boolean,
  classes: ReadonlySet<string>,
): string {
  const others = readRestrictions(present).filter(({ text }) => !isOurs(text));
  const texts = others.map(({ text }) => text);
  const at = placeOf(others, classes);
  return [...texts.slice(0, at), ...ours, ...texts.slice(at)].join(', ');
}

function placeOf(restrictions: readonly Restriction[], classes: ReadonlySet<string>): number {
  const { permit, relay } = landmarks(restrictions, classes);
  if (relay >= 0 && (permit < 0 || relay < permit)) return relay + 1;
  return permit < 0 ? restrictions.length : permit;
}

/** Whether anything may let mail past tlswarden before recipients of strangers are refused: then it is asked for those too. */
export function permitsBeforeRelayCheck(value: string, classes: ReadonlySet<string>): boolean {
  const { permit, relay } = landmarks(readRestrictions(value), classes);
  return permit >= 0 && relay > permit;
}

/** Where the first restriction that may permit stands, and the first relay check; -1: nowhere. */
function landmarks(
  restrictions: readonly Restriction[],
  classes: ReadonlySet<string>,
): { readonly permit: number; readonly relay: number } {
  return {
    permit: restrictions.findIndex((one) => mayPermit(one, classes)),
    relay: restrictions.findIndex(({ name }) => isRelayCheck(name)),
  };
}
