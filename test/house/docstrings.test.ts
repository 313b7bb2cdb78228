// What the sources promise whoever reads them before their code: what a declaration is, what goes in and what comes out.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../../../src', import.meta.url));

const EXPORT =
  /^export (?:default |declare |abstract |async )*(?:function\*?|class|interface|type|const|let|var|enum) +(\w+)/u;

/** The names that a source exports without a docstring of their own: the comment at its head is the file's. */
function undocumented(source: string): readonly string[] {
  const lines = source.split('\n');
  return lines.flatMap((line, i) => {
    const name = EXPORT.exec(line)?.[1];
    if (name === undefined) return [];
    const end = i - 1;
    const start = lines.findLastIndex((before, at) => at <= end && /^\/\*\*/u.test(before));
    return lines[end]?.endsWith('*/') && start > 0 ? [] : [name];
  });
}

test('a comment counts as a docstring only if it stands right above what it is about, and is not that of the file', () => {
  const file = '/** What the file is for. */\n';
  assert.deepEqual(undocumented(`${file}export const a = 1;`), ['a']);
  assert.deepEqual(undocumented(`${file}\n/** One. */\nexport const a = 1;\nexport type B = 1;`), ['B']);
  assert.deepEqual(
    undocumented(`${file}\n// One.\nexport async function* c() {}\n\n/** Two. */\n\nexport class D {}`),
    ['c', 'D'],
  );
  assert.deepEqual(undocumented(`${file}\n/**\n * One\n * line more.\n */\nexport abstract class E {}`), []);
});

test('whatever a source exports has a docstring', () => {
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const found = files.flatMap((name) =>
    undocumented(readFileSync(join(sources, name), 'utf8')).map((what) => `${name}: ${what}`),
  );
  assert.deepEqual(found, []);
  assert.ok(files.length > 0);
});
