/**
 * A settings directory of its own for one test, and what stands in it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import { DirectorySource, type DirectorySourceOptions } from '../../src/source/directory-source.ts';
import { DirectoryStore } from '../../src/source/directory-store.ts';
import { ComplaintError } from '../../src/toml/complaint.ts';

export class SettingsDirectory {
  readonly path: string;
  readonly source: DirectorySource;
  readonly store: DirectoryStore;
  readonly #options: DirectorySourceOptions;

  constructor(test: Pick<TestContext, 'after'>, files: Readonly<Record<string, string>> = {}) {
    this.path = mkdtempSync(join(tmpdir(), 'tlswarden-settings-'));
    test.after(() => rmSync(this.path, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    const context = { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };
    this.#options = { path: this.path, relayhost: BY_MX, context };
    this.source = new DirectorySource(this.#options);
    this.store = new DirectoryStore(this.#options);
  }

  /** A source that has loaded nothing yet. */
  another(): DirectorySource {
    return new DirectorySource(this.#options);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { force: true });
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  /** All that stands in the directory but the lock file. */
  names(): readonly string[] {
    return readdirSync(this.path)
      .filter((name) => name !== '.tlswarden.lock')
      .sort();
  }

  /** What a load complains of, worded; '' if it does not. */
  async complaint(): Promise<string> {
    return complaintOf(() => this.source.load());
  }
}

/** What is complained of, worded; '' if nothing is. */
export async function complaintOf(body: () => Promise<unknown>): Promise<string> {
  try {
    await body();
  } catch (error) {
    if (error instanceof ComplaintError) return error.message;
    throw error;
  }
  return '';
}
