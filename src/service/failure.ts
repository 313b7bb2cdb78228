/**
 * What may be logged of an exception that a request has caused: what kind and where, not its message, which may hold
 * what the client sent.
 */

const MAX_LENGTH = 200;
const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/g;

/** One line of printable ASCII, such as `TypeError at decide (file:///…/decide.js:12:3)`. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  const name = error.constructor.name;
  const stack = String(error.stack);
  // The frames come after the message, which may have lines that look like frames.
  const messageAt = stack.indexOf(error.message);
  const frames = messageAt < 0 ? '' : stack.slice(messageAt + error.message.length);
  const frame = frames.split('\n').find((line) => line.trim() !== '') ?? '';
  return `${name} ${frame.trim()}`.trim().replace(NOT_PRINTABLE_ASCII, '?').slice(0, MAX_LENGTH);
}
