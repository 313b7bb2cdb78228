/**
 * Replies of the policy delegation protocol (SMTPD_POLICY_README, "Protocol description"): `action=TEXT`, LF, LF.
 *
 * The last gate before the wire, whatever the decision does: a text passes only if it is one of the actions that this
 * service ever gives, on one line of printable ASCII. OK and PERMIT never pass, nor does anything that could end the
 * line early and begin an answer to a request that has not been asked.
 */

/** Bytes of one action beyond which Postfix could not make an SMTP reply of it (RFC 5321, 4.5.3.1.5). */
const MAX_ACTION_BYTES = 500;

/** How many different FILTER actions are remembered as checked: one for each transport and next hop in use. */
const MAX_REMEMBERED = 1024;

/** The reply that says nothing: Postfix goes on to its next restriction. */
export const DUNNO_LINE: Buffer = Buffer.from('action=DUNNO\n\n');

/** `FILTER transport:[nexthop]`, `WARN text`, or a refusal with an enhanced status code of the same class. */
const ACTION = /^(?:FILTER [^ :]+:[^ ]*|WARN .+|4\d\d 4\.\d{1,3}\.\d{1,3} .+|5\d\d 5\.\d{1,3}\.\d{1,3} .+)$/;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** Makes reply lines of actions. Bounded in memory, whatever texts it is given. */
export class ActionLines {
  readonly #filters = new Map<string, Buffer>();

  /** The whole reply for an action, all ASCII; undefined if the text is not one well-formed action. */
  lineOf(action: string): Buffer | undefined {
    if (action === 'DUNNO') return DUNNO_LINE;
    // Only these: to look others up, which are never there, V8 would go through all of their text.
    const isFilter = action.startsWith('FILTER ');
    const remembered = isFilter ? this.#filters.get(action) : undefined;
    if (remembered !== undefined) return remembered;
    if (action.length > MAX_ACTION_BYTES || !PRINTABLE_ASCII.test(action) || !ACTION.test(action)) return undefined;
    const line = Buffer.from(`action=${action}\n\n`, 'latin1');
    if (isFilter) {
      // Next hops change with the settings; forgetting all of them now and then is cheaper than keeping their order.
      if (this.#filters.size >= MAX_REMEMBERED) this.#filters.clear();
      this.#filters.set(action, line);
    }
    return line;
  }
}
