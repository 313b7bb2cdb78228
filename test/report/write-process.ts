// A process that counts and keeps, for tests that kill it. Its arguments are the state file, a name for what it counts, and
// how often; it prints a line with the number of rows that it has handed over after each time that they were kept.

import { StateFile } from '../../src/report/state-file.ts';
import { rowOf } from './rows.ts';

const [path, remote, times] = process.argv.slice(2);
if (path !== undefined && remote !== undefined) {
  const store = new StateFile(
    path,
    { maxRows: 1_000, localParts: false },
    { error: (_, message) => console.log(message) },
  );
  const row = rowOf(`example.com incoming ${remote} plaintext=1 first=1 last=1`);
  for (let count = 1; count <= Number(times); count++) {
    await store.add([row], Date.now());
    process.stdout.write(`${count}\n`);
  }
}
