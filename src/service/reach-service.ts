/**
 * Whether the policy service answers where Postfix is about to ask. It starts nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { askService, NoAnswer } from './policy-client.ts';

const LOOK_MS = 200;

/**
 * What is wrong, as {@link NoAnswer} words it; undefined: it answers. `patienceMs` is for one that has just been started, and
 * does not listen yet. `policyService` is `inet:host:port` or `unix:/path`.
 */
export async function reachService(policyService: string, patienceMs = 0): Promise<string | undefined> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      await askService(policyService, { protocol_state: 'CONNECT' });
      return undefined;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      if (Date.now() >= deadline) return error.message;
    }
    await pause(LOOK_MS);
  }
}
