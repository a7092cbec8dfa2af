/** SQL of table `disconnect_task`. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { DisconnectOutcome } from './model.ts';

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
  /** Above 0: goes on being tried. */
  patience_ms: number | null;
}

const COLUMNS = `t.environment_id, t.connection_id, t.outcome, t.detail, t.sealed, t.told, t.attempts, t.next_attempt_at,
  t.finished_at, (extract(epoch FROM t.give_up_at - clock_timestamp()) * 1000)::float8 AS patience_ms`;

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
  },
): Promise<TaskRow> {
  const rows = await sql.query<TaskRow>(
    `INSERT INTO disconnect_task AS t (environment_id, connection_id, outcome, sealed, told, attempts, next_attempt_at,
       give_up_at)
     VALUES ($1, $2, 'pending', $3, $4, $5, ${AFTER(6)}, ${AFTER(7)})
     ON CONFLICT (environment_id, connection_id) DO UPDATE SET outcome = 'pending', sealed = excluded.sealed,
       next_attempt_at = excluded.next_attempt_at, give_up_at = excluded.give_up_at, finished_at = NULL
     RETURNING ${COLUMNS}`,
    [task.environmentId, task.connectionId, task.sealed, task.told, task.attempts, task.dueInMs, task.giveUpInMs],
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

/** Stores the outcome and wipes the secret. Resolves to false when somebody else was faster. */
export async function finishTask(
  sql: Sql,
  task: { environmentId: number; connectionId: number; outcome: DisconnectOutcome; detail: string | undefined },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE disconnect_task SET outcome = $3, detail = $4, sealed = NULL, told = true, next_attempt_at = NULL,
       finished_at = clock_timestamp()
     WHERE environment_id = $1 AND connection_id = $2 AND outcome = 'pending' RETURNING 1`,
    [task.environmentId, task.connectionId, task.outcome, task.detail ?? null],
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
