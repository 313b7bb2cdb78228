// A process that writes a snapshot, for tests that kill it: whole, or, if there is one, with a change. Its arguments are the
// snapshot, a number that tells the settings apart, and how many records they are.

import { readSnapshot, renewSnapshot, SnapshotWriter } from '../../src/redis/snapshot.ts';

const [path, version, count] = process.argv.slice(2);
if (path !== undefined && version !== undefined) {
  const records = Array.from(
    { length: Number(count) },
    (_, i) =>
      [`d${i}.example`, JSON.stringify({ domain: `d${i}.example`, nexthop: `[mx${version}.example]:25` })] as const,
  );
  const position = { epoch: 'e', id: `${version}-0`, seq: Number(version) };
  if ((await readSnapshot(path, () => {})) !== undefined) await renewSnapshot(path, new Map(records), position);
  else {
    const writer = await SnapshotWriter.begin(path);
    for (const [, record] of records) await writer.add(record);
    await writer.finish(position);
  }
}
