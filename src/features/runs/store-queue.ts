/** SQL of table `run` as a queue: taking, keeping, taking over, cancelling, sweeping. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import { RUN_COLUMNS, type RunRow } from './store.ts';

/** Tries that ended because their node did; then the run itself is what kills nodes. Source: fault 23. */
export const LOST_MAX = 5;

export interface Claimed extends RunRow {
  input_sealed: Buffer | null;
}

/** Environments that have something queued: one look into the index for each. Not prepared by name, as `claimRuns`. */
export async function selectDueEnvironments(sql: Sql): Promise<number[]> {
  const rows = await sql.query<{ id: number }>(
    `SELECT e.id FROM environment e, LATERAL (
       SELECT FROM run r WHERE r.environment_id = e.id AND r.state = 'queued'
       ORDER BY r.environment_id, r.lane, r.run_at, r.id LIMIT 1) queued
     ORDER BY e.id`,
    [],
  );
  return rows.map((row) => row.id);
}

/**
 * Takes at most `limit` runs: the oldest of each lane that has none running, beginning behind lane `after` of each
 * environment, so that every lane has its turn; `lastLane` is where to go on. Errors: unique violation when another
 * node was faster on a lane.
 *
 * Not prepared by name, because a plan made for a short queue reads a long one whole. Rows are found again by arrays of
 * ids, and `LIKE` keeps the index of queued runs out of it: PostgreSQL takes it for a table without statistics, and
 * searches the queue once for every id.
 */
export async function claimRuns(
  sql: Sql,
  claim: { environmentId: number; after: string; owner: string; leaseMs: number; lanes: number; limit: number },
): Promise<{ claimed: Claimed[]; lastLane: string | undefined }> {
  const rows = await sql.query<Claimed & { last_lane: string | null; row_id: number | null }>(
    `WITH RECURSIVE lanes AS (
       (SELECT lane, 1 AS n FROM run WHERE environment_id = $1 AND state = 'queued' AND lane > $2
        ORDER BY lane LIMIT 1)
       UNION ALL
       SELECT (SELECT q.lane FROM run q WHERE q.environment_id = $1 AND q.state = 'queued' AND q.lane > lanes.lane
               ORDER BY q.lane LIMIT 1), lanes.n + 1
       FROM lanes WHERE lanes.lane IS NOT NULL AND lanes.n < $5),
     heads AS (
       SELECT lanes.lane, head.id FROM lanes, LATERAL (
         SELECT q.id, q.run_at FROM run q
         WHERE q.environment_id = $1 AND q.state = 'queued' AND q.lane = lanes.lane
         ORDER BY q.run_at, q.id LIMIT 1) head
       WHERE lanes.lane IS NOT NULL AND head.run_at <= clock_timestamp()
         AND NOT EXISTS (SELECT 1 FROM run b
                         WHERE b.environment_id = $1 AND b.lane = lanes.lane AND b.state = 'running')),
     taken AS (
       SELECT q.id FROM run q
       WHERE q.environment_id = $1 AND q.id = ANY (ARRAY(SELECT id FROM heads)) AND q.state LIKE 'queued'
       ORDER BY q.lane LIMIT $6 FOR NO KEY UPDATE OF q SKIP LOCKED),
     claimed AS (
       UPDATE run r SET state = 'running', lease_owner = $3, lease_epoch = lease_epoch + 1, attempts = attempts + 1,
         lease_until = clock_timestamp() + $4::float8 * interval '1 millisecond',
         started_at = coalesce(started_at, clock_timestamp())
       WHERE r.environment_id = $1 AND r.id = ANY (ARRAY(SELECT id FROM taken))
       RETURNING ${RUN_COLUMNS}, r.input_sealed)
     SELECT claimed.*, claimed.id AS row_id, CASE WHEN (SELECT count(*) FROM claimed) = $6
       THEN (SELECT max(lane) FROM claimed) ELSE (SELECT max(lane) FROM lanes) END AS last_lane
     FROM (SELECT 1) one LEFT JOIN claimed ON true`,
    [claim.environmentId, claim.after, claim.owner, claim.leaseMs, claim.lanes, claim.limit],
  );
  return {
    claimed: rows.filter((row) => row.row_id !== null),
    lastLane: rows[0]?.last_lane ?? undefined,
  };
}

/** True while a run of the lane waits or runs; one that is being cancelled does not count. Not prepared, as above. */
export async function isLaneActive(sql: Sql, environmentId: number, lane: string): Promise<boolean> {
  const rows = await sql.query<{ active: boolean }>(
    `SELECT EXISTS (SELECT FROM run WHERE environment_id = $1 AND lane = $2 AND state = 'queued')
       OR EXISTS (SELECT FROM run WHERE environment_id = $1 AND lane = $2 AND state = 'running'
                  AND NOT cancel_requested) AS active`,
    [environmentId, lane],
  );
  return rows[0]?.active === true;
}

export interface Held {
  environmentId: number;
  id: number;
  epoch: number;
}

