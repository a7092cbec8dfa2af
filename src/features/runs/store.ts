/** SQL of table `run`: inserting, reading, ending. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { ScriptFailure } from '../../platform/sandbox/index.ts';
import type { Run, RunKind, RunState, RunTrigger } from './model.ts';

export interface RunRow {
  environment_id: number;
  id: number;
  uuid: string;
  kind: RunKind;
  trigger: RunTrigger;
  state: RunState;
  function_id: number;
  function_name: string;
  version: string;
  integration_id: number;
  connection_id: number | null;
  sync_id: number | null;
  lane: string | null;
  attempts: number;
  attempts_max: number;
  lost: number;
  lease_epoch: number;
  cancel_requested: boolean;
  error: ScriptFailure | null;
  counts: Run['counts'];
  queued_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
}

export interface SealedRow extends RunRow {
  input_sealed: Buffer | null;
  output_sealed: Buffer | null;
}

const NAMES = `environment_id id uuid kind trigger state function_id function_name version integration_id connection_id
  sync_id lane attempts attempts_max lost lease_epoch cancel_requested error counts queued_at started_at finished_at`
  .trim()
  .split(/\s+/);

/** Every column but the sealed ones, of table alias `r`. */
export const RUN_COLUMNS = NAMES.map((name) => `r.${name}`).join(', ');

export function toRun(row: RunRow): Run {
  const { started_at: startedAt, finished_at: finishedAt } = row;
  return {
    environmentId: row.environment_id,
    id: row.id,
    uuid: row.uuid,
    kind: row.kind,
    trigger: row.trigger,
    state: row.state,
    functionId: row.function_id,
    functionName: row.function_name,
    connectionId: row.connection_id ?? 0,
    integrationId: row.integration_id,
    lane: row.lane ?? undefined,
    syncId: row.sync_id ?? undefined,
    version: row.version,
    attempts: row.attempts,
    attemptsMax: row.attempts_max,
    leaseEpoch: row.lease_epoch,
    error: row.error ?? undefined,
    counts: row.counts,
    cancelRequested: row.cancel_requested,
    queuedAt: row.queued_at,
    startedAt: startedAt ?? undefined,
    finishedAt: finishedAt ?? undefined,
    durationMs: startedAt === null || finishedAt === null ? undefined : finishedAt.getTime() - startedAt.getTime(),
  };
}

export interface NewRun {
  environmentId: number;
  uuid: string;
  kind: RunKind;
  trigger: RunTrigger;
  functionId: number;
  functionName: string;
  version: string;
  integrationId: number;
  connectionId: number | null;
  syncId: number | null;
  lane: string | null;
  slotAt: Date | null;
  runAt: Date | null;
  startInMs: number | null;
  attemptsMax: number;
  inputSealed: Buffer | null;
  idempotencyHash: Buffer | null;
  requestHash: Buffer | null;
  /** Set: it runs from the start, held by this node. */
  owner: string | null;
  leaseMs: number;
}

/** Undefined when its slot or its idempotency key has a run already. */
export async function insertRun(sql: Sql, run: NewRun): Promise<RunRow | undefined> {
  const rows = await sql.query<RunRow>(
    `INSERT INTO run AS r (environment_id, uuid, kind, trigger, function_id, function_name, version, integration_id,
       connection_id, sync_id, lane, slot_at, run_at, start_by, attempts_max, input_sealed, idempotency_hash,
       request_hash, lease_owner, state, attempts, lease_epoch, lease_until, started_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, clock_timestamp()),
       coalesce($13, clock_timestamp()) + $14::float8 * interval '1 millisecond', $15, $16, $17, $18, $19::text,
       CASE WHEN $19::text IS NULL THEN 'queued' ELSE 'running' END,
       CASE WHEN $19::text IS NULL THEN 0 ELSE 1 END, CASE WHEN $19::text IS NULL THEN 0 ELSE 1 END,
       CASE WHEN $19::text IS NULL THEN NULL ELSE clock_timestamp() + $20::float8 * interval '1 millisecond' END,
       CASE WHEN $19::text IS NULL THEN NULL ELSE clock_timestamp() END)
     ON CONFLICT DO NOTHING
     RETURNING ${RUN_COLUMNS}`,
    [
      run.environmentId,
      run.uuid,
      run.kind,
      run.trigger,
      run.functionId,
      run.functionName,
      run.version,
      run.integrationId,
      run.connectionId,
      run.syncId,
      run.lane,
      run.slotAt,
      run.runAt,
      run.startInMs,
      run.attemptsMax,
      run.inputSealed,
      run.idempotencyHash,
      run.requestHash,
      run.owner,
      run.leaseMs,
    ],
    'run-insert',
  );
  return rows[0];
}

