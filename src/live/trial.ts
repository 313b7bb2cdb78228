/**
 * One thing that doctor tries on the running Postfix, and what came of it.
 */

/**
 * - held: it was as the settings ask.
 * - broken: mail that has to have TLS went without it.
 * - failed: it was not as it should be, or something else stood in the way; no mail went without its TLS.
 * - not tried: this host gives no way to try it, by its own settings.
 */
export type Outcome = 'held' | 'broken' | 'failed' | 'not tried';

/** One trial; `tlswarden --json doctor --live` prints it as it is. */
export interface Trial {
  /** The same from one version to the next: `receipt-plaintext`. */
  readonly id: string;
  /** What was tried: a noun phrase. */
  readonly what: string;
  /** What should come of it. */
  readonly expected: string;
  /** What it comes to. */
  readonly outcome: Outcome;
  /** What came of it, or why it was not tried. */
  readonly seen: string;
}

/** What is tried, in the order in which it is told. */
const TRIALS = {
  'receipt-plaintext': ['mail that has to arrive over TLS, in plaintext', 'refused'],
  'receipt-tls': ['the same over TLS', 'accepted'],
  'receipt-free': ['mail from a sender that nobody asks TLS of, in plaintext', 'accepted'],
  'delivery-tls': ['mail that has to leave over TLS, to a server with TLS', 'delivered over TLS'],
  'delivery-plaintext': ['the same to a server without TLS', 'waits in the queue'],
  lanes: ['two recipients of one message that go different ways', 'the second has to come separately'],
  table: [
    'mail of sendmail(1), which asks no service, to a domain in our tables whose server has no TLS',
    'waits in the queue',
  ],
} as const satisfies Readonly<Record<string, readonly [what: string, expected: string]>>;

/** What stands in {@link Trial.id}. */
export type TrialId = keyof typeof TRIALS;

/** The trial of this id with what came of it. */
export function trial(id: TrialId, outcome: Outcome, seen: string): Trial {
  const [what, expected] = TRIALS[id];
  return { id, what, expected, outcome, seen };
}
