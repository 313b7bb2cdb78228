// Hosts that log in to Redis as a user of their own, who can be kept out while others come and go.

import type { RedisServer } from '../harness/redis.ts';
import type { Host } from './host.ts';

export class Readers {
  /** Where they find Redis. */
  readonly url: string;
  readonly #redis: RedisServer;

  private constructor(redis: RedisServer) {
    this.#redis = redis;
    this.url = redis.url.replace('//', '//reader:secret@');
  }

  static async of(redis: RedisServer): Promise<Readers> {
    await redis.cli('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all');
    return new Readers(redis);
  }

  /** Keeps them out; returns when this host has noticed. */
  async cutOff(host: Host): Promise<void> {
    // Turning a user off leaves its connections.
    await this.#redis.cli('ACL', 'SETUSER', 'reader', 'off');
    await this.#redis.cli('CLIENT', 'KILL', 'USER', 'reader');
    await host.untilLogged('cannot be read from Redis');
  }

  async letIn(): Promise<void> {
    await this.#redis.cli('ACL', 'SETUSER', 'reader', 'on');
  }
}