/** What {@link insertRun} does, for runs that start at once and have no key: answers in the order given. */
export async function insertStarted(sql: Sql, runs: readonly NewRun[]): Promise<RunRow[]> {
  const rows = await sql.query<RunRow>(
    `INSERT INTO run AS r (environment_id, uuid, kind, trigger, function_id, function_name, version, integration_id,
       connection_id, attempts_max, input_sealed, state, attempts, lease_owner, lease_epoch, lease_until, started_at)
     SELECT n.*, 'running', 1, $12, 1, clock_timestamp() + $13::float8 * interval '1 millisecond', clock_timestamp()
     FROM unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::int[],
       $9::bigint[], $10::int[], $11::bytea[]) n
     RETURNING ${RUN_COLUMNS}`,
    [
      runs.map((run) => run.environmentId),
      runs.map((run) => run.uuid),
      runs.map((run) => run.kind),
      runs.map((run) => run.trigger),
      runs.map((run) => run.functionId),
      runs.map((run) => run.functionName),
      runs.map((run) => run.version),
      runs.map((run) => run.integrationId),
      runs.map((run) => run.connectionId),
      runs.map((run) => run.attemptsMax),
      runs.map((run) => run.inputSealed),
      runs[0]?.owner,
      runs[0]?.leaseMs,
    ],
    'run-insert-started',
  );
  const byUuid = new Map(rows.map((row) => [row.uuid, row]));
  return runs.map((run) => byUuid.get(run.uuid) as RunRow);
}

/** Wakes the nodes that have nothing to do, after the commit. */
export async function notifyQueued(sql: Sql): Promise<void> {
  await sql.query("SELECT pg_notify('hawser_run', 'queued')", [], 'run-notify');
}

/** The run of an idempotency key; `stale` when the key is older than a day. */
export async function selectByIdempotency(
  sql: Sql,
  environmentId: number,
  hash: Buffer,
): Promise<(RunRow & { request_hash: Buffer; stale: boolean }) | undefined> {
  const rows = await sql.query<RunRow & { request_hash: Buffer; stale: boolean }>(
    `SELECT ${RUN_COLUMNS}, r.request_hash, r.queued_at < clock_timestamp() - interval '24 hours' AS stale
     FROM run r WHERE r.environment_id = $1 AND r.idempotency_hash = $2`,
    [environmentId, hash],
  );
  return rows[0];
}

export async function forgetIdempotency(sql: Sql, environmentId: number, id: number): Promise<void> {
  await sql.query('UPDATE run SET idempotency_hash = NULL, request_hash = NULL WHERE environment_id = $1 AND id = $2', [
    environmentId,
    id,
  ]);
}

export interface Ending {
  environmentId: number;
  id: number;
  owner: string;
  epoch: number;
  state: 'succeeded' | 'failed' | 'cancelled';
  outputSealed: Buffer | null;
  error: { code: string; message: string } | null;
}

/** What an ended run has come to. */
export interface Ended {
  finished_at: Date;
  /** Meanwhile, maybe: whoever asked counts on the run having had no effect. */
  cancel_requested: boolean;
  counts: Run['counts'];
}

/** Ends a run that this node still holds. Resolves to false when it does not. */
export async function endRun(sql: Sql, end: Ending): Promise<Ended | undefined> {
  const rows = await sql.query<Ended>(
    `UPDATE run SET state = $5, output_sealed = $6, error = $7, lease_owner = NULL, lease_until = NULL,
       finished_at = clock_timestamp()
     WHERE environment_id = $1 AND id = $2 AND lease_owner = $3 AND lease_epoch = $4 AND state = 'running'
     RETURNING finished_at, cancel_requested, counts`,
    [end.environmentId, end.id, end.owner, end.epoch, end.state, end.outputSealed, jsonOf(end.error)],
    'run-end',
  );
  return rows[0];
}

/** What {@link endRun} does, for several runs of this node: answers in the order given. */
export async function endRuns(sql: Sql, ends: readonly Ending[]): Promise<(Ended | undefined)[]> {
  const rows = await sql.query<Ended & { environment_id: number; id: number }>(
    `UPDATE run r SET state = e.state, output_sealed = e.output_sealed, error = e.error, lease_owner = NULL,
       lease_until = NULL, finished_at = clock_timestamp()
     FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::jsonb[])
       e (environment_id, id, epoch, state, output_sealed, error)
     WHERE r.environment_id = e.environment_id AND r.id = e.id AND r.lease_epoch = e.epoch AND r.lease_owner = $7
       AND r.state = 'running'
     RETURNING r.environment_id, r.id, r.finished_at, r.cancel_requested, r.counts`,
    [
      ends.map((end) => end.environmentId),
      ends.map((end) => end.id),
      ends.map((end) => end.epoch),
      ends.map((end) => end.state),
      ends.map((end) => end.outputSealed),
      ends.map((end) => jsonOf(end.error)),
      ends[0]?.owner,
    ],
    'run-end-many',
  );
  const byId = new Map(rows.map((row) => [`${row.environment_id}:${row.id}`, row]));
  return ends.map((end) => byId.get(`${end.environmentId}:${end.id}`));
}

