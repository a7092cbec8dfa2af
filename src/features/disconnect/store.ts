/** SQL of table `disconnect_task`. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { DisconnectOutcome, LetGoConnection } from './model.ts';

export interface TaskRow {
  environment_id: number;
  connection_id: number;
  outcome: DisconnectOutcome;
  detail: string | null;
  sealed: Buffer | null;
  told: boolean;
  attempts: number;
  next_attempt_at: Date | null;
  finished_at: Date | null;
  echoed_at: Date | null;
  /** Above 0: goes on being tried. */
  patience_ms: number | null;
}

const COLUMNS = `t.environment_id, t.connection_id, t.outcome, t.detail, t.sealed, t.told, t.attempts, t.next_attempt_at,
  t.finished_at, t.echoed_at, (extract(epoch FROM t.give_up_at - clock_timestamp()) * 1000)::float8 AS patience_ms`;

const AFTER = (n: number) => `clock_timestamp() + $${n}::float8 * interval '1 millisecond'`;

/** A new task, or an old one opened again for a token that turned up late. */
export async function upsertTask(
  sql: Sql,
  task: {
    environmentId: number;
    connectionId: number;
    sealed: Buffer | null;
    told: boolean;
    attempts: number;
    dueInMs: number;
    giveUpInMs: number;
    /** Keyed hashes of the tokens, of which other kinds of grants have none; null: no echo is waited for. */
    echoHashes: Buffer[] | null;
  },
): Promise<TaskRow> {
  const rows = await sql.query<TaskRow>(
    `INSERT INTO disconnect_task AS t (environment_id, connection_id, outcome, sealed, told, attempts, next_attempt_at,
       give_up_at, echo_hashes)
     VALUES ($1, $2, 'pending', $3, $4, $5, ${AFTER(6)}, ${AFTER(7)}, $8::bytea[])
     ON CONFLICT (environment_id, connection_id) DO UPDATE SET outcome = 'pending', sealed = excluded.sealed,
       told = excluded.told, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,
       give_up_at = excluded.give_up_at, finished_at = NULL,
       echo_hashes = t.echo_hashes || excluded.echo_hashes
     RETURNING ${COLUMNS}`,
    [
      task.environmentId,
      task.connectionId,
      task.sealed,
      task.told,
      task.attempts,
      task.dueInMs,
      task.giveUpInMs,
      task.echoHashes,
    ],
  );
  return rows[0] as TaskRow;
}

export async function selectTask(
  sql: Sql,
  environmentId: number,
  connectionId: number,
  options: { lock?: boolean } = {},
): Promise<TaskRow | undefined> {
  const rows = await sql.query<TaskRow>(
    `SELECT ${COLUMNS} FROM disconnect_task t WHERE t.environment_id = $1 AND t.connection_id = $2
     ${options.lock ? 'FOR UPDATE' : ''}`,
    [environmentId, connectionId],
  );
  return rows[0];
}

/** Takes due tasks; until `leaseMs` have passed no other node takes them. */
export async function claimDueTasks(sql: Sql, leaseMs: number, limit: number): Promise<TaskRow[]> {
  return sql.query<TaskRow>(
    `UPDATE disconnect_task t SET attempts = attempts + 1, next_attempt_at = ${AFTER(1)}
     FROM (SELECT environment_id, connection_id FROM disconnect_task
           WHERE next_attempt_at <= statement_timestamp() AND outcome = 'pending'
           ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED) due
     WHERE t.environment_id = due.environment_id AND t.connection_id = due.connection_id
     RETURNING ${COLUMNS}`,
    [leaseMs, limit],
  );
}

/** Stores the outcome and wipes the secret. Resolves to false when somebody else was faster, or added a grant. */
export async function finishTask(
  sql: Sql,
  task: {
    environmentId: number;
    connectionId: number;
    outcome: DisconnectOutcome;
    detail: string | undefined;
    /** As it was when the work began. */
    sealed: Buffer | null;
    /** False: there is nothing that the provider could tell of. */
    isAsked: boolean;
  },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE disconnect_task SET outcome = $3, detail = $4, sealed = NULL, told = true, next_attempt_at = NULL,
       finished_at = clock_timestamp(), echo_hashes = CASE WHEN $6 THEN echo_hashes END
     WHERE environment_id = $1 AND connection_id = $2 AND outcome = 'pending'
       AND sealed IS NOT DISTINCT FROM $5::bytea RETURNING 1`,
    [task.environmentId, task.connectionId, task.outcome, task.detail ?? null, task.sealed, task.isAsked],
  );
  return rows.length > 0;
}

export async function postponeTask(
  sql: Sql,
  task: { environmentId: number; connectionId: number; detail: string; dueInMs: number },
): Promise<void> {
  await sql.query(
    `UPDATE disconnect_task SET detail = $3, next_attempt_at = ${AFTER(4)}
     WHERE environment_id = $1 AND connection_id = $2 AND outcome = 'pending'`,
    [task.environmentId, task.connectionId, task.detail, task.dueInMs],
  );
}

const ECHOED = `echoed_at = coalesce(echoed_at, statement_timestamp()),
  next_attempt_at = CASE WHEN outcome = 'pending' THEN least(next_attempt_at, statement_timestamp()) END`;

/** Notes that the provider told of the end of a token; what still waits for its answer is tried at once. */
export async function noteEcho(sql: Sql, environmentId: number, hash: Buffer): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE disconnect_task SET ${ECHOED}
     WHERE environment_id = $1 AND echo_hashes @> ARRAY[$2::bytea] RETURNING 1`,
    [environmentId, hash],
  );
  return rows.length > 0;
}

/** As {@link noteEcho}, of what became of these connections. */
export async function noteEchoesOf(sql: Sql, environmentId: number, connectionIds: readonly number[]): Promise<void> {
  await sql.query(
    `UPDATE disconnect_task SET ${ECHOED} WHERE environment_id = $1 AND connection_id = ANY ($2::bigint[])`,
    [environmentId, connectionIds],
  );
}

/**
 * Connections that were let go of and whose echo is waited for: of an account, or with one of the values in the field
 * `config`.
 */
export async function selectLetGo(
  sql: Sql,
  query: { environmentId: number; integrationId: number; config: string | undefined; values: readonly string[] },
): Promise<LetGoConnection[]> {
  const rows = await sql.query<{ id: number; connection_config: Record<string, unknown>; is_echoed: boolean }>(
    `SELECT c.id, c.connection_config, t.echoed_at IS NOT NULL AS is_echoed
     FROM disconnect_task t JOIN connection c ON c.environment_id = t.environment_id AND c.id = t.connection_id
     WHERE t.environment_id = $1 AND t.echo_hashes IS NOT NULL AND c.integration_id = $2 AND c.deleted_at IS NOT NULL
       AND CASE WHEN $3::text IS NULL THEN c.account_id ELSE c.connection_config ->> $3::text END = ANY ($4::text[])
     ORDER BY c.id`,
    [query.environmentId, query.integrationId, query.config ?? null, query.values],
  );
  return rows.map((row) => ({ id: row.id, connectionConfig: row.connection_config, isEchoed: row.is_echoed }));
}

/** Forgets the hashes of tokens that ended so long ago that the provider will not tell of it any more. */
export async function forgetEchoes(sql: Sql, olderThanMs: number): Promise<void> {
  await sql.query(
    `UPDATE disconnect_task SET echo_hashes = NULL
     WHERE echo_hashes IS NOT NULL AND finished_at < statement_timestamp() - $1::float8 * interval '1 millisecond'`,
    [olderThanMs],
  );
}
