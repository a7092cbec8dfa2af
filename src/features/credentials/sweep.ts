/** Repairs and keeps alive what nobody asks for. Bounded per round; the refresh protocol keeps nodes apart. */
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Context } from './context.ts';
import { loadByRow } from './load.ts';
import type { Reader } from './read.ts';
import { selectNeglected } from './store.ts';
import { closeStaleReplies, deleteClosedReplies } from './store-journal.ts';

/** Wire contract I.1: a connection nobody uses is refreshed once a day, so that its refresh token stays alive. */
const IDLE_MS = 24 * 3_600_000;
const BATCH_MAX = 100;
/** Step 11: answers are wiped this long after they were dealt with. */
const JOURNAL_KEEP_MS = 24 * 3_600_000;
/** An answer that lost its race and was not needed for a week will not be needed. */
const STALE_REPLY_MS = 7 * 24 * 3_600_000;

/** Resolves to the number of connections looked at. */
export async function sweepCredentials(context: Context, reader: Reader): Promise<number> {
  await context.journal.flushSpool();
  await closeStaleReplies(context.db, STALE_REPLY_MS);
  await deleteClosedReplies(context.db, JOURNAL_KEEP_MS);
  const neglected = await selectNeglected(context.db, IDLE_MS, BATCH_MAX);
  await Promise.all(
    neglected.map(async ({ environment_id: environmentId, connection_id: connectionId }) => {
      try {
        const loaded = await loadByRow(context, environmentId, connectionId);
        if (loaded.refreshable) await reader.refresh(loaded, { force: false, refused: false, urgent: false });
      } catch (error) {
        // Its failure is in the row and in the activity; the others go on.
        const quiet = isHawserError(error, 'unknown_connection', 'connection_refresh_backoff');
        if (!quiet)
          context.log.warn('a neglected connection could not be refreshed', {
            connection: connectionId,
            error: errorText(error),
          });
      }
    }),
  );
  return neglected.length;
}
