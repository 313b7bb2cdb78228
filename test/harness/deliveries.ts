// What became of mail: one entry for each recipient of each message that a destination took. Two entries for one recipient of
// one message are two copies. Never looks into a queue.

import type { Destination } from './destination.ts';

export interface Delivery {
  /** The id that the message was sent with. */
  readonly id: string;
  readonly to: string;
  /** Name of the destination. */
  readonly at: string;
  readonly overTls: boolean;
}

/** All that these destinations have taken, in an order of its own. */
export function deliveriesAt(destinations: Iterable<Destination>): readonly Delivery[] {
  return [...destinations].flatMap(({ name, messages }) =>
    messages.flatMap(({ id, to, tls }) =>
      to.map((recipient) => ({ id: id ?? '', to: recipient, at: name, overTls: tls !== undefined })),
    ),
  );
}

/** One line a delivery, sorted: for comparing many with what should be. */
export function wordDeliveries(deliveries: readonly Delivery[]): readonly string[] {
  return deliveries
    .map(({ id, to, at, overTls }) => `${id} ${to} at ${at} ${overTls ? 'over TLS' : 'in plaintext'}`)
    .sort();
}
