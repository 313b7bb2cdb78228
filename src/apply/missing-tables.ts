/**
 * Whether the tables are there that main.cf and master.cf are about to name: Postfix defers all mail over one that is not.
 * It reads nothing in them.
 */
import { access } from 'node:fs/promises';
import type { FragmentContext, Fragments } from '../fragments/fragment.ts';
import { compiledSuffix } from '../tables/compiled-table.ts';
import { CURRENT_LINK } from '../tables/stamp.ts';

/** The files that Postfix would miss. Those of transports that are only kept may be gone with an old maps directory. */
export async function missingTables(
  { parameters, services, overrides }: Fragments,
  maps: FragmentContext['maps'],
): Promise<readonly string[]> {
  if (maps === undefined) return [];
  const suffix = compiledSuffix(maps.type, maps.directory) ?? '';
  const text = [...parameters, ...overrides]
    .map(({ value }) => value)
    .concat(services.filter(({ isInUse }) => isInUse).map(({ line }) => line));
  const files = new Set<string>();
  const begin = `:${maps.directory}/${CURRENT_LINK}/`;
  for (const value of text) {
    for (let at = value.indexOf(begin); at >= 0; at = value.indexOf(begin, at + 1)) {
      const path = /^[^\s,}]*/u.exec(value.slice(at + 1))?.[0] ?? '';
      files.add(value.slice(0, at).endsWith(maps.type) ? path + suffix : path);
    }
  }
  const seen = await Promise.all(
    [...files].map((file) =>
      access(file).then(
        () => [],
        () => [file],
      ),
    ),
  );
  return seen.flat();
}
