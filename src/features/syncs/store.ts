/** SQL of tables `sync`, `sync_plan` and `sync_deletion_mark`. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { Sync } from './model.ts';

interface SyncRow {
  environment_id: number;
  id: number;
  uuid: string;
  function_id: number;
  connection_id: number;
  variant: string;
  state: Sync['state'];
  period_ms: number;
  period_is_own: boolean;
  due_at: Date | null;
  empty_first: boolean;
  last_success_at: Date | null;
  last_finished_at: Date | null;
  last_outcome: Sync['lastOutcome'] | null;
  last_duration_ms: number | null;
  last_counts: Sync['lastCounts'] | null;
}

const COLUMNS = `s.environment_id, s.id, s.uuid, s.function_id, s.connection_id, s.variant, s.state, s.period_ms,
  s.period_is_own, s.due_at, s.empty_first, s.last_success_at, s.last_finished_at, s.last_outcome, s.last_duration_ms,
  s.last_counts`;

/** First slot after now. */
const NEXT_SLOT = `s.phase_at + (floor(extract(epoch FROM clock_timestamp() - s.phase_at) * 1000 / s.period_ms) + 1)
  * s.period_ms * interval '1 millisecond'`;

function toSync(row: SyncRow): Sync {
  return {
    environmentId: row.environment_id,
    id: row.id,
    uuid: row.uuid,
    functionId: row.function_id,
    connectionId: row.connection_id,
    variant: row.variant,
    state: row.state,
    periodMs: row.period_ms,
    periodIsOwn: row.period_is_own,
    dueAt: row.due_at ?? undefined,
    emptyFirst: row.empty_first,
    lastSuccessAt: row.last_success_at ?? undefined,
    lastFinishedAt: row.last_finished_at ?? undefined,
    lastOutcome: row.last_outcome ?? undefined,
    lastDurationMs: row.last_duration_ms ?? undefined,
    lastCounts: row.last_counts ?? undefined,
  };
}

export interface Plan {
  environmentId: number;
  functionId: number;
  integrationId: number;
  periodMs: number;
  autoStart: boolean;
}

export async function upsertPlan(tx: Sql, plan: Plan): Promise<void> {
  await tx.query(
    `INSERT INTO sync_plan (environment_id, function_id, integration_id, period_ms, auto_start)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (environment_id, function_id) DO UPDATE SET period_ms = excluded.period_ms,
       auto_start = excluded.auto_start`,
    [plan.environmentId, plan.functionId, plan.integrationId, plan.periodMs, plan.autoStart],
  );
}

export async function deletePlan(tx: Sql, environmentId: number, functionId: number): Promise<void> {
  await tx.query('DELETE FROM sync_plan WHERE environment_id = $1 AND function_id = $2', [environmentId, functionId]);
}

