/** What every part of the benchmark is given. */
import type { Workspace } from '../harness/workspace.ts';
import type { Fleet } from './fleet.ts';
import type { Results } from './results.ts';

export interface Bench {
  readonly workspace: Workspace;
  readonly results: Results;
  /** How often each thing is measured. */
  readonly rounds: number;
  /** The fleets that are measured, smallest first. */
  readonly sizes: readonly number[];
  /** The fleet of so many domains, written when it is first asked for. */
  readonly fleet: (count: number) => Promise<Fleet>;
}
