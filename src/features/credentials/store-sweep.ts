/** SQL of the sweep over table `credential`. */
import type { Sql } from '../../platform/postgres/index.ts';

/**
 * Exchanges that a vanished node left open, and refresh tokens whose day has come. By `statement_timestamp()`: a volatile
 * clock would be compared with every row of the index.
 */
export async function selectNeglected(
  sql: Sql,
  limit: number,
): Promise<{ environment_id: number; connection_id: number }[]> {
  return sql.query(
    `(SELECT environment_id, connection_id FROM credential
       WHERE intent_at IS NOT NULL AND lease_until < statement_timestamp() ORDER BY lease_until LIMIT $1)
     UNION
     (SELECT environment_id, connection_id FROM credential
       WHERE sweep_at < statement_timestamp() ORDER BY sweep_at LIMIT $1)`,
    [limit],
  );
}

/** Sets when the sweep looks at a credential next. */
export async function sweepAgainIn(sql: Sql, environmentId: number, connectionId: number, ms: number): Promise<void> {
  await sql.query(
    `UPDATE credential SET sweep_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
     WHERE environment_id = $1 AND connection_id = $2`,
    [environmentId, connectionId, ms],
  );
}

/** Takes a connection off the sweep for a day: there is nothing to refresh, or nobody to refresh it for. */
export async function postponeSweep(sql: Sql, environmentId: number, connectionId: number): Promise<void> {
  await sql.query(
    `UPDATE credential SET sweep_at = clock_timestamp() + interval '1 day',
       lease_until = CASE WHEN lease_until >= clock_timestamp() THEN lease_until END
     WHERE environment_id = $1 AND connection_id = $2`,
    [environmentId, connectionId],
  );
}

export async function selectDatabaseNow(sql: Sql): Promise<Date> {
  const rows = await sql.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return (rows[0] as { now: Date }).now;
}
