/**
 * The metrics of one running service: what it counts by itself, what it asks its parts for when somebody looks, and the
 * HTTP server that shows it. The parts know nothing of it.
 */

import type { EventLog } from '../log/event-log.ts';
import type { ListenAddress } from '../service/listen-address.ts';
import { DecisionCounters } from './decision-counters.ts';
import { formatExposition } from './exposition.ts';
import { families, REPLY_BOUNDS, type Reading } from './families.ts';
import { Histogram } from './histogram.ts';
import { MetricsServer } from './metrics-server.ts';
import { ProcessMeter } from './process-meter.ts';

/** What is read of the service's other parts. */
export type PartsReading = Omit<Reading, 'decisions' | 'isReady' | 'process' | 'replyTimes' | 'version'>;

/** What of the service is shown. */
export interface ServiceMetricsOptions {
  readonly version: string;
  readonly log: EventLog;
  /** Why requests of Postfix are not answered now; undefined: they are. */
  unready(): string | undefined;
  /** Asked for each look at /metrics. */
  read(): Promise<PartsReading>;
}

/** Whoever decides counts in {@link decisions} and {@link replyTimes}, whether or not anybody listens. */
export class ServiceMetrics {
  readonly decisions = new DecisionCounters();
  /** In seconds. */
  readonly replyTimes = new Histogram(REPLY_BOUNDS);
  readonly #process = new ProcessMeter();
  readonly #server: MetricsServer;

  constructor({ version, log, unready, read }: ServiceMetricsOptions) {
    const { decisions, replyTimes } = this;
    this.#server = new MetricsServer({
      log,
      unready,
      metrics: async () => {
        const isReady = unready() === undefined;
        const parts = await read();
        return formatExposition(
          families({ ...parts, version, isReady, decisions, replyTimes, process: this.#process }),
        );
      },
    });
  }

  /** @throws ListenError */
  async listen(address: ListenAddress, options: { readonly allowRemote: boolean }): Promise<void> {
    await this.#server.listen(address, options);
  }

  /** Where it is shown. */
  get address(): string | undefined {
    return this.#server.address;
  }

  async stop(): Promise<void> {
    this.#process.stop();
    await this.#server.stop();
  }
}