/** Gives every living connection of the integration this sync; the first slots are spread over `spreadMs`. */
export async function insertForConnections(tx: Sql, plan: Plan, spreadMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO sync (environment_id, function_id, connection_id, state, period_ms, phase_at, due_at)
     SELECT c.environment_id, $2, c.id, CASE WHEN $5 THEN 'started' ELSE 'paused' END, $4, at.slot,
       CASE WHEN $5 THEN at.slot END
     FROM connection c,
       LATERAL (SELECT clock_timestamp() + random() * $6::float8 * interval '1 millisecond' AS slot
                WHERE c.id IS NOT NULL) at
     WHERE c.environment_id = $1 AND c.integration_id = $3 AND c.deleted_at IS NULL
     ON CONFLICT (environment_id, connection_id, function_id, variant) DO NOTHING`,
    [plan.environmentId, plan.functionId, plan.integrationId, plan.periodMs, plan.autoStart, spreadMs],
  );
}

export async function countConnections(tx: Sql, environmentId: number, integrationId: number): Promise<number> {
  const rows = await tx.query<{ count: number }>(
    `SELECT count(*) AS count FROM connection
     WHERE environment_id = $1 AND integration_id = $2 AND deleted_at IS NULL`,
    [environmentId, integrationId],
  );
  return rows[0]?.count ?? 0;
}

/** A new period holds from now on: slots count from this moment. Those set for one connection stay. */
export async function updatePeriods(tx: Sql, plan: Plan): Promise<void> {
  await tx.query(
    `UPDATE sync s SET period_ms = $3::bigint, phase_at = clock_timestamp(),
       due_at = CASE WHEN s.due_at IS NULL THEN NULL ELSE least(s.due_at, clock_timestamp() + $3::bigint * interval '1 millisecond') END
     WHERE environment_id = $1 AND function_id = $2 AND NOT period_is_own AND period_ms <> $3::bigint`,
    [plan.environmentId, plan.functionId, plan.periodMs],
  );
}

/** The function is deleted: nothing of it runs any more. The rows go when their records have ({@link selectLeft}). */
export async function pauseOfFunction(tx: Sql, environmentId: number, functionId: number): Promise<void> {
  await tx.query("UPDATE sync SET state = 'paused', due_at = NULL WHERE environment_id = $1 AND function_id = $2", [
    environmentId,
    functionId,
  ]);
}

/** A disabled function runs nothing; its syncs stay. */
export async function suspendOfFunction(tx: Sql, environmentId: number, functionId: number): Promise<void> {
  await tx.query('UPDATE sync SET due_at = NULL WHERE environment_id = $1 AND function_id = $2', [
    environmentId,
    functionId,
  ]);
}

/** An enabled one goes on where it is started. */
export async function resumeOfFunction(tx: Sql, environmentId: number, functionId: number): Promise<void> {
  await tx.query(
    `UPDATE sync SET due_at = clock_timestamp()
     WHERE environment_id = $1 AND function_id = $2 AND state = 'started' AND due_at IS NULL`,
    [environmentId, functionId],
  );
}

/** A due slot, already moved to the next one. `usable`: the connection can make calls. */
export interface DueSync {
  sync: Sync;
  slotAt: Date;
  usable: boolean;
}

/**
 * Takes up to `limit` due slots; no other node sees them until the transaction ends. Not prepared by name: a plan made
 * while the table was small reads it whole when it is large.
 */
export async function claimDue(tx: Sql, limit: number): Promise<DueSync[]> {
  const rows = await tx.query<SyncRow & { slot_at: Date; usable: boolean }>(
    `WITH due AS (
       SELECT s.environment_id, s.id, s.due_at FROM sync s
       WHERE s.due_at <= statement_timestamp() ORDER BY s.due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     UPDATE sync s SET due_at = ${NEXT_SLOT} FROM due
     WHERE s.environment_id = due.environment_id AND s.id = due.id
     RETURNING ${COLUMNS}, due.due_at AS slot_at,
       (SELECT c.deleted_at IS NULL AND c.state IN ('active', 'expiring', 'not_ready', 'spent') FROM connection c
        WHERE c.environment_id = s.environment_id AND c.id = s.connection_id) AS usable`,
    [limit],
  );
  return rows.map((row) => ({ sync: toSync(row), slotAt: row.slot_at, usable: row.usable }));
}

export async function selectSync(sql: Sql, environmentId: number, id: number): Promise<Sync | undefined> {
  const rows = await sql.query<SyncRow>(
    `SELECT ${COLUMNS} FROM sync s WHERE environment_id = $1 AND id = $2`,
    [environmentId, id],
    'sync-by-row',
  );
  return rows[0] && toSync(rows[0]);
}

export interface SyncFilter {
  environmentId: number;
  functionIds: readonly number[];
  /** Row id; undefined: of every connection. */
  connectionId: number | undefined;
  /** Undefined: every variant. */
  variant?: string | undefined;
}

/** In order of connection and creation. `lock`: until the transaction ends. */
export async function selectSyncs(sql: Sql, filter: SyncFilter, lock = false): Promise<Sync[]> {
  const rows = await sql.query<SyncRow>(
    `SELECT ${COLUMNS} FROM sync s
     WHERE environment_id = $1 AND function_id = ANY ($2::bigint[])
       AND ($3::bigint IS NULL OR connection_id = $3) AND ($4::text IS NULL OR variant = $4)
     ORDER BY connection_id, id ${lock ? 'FOR UPDATE' : ''}`,
    [filter.environmentId, filter.functionIds, filter.connectionId ?? null, filter.variant ?? null],
  );
  return rows.map(toSync);
}

/** Forgets where the sync stopped. */
export async function resetSync(tx: Sql, sync: Sync, emptyFirst: boolean): Promise<void> {
  const key = [sync.environmentId, sync.id];
  await tx.query(
    'UPDATE sync SET last_success_at = NULL, empty_first = empty_first OR $3 WHERE environment_id = $1 AND id = $2',
    [...key, emptyFirst],
  );
  await tx.query('DELETE FROM sync_deletion_mark WHERE environment_id = $1 AND sync_id = $2', key);
}

/** Started: due at once unless it was started before. */
export async function setSyncState(tx: Sql, sync: Sync, state: Sync['state']): Promise<void> {
  await tx.query(
    `UPDATE sync SET state = $3, due_at = CASE WHEN $3 = 'paused' THEN NULL ELSE coalesce(due_at, clock_timestamp()) END
     WHERE environment_id = $1 AND id = $2`,
    [sync.environmentId, sync.id, state],
  );
}

/** Due now, if it is started. */
export async function makeDue(tx: Sql, sync: Sync): Promise<void> {
  await tx.query(
    `UPDATE sync SET due_at = clock_timestamp() WHERE environment_id = $1 AND id = $2 AND due_at IS NOT NULL`,
    [sync.environmentId, sync.id],
  );
}

/** True when the sync is there and has ended a run within `ageMs`. */
export async function selectHasRunWithin(sql: Sql, environmentId: number, id: number, ageMs: number): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM sync WHERE environment_id = $1 AND id = $2
       AND last_finished_at > clock_timestamp() - $3::float8 * interval '1 millisecond'`,
    [environmentId, id, ageMs],
  );
  return rows.length > 0;
}

