/** Repairs and keeps alive what nobody asks for. Bounded per round; the refresh protocol keeps nodes apart. */
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Context } from './context.ts';
import { loadByRow } from './load.ts';
import type { Reader } from './read.ts';
import { postponeSweep, selectNeglected } from './store.ts';
import { closeStaleReplies, deleteClosedReplies } from './store-journal.ts';

const BATCH_MAX = 100;
/** With the pace of 20 a second, what fits into the minute between two sweeps. */
const BATCHES_MAX = 12;
/** Step 11: answers are wiped this long after they were dealt with. */
const JOURNAL_KEEP_MS = 24 * 3_600_000;
/** An answer that lost its race and was not needed for a week will not be needed. */
const STALE_REPLY_MS = 7 * 24 * 3_600_000;
/** Others are gone, or wait for their customer. */
const KEPT_STATES: readonly string[] = ['active', 'expiring', 'not_ready'];

/** Resolves to the number of connections looked at. Errors: those of the database. */
export async function sweepCredentials(context: Context, reader: Reader): Promise<number> {
  await context.journal.flushSpool();
  await closeStaleReplies(context.db, STALE_REPLY_MS);
  await deleteClosedReplies(context.db, JOURNAL_KEEP_MS);
  let looked = 0;
  for (let batch = 0; batch < BATCHES_MAX && !context.stopping.signal.aborted; batch += 1) {
    const neglected = await selectNeglected(context.db, BATCH_MAX);
    await Promise.all(neglected.map((row) => lookAt(context, reader, row.environment_id, row.connection_id)));
    looked += neglected.length;
    if (neglected.length < BATCH_MAX) break;
  }
  return looked;
}

/** Its failure is in the row and in the activity; the others go on. */
async function lookAt(context: Context, reader: Reader, environmentId: number, connectionId: number): Promise<void> {
  try {
    const loaded = await loadByRow(context, environmentId, connectionId);
    const kept = loaded.refreshable && KEPT_STATES.includes(loaded.live.connection.state);
    const renewed = kept && (await reader.refresh(loaded, { force: false, refused: false, urgent: false }));
    if (!renewed || renewed.row.gen === loaded.row.gen) await postponeSweep(context.db, environmentId, connectionId);
  } catch (error) {
    if (isHawserError(error, 'connection_refresh_backoff', 'connection_refresh_exhausted', 'unknown_connection')) {
      await postponeSweep(context.db, environmentId, connectionId);
      return;
    }
    context.log.warn('a neglected connection could not be refreshed', {
      connection: connectionId,
      error: errorText(error),
    });
  }
}
