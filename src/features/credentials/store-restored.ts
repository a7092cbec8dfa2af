/** SQL over table `credential` for a database that was restored. */
import type { Sql } from '../../platform/postgres/index.ts';

/** Above every epoch of the life that the restored database knows nothing of: spooled answers of it keep their place. */
const EPOCHS_SKIPPED = 1_000_000;

/**
 * Refresh tokens stored before `before` may have been used and replaced since: each gets an open intent, as if a node had
 * vanished in the middle of its refresh. So the protocol adopts what the journal has, serves the access token to its end
 * where a second use is dangerous, tries once, and a refusal means `lost_rotation`. Resolves to how many.
 */
export async function doubtRefreshTokens(tx: Sql, before: Date): Promise<number> {
  const rows = await tx.query<{ doubted: number }>(
    `WITH doubted AS (
       UPDATE credential SET intent_at = coalesce(intent_at, clock_timestamp()),
         intent_rt_hash = coalesce(intent_rt_hash, refresh_hash), lease_epoch = lease_epoch + $2, lease_owner = NULL,
         lease_until = clock_timestamp() - interval '1 second', next_attempt_at = NULL
       WHERE refresh_hash IS NOT NULL AND refreshed_at < $1 RETURNING 1
     )
     SELECT count(*)::int AS doubted FROM doubted`,
    [before, EPOCHS_SKIPPED],
  );
  return rows[0]?.doubted ?? 0;
}