/** Slots count from now. `isOwn` false: the definition's period. */
export async function setSyncPeriod(tx: Sql, sync: Sync, periodMs: number, isOwn: boolean): Promise<void> {
  await tx.query(
    `UPDATE sync SET period_ms = $3::bigint, period_is_own = $4, phase_at = clock_timestamp(),
       due_at = CASE WHEN due_at IS NULL THEN NULL ELSE clock_timestamp() + $3::bigint * interval '1 millisecond' END
     WHERE environment_id = $1 AND id = $2`,
    [sync.environmentId, sync.id, periodMs, isOwn],
  );
}

/** A named copy with the period and start of the plan. Undefined: there is one of this name. */
export async function insertVariant(
  tx: Sql,
  base: Sync,
  variant: string,
  isStarted: boolean,
): Promise<Sync | undefined> {
  const rows = await tx.query<SyncRow>(
    `INSERT INTO sync AS s (environment_id, function_id, connection_id, variant, state, period_ms, due_at)
     VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $5 = 'started' THEN clock_timestamp() END)
     ON CONFLICT (environment_id, connection_id, function_id, variant) DO NOTHING RETURNING ${COLUMNS}`,
    [base.environmentId, base.functionId, base.connectionId, variant, isStarted ? 'started' : 'paused', base.periodMs],
  );
  return rows[0] && toSync(rows[0]);
}

export async function deleteSync(tx: Sql, sync: Sync): Promise<boolean> {
  const rows = await tx.query('DELETE FROM sync WHERE environment_id = $1 AND id = $2 RETURNING id', [
    sync.environmentId,
    sync.id,
  ]);
  return rows.length > 0;
}

/** Syncs of connections that were deleted. */
export async function selectOrphans(sql: Sql, limit: number): Promise<Sync[]> {
  const rows = await sql.query<SyncRow>(
    `SELECT ${COLUMNS} FROM sync s
     JOIN connection c ON c.environment_id = s.environment_id AND c.id = s.connection_id
     WHERE c.deleted_at IS NOT NULL ORDER BY s.id LIMIT $1`,
    [limit],
  );
  return rows.map(toSync);
}

/** What a deleted function has left at one connection. */
export interface LeftSync {
  sync: Sync;
  name: string;
  /** Another function has the name now, and with it the checkpoint. */
  isNameTaken: boolean;
  /** Those that no function of the integration writes any more. */
  models: string[];
}

/** Syncs of functions that were deleted; `only`: that one. */
export async function selectLeft(sql: Sql, limit: number, only?: Pick<Sync, 'id'>): Promise<LeftSync[]> {
  const rows = await sql.query<SyncRow & Omit<LeftSync, 'sync' | 'isNameTaken'> & { is_name_taken: boolean }>(
    `WITH gone AS (
       SELECT * FROM function WHERE deleted_at IS NOT NULL AND kind = 'sync'
     )
     SELECT ${COLUMNS}, f.name,
       EXISTS (SELECT FROM function o WHERE o.environment_id = f.environment_id AND o.integration_id = f.integration_id
                 AND o.kind = 'sync' AND o.name = f.name AND o.deleted_at IS NULL) AS is_name_taken,
       ARRAY(SELECT m FROM jsonb_array_elements_text(f.definition -> 'models') m WHERE NOT EXISTS (
         SELECT FROM function o WHERE o.environment_id = f.environment_id AND o.integration_id = f.integration_id
           AND o.kind = 'sync' AND o.deleted_at IS NULL AND o.definition -> 'models' ? m)) AS models
     FROM gone f JOIN sync s ON s.environment_id = f.environment_id AND s.function_id = f.id
     WHERE $2::bigint IS NULL OR s.id = $2 ORDER BY s.id LIMIT $1`,
    [limit, only?.id ?? null],
  );
  return rows.map((row) => ({
    sync: toSync(row),
    name: row.name,
    isNameTaken: row.is_name_taken,
    models: row.models,
  }));
}

