import { escapeIdentifier } from 'pg';
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from './model.ts';

/** Between two looks at how old the view of a table is. */
const LOOK_INTERVAL_MS = 5_000;
/** Fewer changes make no plan wrong enough to be felt. */
const CHANGES_MIN = 1_000;

/**
 * For a table that fills within seconds: call what it returns whenever there was more in it than could be taken.
 *
 * PostgreSQL plans by what it saw last and looks by itself about once a minute. A queue that it saw empty, and that has
 * filled since, is a table for it in which any index is as good as another; it reads all of it for each row. So when
 * more has changed than there was, it is asked to look now.
 */
export function createStatistics(
  { db, clock, log }: { db: Pick<Database, 'query'>; clock: Clock; log: Log },
  table: string,
): () => void {
  let nextLookMs = Number.NEGATIVE_INFINITY;

  async function look(): Promise<void> {
    const rows = await db.query<{ changes: number; seen: number }>(
      `SELECT s.n_mod_since_analyze AS changes, c.reltuples AS seen
       FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.relid = $1::regclass`,
      [table],
    );
    const { changes = 0, seen = 0 } = rows[0] ?? {};
    if (changes < Math.max(CHANGES_MIN, seen)) return;
    // Beside one that is under way it would only wait.
    await db.query(`ANALYZE (SKIP_LOCKED) ${escapeIdentifier(table)}`);
    log.debug('the database was asked to look at a table anew', { table, changes });
  }

  return () => {
    if (clock.monotonicMs() < nextLookMs) return;
    nextLookMs = clock.monotonicMs() + LOOK_INTERVAL_MS;
    look().catch((error: unknown) => log.debug('could not look at a table anew', { table, error: errorText(error) }));
  };
}
