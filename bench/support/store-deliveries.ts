/** SQL of the benchmark of deliveries. */
import type { Sql } from '../../src/platform/postgres/index.ts';

/** Events of `bytes` each. */
export async function insertEvents(
  sql: Sql,
  events: { environmentId: number; kind: string; count: number; bytes: number },
): Promise<void> {
  await sql.query(
    `INSERT INTO event (environment_id, type, payload)
     SELECT $1, $2, jsonb_build_object('n', n, 'note', repeat('x', $4)) FROM generate_series(1, $3::int) n`,
    [events.environmentId, events.kind, events.count, events.bytes],
  );
}

/** Events without deliveries; deliveries that may be tried now; those that have to wait. */
export async function countPending(
  sql: Sql,
  shiftMs: number,
): Promise<{ fresh: number; due: number; waiting: number }> {
  const [row] = await sql.query<{ fresh: number; due: number; waiting: number }>(
    `SELECT (SELECT count(*)::int FROM event WHERE NOT is_handled) AS fresh,
       count(*) FILTER (WHERE d.next_attempt_at <= t.now AND (e.open_until IS NULL OR e.open_until <= t.now)
         OR d.lease_owner IS NOT NULL)::int AS due,
       count(*)::int AS waiting
     FROM (SELECT statement_timestamp() + $1::float8 * interval '1 millisecond' AS now) t, delivery d
     JOIN endpoint e ON e.environment_id = d.environment_id AND e.id = d.endpoint_id
     WHERE d.state = 'pending'`,
    [shiftMs],
  );
  return row as { fresh: number; due: number; waiting: number };
}
