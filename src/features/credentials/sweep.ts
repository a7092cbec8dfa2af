/** Repairs and keeps alive what nobody asks for. Bounded per round; the refresh protocol keeps nodes apart. */
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Context } from './context.ts';
import { isDatabaseTrouble } from './exchange.ts';
import { loadByRow, type Loaded } from './load.ts';
import type { Reader } from './read.ts';
import { closeStaleReplies, deleteClosedReplies } from './store-journal.ts';
import { deleteIdleLanes } from './store-pace.ts';
import { postponeSweep, selectDatabaseNow, selectNeglected, sweepAgainIn } from './store-sweep.ts';

const BATCH_MAX = 100;
/** With the pace of 20 a second, what fits into the minute between two sweeps. */
const BATCHES_MAX = 12;
/** Step 11: answers are wiped this long after they were dealt with. */
const JOURNAL_KEEP_MS = 24 * 3_600_000;
/** An answer that lost its race and was not needed for a week will not be needed. */
const STALE_REPLY_MS = 7 * 24 * 3_600_000;
/** Wire contract I.1: a refresh token that nobody uses is used this often, so that it does not die of old age. */
const IDLE_MS = 24 * 3_600_000;
/** The row's own time to be looked at knows nothing of the window's jitter of 10 %. */
const WINDOW_SLACK = 1.25;
const LOOK_AGAIN_MIN_MS = 60_000;
/** Fault 15: our wall clock is wrong by more than signatures with a time in them forgive. */
const SKEW_MAX_MS = 30_000;
/** Others are gone, or wait for their customer. */
const KEPT_STATES: readonly string[] = ['active', 'expiring', 'not_ready'];

/** Resolves to the number of connections looked at. Errors: those of the database. */
export async function sweepCredentials(context: Context, reader: Reader): Promise<number> {
  await context.journal.flushSpool();
  await warnOfSkew(context);
  // Nothing is wiped either: what is old here may be what is needed after the acceptance.
  if (context.isQuarantined()) return 0;
  await closeStaleReplies(context.db, STALE_REPLY_MS);
  await deleteClosedReplies(context.db, JOURNAL_KEEP_MS);
  await deleteIdleLanes(context.db);
  let looked = 0;
  for (let batch = 0; batch < BATCHES_MAX && !context.stopping.signal.aborted; batch += 1) {
    const neglected = await selectNeglected(context.db, BATCH_MAX);
    await Promise.all(neglected.map((row) => lookAt(context, reader, row.environment_id, row.connection_id)));
    looked += neglected.length;
    if (neglected.length < BATCH_MAX) break;
  }
  return looked;
}

/** Nothing here depends on our wall clock; what others sign and date with it does. */
async function warnOfSkew({ db, clock, log }: Context): Promise<void> {
  const skewMs = clock.now() - (await selectDatabaseNow(db)).getTime();
  if (Math.abs(skewMs) <= SKEW_MAX_MS) return;
  log.warn('the clock of this machine and that of the database differ', { skewSeconds: Math.round(skewMs / 1_000) });
}

/** Its failure is in the row and in the activity; the others go on. */
async function lookAt(context: Context, reader: Reader, environmentId: number, connectionId: number): Promise<void> {
  try {
    const loaded = await loadByRow(context, environmentId, connectionId);
    const kept = loaded.refreshable && KEPT_STATES.includes(loaded.live.connection.state);
    const waitMs = kept ? wantedInMs(loaded) : undefined;
    if (waitMs === undefined) {
      await postponeSweep(context.db, environmentId, connectionId);
      return;
    }
    if (waitMs > 0) {
      await sweepAgainIn(context.db, environmentId, connectionId, Math.max(waitMs, LOOK_AGAIN_MIN_MS));
      return;
    }
    const renewed = await reader.refresh(loaded, { force: false, refused: false, urgent: false });
    if (renewed.row.gen === loaded.row.gen) await postponeSweep(context.db, environmentId, connectionId);
  } catch (error) {
    if (!isHawserError(error, 'connection_refresh_backoff', 'connection_refresh_exhausted', 'unknown_connection')) {
      context.log.warn('a neglected connection could not be refreshed', {
        connection: connectionId,
        error: errorText(error),
      });
    }
    // A failed refresh has set its next try; whatever else fails here must not stand before the others for ever.
    const isNoted = isHawserError(error, 'refresh_token_external_error', 'connection_needs_reauth', 'draining');
    if (isNoted || isDatabaseTrouble(error)) return;
    await postponeSweep(context.db, environmentId, connectionId);
  }
}

/**
 * Milliseconds until a refresh is wanted that nobody asked for. At once: what a vanished node left open, and a token
 * about to end that was used since it came. A token that nobody uses waits for its end and for a day to pass.
 * Undefined: never (wire contract I.1: no end, no refresh).
 */
function wantedInMs({ live: { connection }, row, windowMs }: Loaded): number | undefined {
  if (row.intent_open) return 0;
  if (row.left_ms === null) return undefined;
  const untilDueMs = row.left_ms - windowMs * WINDOW_SLACK;
  if (untilDueMs > 0) return untilDueMs;
  const refreshedAtMs = row.now.getTime() - row.since_refresh_ms;
  const isUsed = [connection.lastFetchedAt, connection.lastGoodCallAt].some((at) => Number(at) > refreshedAtMs);
  return isUsed ? 0 : Math.max(row.left_ms, IDLE_MS - row.since_refresh_ms);
}