/** Prolongs the leases; a row that its own run is writing is alive and is passed over. Resolves to who lost theirs. */
export async function beat(
  sql: Sql,
  owner: string,
  leaseMs: number,
  held: readonly Held[],
): Promise<{ lost: Held[]; cancelled: Held[] }> {
  const environments = held.map((one) => one.environmentId);
  const ids = held.map((one) => one.id);
  await sql.query(
    `UPDATE run SET lease_until = clock_timestamp() + $4::float8 * interval '1 millisecond'
     WHERE (environment_id, id) IN (
       SELECT r.environment_id, r.id FROM run r
       JOIN unnest($1::int[], $2::bigint[]) AS own (environment_id, id) USING (environment_id, id)
       WHERE r.lease_owner = $3 AND r.state = 'running' FOR NO KEY UPDATE OF r SKIP LOCKED)`,
    [environments, ids, owner, leaseMs],
    'run-beat',
  );
  const rows = await sql.query<{ environment_id: number; id: number; lease_epoch: number; cancel_requested: boolean }>(
    `SELECT r.environment_id, r.id, r.lease_epoch, r.cancel_requested FROM run r
     JOIN unnest($1::int[], $2::bigint[]) AS own (environment_id, id) USING (environment_id, id)
     WHERE r.lease_owner = $3 AND r.state = 'running'`,
    [environments, ids, owner],
    'run-held',
  );
  const alive = new Map(rows.map((row) => [`${row.environment_id}:${row.id}:${row.lease_epoch}`, row]));
  const rowOf = (one: Held) => alive.get(`${one.environmentId}:${one.id}:${one.epoch}`);
  return {
    lost: held.filter((one) => rowOf(one) === undefined),
    cancelled: held.filter((one) => rowOf(one)?.cancel_requested === true),
  };
}

/** Runs whose node is gone, locked against everybody: `FOR UPDATE` waits for no fence, it passes it over. */
export async function lockLost(sql: Sql, limit: number): Promise<RunRow[]> {
  return sql.query<RunRow>(
    `SELECT ${RUN_COLUMNS} FROM run r WHERE r.state = 'running' AND r.lease_until < statement_timestamp()
     ORDER BY r.lease_until LIMIT $1 FOR UPDATE SKIP LOCKED`,
    [limit],
    'run-lost',
  );
}

/** Back into the queue, under a higher count of lost nodes. */
export async function requeueLost(sql: Sql, row: RunRow): Promise<void> {
  await sql.query(
    `UPDATE run SET state = 'queued', lease_owner = NULL, lease_until = NULL, lost = lost + 1,
       run_at = clock_timestamp(), start_by = NULL
     WHERE environment_id = $1 AND id = $2`,
    [row.environment_id, row.id],
  );
}

/** Ends a run that nobody holds. */
export async function endLocked(
  sql: Sql,
  row: { environment_id: number; id: number },
  state: 'failed' | 'cancelled',
  error: { code: string; message: string } | null,
): Promise<void> {
  await sql.query(
    `UPDATE run SET state = $3, error = $4, lease_owner = NULL, lease_until = NULL, finished_at = clock_timestamp()
     WHERE environment_id = $1 AND id = $2`,
    [row.environment_id, row.id, state, error === null ? null : JSON.stringify(error)],
  );
}

/** Queued runs past the time they were worth starting. */
export async function lockLate(sql: Sql, limit: number): Promise<RunRow[]> {
  return sql.query<RunRow>(
    `SELECT ${RUN_COLUMNS} FROM run r WHERE r.state = 'queued' AND r.start_by < statement_timestamp()
     ORDER BY r.start_by LIMIT $1 FOR UPDATE SKIP LOCKED`,
    [limit],
    'run-late',
  );
}

export interface CancelFilter {
  environmentId: number;
  id?: number | undefined;
  syncId?: number | undefined;
  connectionId?: number | undefined;
  functionId?: number | undefined;
}

/** Marks running ones and locks queued ones, which the caller ends. */
export async function markCancelled(sql: Sql, filter: CancelFilter): Promise<{ running: RunRow[]; queued: RunRow[] }> {
  const where = ['r.environment_id = $1'];
  const values: unknown[] = [filter.environmentId];
  for (const [column, value] of [
    ['id', filter.id],
    ['sync_id', filter.syncId],
    ['connection_id', filter.connectionId],
    ['function_id', filter.functionId],
  ] as const) {
    if (value === undefined) continue;
    values.push(value);
    where.push(`r.${column} = $${values.length}`);
  }
  const queued = await sql.query<RunRow>(
    `SELECT ${RUN_COLUMNS} FROM run r WHERE ${where.join(' AND ')} AND r.state = 'queued' FOR UPDATE`,
    values,
  );
  // Waits for writes that a run has under way, and for no heartbeat: after the caller's commit nothing more is written.
  await sql.query(`SELECT 1 FROM run r WHERE ${where.join(' AND ')} AND r.state = 'running' FOR UPDATE`, values);
  const running = await sql.query<RunRow>(
    `UPDATE run r SET cancel_requested = true WHERE ${where.join(' AND ')} AND r.state = 'running'
     RETURNING ${RUN_COLUMNS}`,
    values,
  );
  for (const row of running) {
    await sql.query("SELECT pg_notify('hawser_run', $1)", [`cancel:${row.environment_id}:${row.id}`]);
  }
  return { running, queued };
}

/** Deletes runs that ended long ago; resolves to how many went. */
export async function deleteOld(sql: Sql, keepMs: number, limit: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM run WHERE (environment_id, id) IN (
       SELECT environment_id, id FROM run
       WHERE finished_at < statement_timestamp() - $1::float8 * interval '1 millisecond'
       ORDER BY finished_at LIMIT $2) RETURNING 1`,
    [keepMs, limit],
  );
  return rows.length;
}

/** Idempotency keys are good for a day; resolves to how many went. */
export async function forgetOldKeys(sql: Sql, limit: number): Promise<number> {
  const rows = await sql.query(
    `UPDATE run SET idempotency_hash = NULL, request_hash = NULL WHERE (environment_id, id) IN (
       SELECT environment_id, id FROM run
       WHERE idempotency_hash IS NOT NULL AND queued_at < statement_timestamp() - interval '24 hours'
       ORDER BY queued_at LIMIT $1) RETURNING 1`,
    [limit],
  );
  return rows.length;
}
