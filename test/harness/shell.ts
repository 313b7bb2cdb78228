// Runs command lines as somebody would type them: `tlswarden` is in the PATH. For what the program prints to be run.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from './command.ts';
import { MAIN } from './main.ts';

/** Runs lines by sh, one after the other; throws if one fails. A folder of the test keeps the program's name. */
export async function runLines(directory: string, lines: readonly string[]): Promise<string> {
  const bin = join(directory, 'bin');
  const tlswarden = join(bin, 'tlswarden');
  await mkdir(bin, { recursive: true });
  await writeFile(tlswarden, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(tlswarden, 0o755);
  const path = [bin, process.env['PATH'] ?? ''].join(delimiter);
  return await run('sh', ['-ec', lines.join('\n')], { env: { PATH: path }, cwd: '/' });
}
