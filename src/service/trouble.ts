/**
 * What can be wrong with a connection of the policy service (contract section 6, "in trouble"), as values and as words
 * for the log. The words are constants: nothing that a client sent ever stands in them.
 */

/** What the parser can find wrong in the bytes of one request. */
export type RequestTrouble = 'no-equals' | 'nul' | 'too-large' | 'too-many-attributes';

/** Everything for which a connection is closed without a reply. */
export type Trouble =
  | RequestTrouble
  /** A request was not finished within {@link REQUEST_TIMEOUT_MS} of its first byte. */
  | 'too-slow'
  /** The client closed its side in the middle of a request. */
  | 'cut-off'
  /** Replies were not read for {@link UNREAD_TIMEOUT_MS}. */
  | 'unread'
  /** The handler had no answer: no settings are loaded, those of a domain cannot be used, or nobody knows the domain. */
  | 'no-answer'
  /** The handler threw: a bug of ours. */
  | 'handler-failed'
  /** The handler gave a text that is not one action of the protocol: a bug of ours. */
  | 'bad-action';

/** Bytes of one request, its closing empty line included, beyond which it is trouble. */
export const MAX_REQUEST_BYTES = 65_536;

/** Attributes of one request, known or not, beyond which it is trouble. */
export const MAX_REQUEST_ATTRIBUTES = 200;

/** Milliseconds that a request may take from its first byte to its last. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** Milliseconds that replies may wait for the client to read them. */
export const UNREAD_TIMEOUT_MS = 30_000;

const WORDS: Readonly<Record<Trouble, string>> = {
  'no-equals': 'a line without "="',
  nul: 'a NUL byte',
  'too-large': `a request of more than ${MAX_REQUEST_BYTES} bytes`,
  'too-many-attributes': `a request of more than ${MAX_REQUEST_ATTRIBUTES} attributes`,
  'too-slow': `a request not finished within ${REQUEST_TIMEOUT_MS / 1000} s`,
  'cut-off': 'closed by the client in the middle of a request',
  unread: `replies not read for ${UNREAD_TIMEOUT_MS / 1000} s`,
  'no-answer':
    'no settings to answer by: none are loaded, those of a domain that is concerned cannot be used, or nobody knows that domain',
  'handler-failed': 'the decision failed',
  'bad-action': 'the decision gave a malformed action',
};

/** The trouble in words, for the log. */
export function describeTrouble(trouble: Trouble): string {
  return WORDS[trouble];
}

/** A counter for each trouble, all at zero. */
export function zeroByTrouble(): Record<Trouble, number> {
  return {
    'no-equals': 0,
    nul: 0,
    'too-large': 0,
    'too-many-attributes': 0,
    'too-slow': 0,
    'cut-off': 0,
    unread: 0,
    'no-answer': 0,
    'handler-failed': 0,
    'bad-action': 0,
  };
}
