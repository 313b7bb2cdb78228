/**
 * Collects domains into {@link Settings}, whole or not at all. One builder, one load; complaints are collected, not thrown.
 */
import type { Complaint } from '../toml/complaint.ts';
import type { HostedDomain } from './hosted-domain.ts';
import type { NextHop } from './next-hop.ts';
import type { Settings } from './settings.ts';
import { SettingsOwner } from './settings-owner.ts';

export class SettingsBuilder {
  readonly #owner: SettingsOwner;
  readonly #complaints: Complaint[];

  constructor(relayhost: NextHop, complaints: Complaint[]) {
    this.#owner = new SettingsOwner(relayhost);
    this.#complaints = complaints;
  }

  add(domain: HostedDomain): void {
    this.#complaints.push(...this.#owner.add(domain));
  }

  /** The settings, or undefined if there was any complaint. */
  finish(): Settings | undefined {
    return this.#complaints.length > 0 ? undefined : this.#owner.settings;
  }
}