/** The cache was emptied as the run was asked to. */
export async function clearEmptyFirst(tx: Sql, sync: Sync): Promise<void> {
  await tx.query('UPDATE sync SET empty_first = false WHERE environment_id = $1 AND id = $2', [
    sync.environmentId,
    sync.id,
  ]);
}

/** What the last run did. `succeededAt`: start of a run that succeeded. */
export async function noteOutcome(
  tx: Sql,
  outcome: {
    environmentId: number;
    id: number;
    outcome: 'succeeded' | 'failed' | 'cancelled';
    succeededAt: Date | undefined;
    durationMs: number | undefined;
    counts: object;
  },
): Promise<void> {
  await tx.query(
    `UPDATE sync SET last_outcome = $3, last_success_at = coalesce($4, last_success_at),
       last_finished_at = clock_timestamp(), last_duration_ms = $5, last_counts = $6
     WHERE environment_id = $1 AND id = $2`,
    [
      outcome.environmentId,
      outcome.id,
      outcome.outcome,
      outcome.succeededAt ?? null,
      outcome.durationMs ?? null,
      JSON.stringify(outcome.counts),
    ],
  );
}

/** Sets the mark unless an earlier run has; resolves to the generation it stands at. */
export async function insertMark(tx: Sql, sync: Sync, model: string, generation: number): Promise<number> {
  const rows = await tx.query<{ generation: number }>(
    `INSERT INTO sync_deletion_mark (environment_id, sync_id, model, generation) VALUES ($1, $2, $3, $4)
     ON CONFLICT (environment_id, sync_id, model) DO UPDATE SET generation = sync_deletion_mark.generation
     RETURNING generation`,
    [sync.environmentId, sync.id, model, generation],
  );
  return rows[0]?.generation ?? generation;
}

export async function selectMark(sql: Sql, sync: Sync, model: string): Promise<number | undefined> {
  const rows = await sql.query<{ generation: number }>(
    'SELECT generation FROM sync_deletion_mark WHERE environment_id = $1 AND sync_id = $2 AND model = $3',
    [sync.environmentId, sync.id, model],
  );
  return rows[0]?.generation;
}

export async function deleteMark(tx: Sql, sync: Sync, model: string): Promise<void> {
  await tx.query('DELETE FROM sync_deletion_mark WHERE environment_id = $1 AND sync_id = $2 AND model = $3', [
    sync.environmentId,
    sync.id,
    model,
  ]);
}

/** Base syncs of these connections whose function is enabled and subscribes to one of the names. */
export async function selectSubscribed(
  sql: Sql,
  filter: { environmentId: number; integrationId: number; connectionIds: readonly number[]; names: readonly string[] },
): Promise<{ id: number; functionId: number; connectionId: number }[]> {
  const rows = await sql.query<{ id: number; function_id: number; connection_id: number }>(
    `SELECT s.id, s.function_id, s.connection_id FROM function f
     JOIN sync s ON s.environment_id = f.environment_id AND s.function_id = f.id
     WHERE f.environment_id = $1 AND f.integration_id = $2 AND f.kind = 'sync' AND f.enabled AND f.deleted_at IS NULL
       AND f.definition -> 'webhookSubscriptions' ?| $4::text[]
       AND s.connection_id = ANY ($3::bigint[]) AND s.variant = 'base' ORDER BY s.connection_id, s.id`,
    [filter.environmentId, filter.integrationId, filter.connectionIds, filter.names],
    'sync-subscribed',
  );
  return rows.map((row) => ({ id: row.id, functionId: row.function_id, connectionId: row.connection_id }));
}

/** True when an enabled sync of the integration subscribes to any webhook. */
export async function existsSubscriber(sql: Sql, environmentId: number, integrationId: number): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM function WHERE environment_id = $1 AND integration_id = $2 AND kind = 'sync' AND enabled
       AND deleted_at IS NULL AND jsonb_array_length(definition -> 'webhookSubscriptions') > 0 LIMIT 1`,
    [environmentId, integrationId],
    'sync-has-subscriber',
  );
  return rows.length > 0;
}