/** Puts a run that this node still holds back into the queue. */
export async function requeueRun(
  sql: Sql,
  run: { environmentId: number; id: number; owner: string; epoch: number; waitMs: number; error: Ending['error'] },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE run SET state = 'queued', lease_owner = NULL, lease_until = NULL, error = $6,
       run_at = clock_timestamp() + $5::float8 * interval '1 millisecond', start_by = NULL
     WHERE environment_id = $1 AND id = $2 AND lease_owner = $3 AND lease_epoch = $4 AND state = 'running'
       AND NOT cancel_requested
     RETURNING 1`,
    [run.environmentId, run.id, run.owner, run.epoch, run.waitMs, jsonOf(run.error)],
  );
  return rows.length > 0;
}

/**
 * Puts a run back whose script has not begun, as if nobody had taken it; not for longer than it was worth starting, or an
 * hour where that is past.
 */
export async function handBack(
  sql: Sql,
  run: { environmentId: number; id: number; owner: string; epoch: number; waitMs: number },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE run SET state = 'queued', lease_owner = NULL, lease_until = NULL, attempts = attempts - 1,
       started_at = CASE WHEN attempts > 1 THEN started_at END,
       run_at = clock_timestamp() + $5::float8 * interval '1 millisecond',
       start_by = coalesce(start_by, clock_timestamp() + interval '1 hour')
     WHERE environment_id = $1 AND id = $2 AND lease_owner = $3 AND lease_epoch = $4 AND state = 'running'
       AND NOT cancel_requested
     RETURNING 1`,
    [run.environmentId, run.id, run.owner, run.epoch, run.waitMs],
  );
  return rows.length > 0;
}

/** True while the run holds its lease; keeps every taker away until the commit, but not the heartbeat. */
export async function holdLease(sql: Sql, id: Pick<Ending, 'environmentId' | 'id' | 'owner' | 'epoch'>) {
  const rows = await sql.query(
    `SELECT 1 FROM run WHERE environment_id = $1 AND id = $2 AND lease_owner = $3 AND lease_epoch = $4
       AND state = 'running' AND NOT cancel_requested FOR KEY SHARE`,
    [id.environmentId, id.id, id.owner, id.epoch],
    'run-fence',
  );
  return rows.length > 0;
}

export async function addCounts(
  sql: Sql,
  run: { environmentId: number; id: number },
  model: string,
  counts: { added: number; updated: number; deleted: number },
): Promise<void> {
  await sql.query(
    `UPDATE run SET counts = counts || jsonb_build_object($3::text, jsonb_build_object(
       'added', coalesce((counts -> $3 ->> 'added')::bigint, 0) + $4::bigint,
       'updated', coalesce((counts -> $3 ->> 'updated')::bigint, 0) + $5::bigint,
       'deleted', coalesce((counts -> $3 ->> 'deleted')::bigint, 0) + $6::bigint))
     WHERE environment_id = $1 AND id = $2`,
    [run.environmentId, run.id, model, counts.added, counts.updated, counts.deleted],
    'run-count',
  );
}

export async function selectByUuid(sql: Sql, environmentId: number, uuid: string): Promise<RunRow | undefined> {
  const rows = await sql.query<RunRow>(
    `SELECT ${RUN_COLUMNS} FROM run r WHERE r.environment_id = $1 AND r.uuid = $2`,
    [environmentId, uuid],
    'run-by-uuid',
  );
  return rows[0];
}

export async function selectSealed(sql: Sql, environmentId: number, id: number): Promise<SealedRow | undefined> {
  const rows = await sql.query<SealedRow>(
    `SELECT ${RUN_COLUMNS}, r.input_sealed, r.output_sealed FROM run r WHERE r.environment_id = $1 AND r.id = $2`,
    [environmentId, id],
    'run-sealed',
  );
  return rows[0];
}

/** Newest first. */
export async function selectRuns(
  sql: Sql,
  query: {
    environmentId: number;
    integrationId?: number | undefined;
    connectionId?: number | undefined;
    functionId?: number | undefined;
    syncId?: number | undefined;
    state?: RunState | undefined;
    limit: number;
    before?: number | undefined;
  },
): Promise<RunRow[]> {
  const where = ['r.environment_id = $1'];
  const values: unknown[] = [query.environmentId];
  const add = (condition: string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(`${condition} $${values.length}`);
  };
  add('r.integration_id =', query.integrationId);
  add('r.connection_id =', query.connectionId);
  add('r.function_id =', query.functionId);
  add('r.sync_id =', query.syncId);
  add('r.state =', query.state);
  add('r.id <', query.before);
  values.push(query.limit);
  return sql.query<RunRow>(
    `SELECT ${RUN_COLUMNS} FROM run r WHERE ${where.join(' AND ')} ORDER BY r.id DESC LIMIT $${values.length}`,
    values,
  );
}

function jsonOf(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
