/**
 * Delivery by our tables alone: mail that is submitted on this host asks no policy service, so what keeps it from leaving in
 * plaintext are the tables that Postfix looks into.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { readTables } from '../explain/read-tables.ts';
import { loadSettings } from '../main-file/open-source.ts';
import { sendmail } from '../postfix/sendmail.ts';
import { stampFile } from '../tables/stamp.ts';
import type { Stage } from './stage.ts';
import { type Trial, trial } from './trial.ts';
import { judgePlaintext } from './try-delivery.ts';

/** How long `maps --watch` has to write the tables. */
const TABLES_MS = 5_000;
/** trivial-rewrite(8) looks for changed tables every 10 s. */
const REWRITE_MS = 12_000;

/**
 * One trial, which waits until trivial-rewrite(8) has taken up the tables. Rejects with QueueError, AbortError, or as
 * {@link loadSettings} does.
 */
export async function tryTable(stage: Stage): Promise<Trial> {
  const { host, progress, signal, tableObstacle } = stage;
  const { main, postfix } = host;
  if (tableObstacle !== undefined || main.maps === undefined) return trial('table', 'not tried', tableObstacle ?? '');
  progress('waiting until Postfix goes by the new tables');
  const settings = await loadSettings(main);
  const isWritten = await stage.until(TABLES_MS, async () => (await readTables(main, settings)) === 'current');
  if (!isWritten) {
    return trial('table', 'not tried', 'nothing writes the tables: "tlswarden maps --watch" does not seem to run');
  }
  const { mtimeMs } = await stat(stampFile(main.maps.directory));
  await pause(Math.max(0, mtimeMs + REWRITE_MS - Date.now()), undefined, { signal });
  progress('sending mail by sendmail(1)');
  const recipient = stage.recipient('table');
  await sendmail(postfix.value('sendmail_path'), postfix.directory, recipient, stage.message(recipient));
  return judgePlaintext('table', await stage.fate('table'));
}
