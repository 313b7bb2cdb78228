/**
 * Long work in slices, so that the event loop has its turns between them and requests go on being answered. It does none of
 * the work and decides no order.
 */
import { setImmediate } from 'node:timers/promises';

/** Milliseconds for which the event loop is kept at once. */
const SLICE_MS = 5;

/** The slice that begins when this is made. */
export class Slice {
  #end = performance.now() + SLICE_MS;

  /** Ask it often: it is only a look at the clock. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Lets others have their turn, and begins another slice. To be awaited when this one is over. */
  async next(): Promise<void> {
    await setImmediate();
    this.#end = performance.now() + SLICE_MS;
  }
}
