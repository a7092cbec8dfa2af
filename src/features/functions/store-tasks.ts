import type { Sql } from '../../platform/postgres/index.ts';
import type { FunctionKind } from './model.ts';

export type TaskKind = 'dryrun' | 'deployment';

export interface TaskRow {
  id: string;
  kind: TaskKind;
  state: 'waiting' | 'running' | 'success' | 'failed';
  integration_key: string;
  function_type: FunctionKind;
  result_sealed: Buffer | null;
  created_at: Date;
  started_at: Date | null;
  completed_at: Date | null;
  /** Nobody works on it any more: its node is gone. */
  is_lost: boolean;
}

const COLUMNS = `id, kind, state, integration_key, function_type, result_sealed, created_at, started_at, completed_at,
  state IN ('waiting', 'running') AND created_at < now() - interval '20 minutes' AS is_lost`;

export async function insertTask(
  sql: Sql,
  environmentId: number,
  task: { kind: TaskKind; integrationKey: string; functionType: FunctionKind },
): Promise<TaskRow> {
  const rows = await sql.query<TaskRow>(
    `INSERT INTO function_task (environment_id, kind, state, integration_key, function_type, started_at)
     VALUES ($1, $2, 'running', $3, $4, now()) RETURNING ${COLUMNS}`,
    [environmentId, task.kind, task.integrationKey, task.functionType],
  );
  return rows[0] as TaskRow;
}

export async function endTask(
  sql: Sql,
  environmentId: number,
  id: string,
  state: 'success' | 'failed',
  sealed: Buffer,
): Promise<void> {
  await sql.query(
    `UPDATE function_task SET state = $3, result_sealed = $4, completed_at = now()
     WHERE environment_id = $1 AND id = $2`,
    [environmentId, id, state, sealed],
  );
}

export async function selectTask(
  sql: Sql,
  environmentId: number,
  kind: TaskKind,
  id: string,
): Promise<TaskRow | undefined> {
  const rows = await sql.query<TaskRow>(
    `SELECT ${COLUMNS} FROM function_task WHERE environment_id = $1 AND kind = $2 AND id = $3`,
    [environmentId, kind, id],
  );
  return rows[0];
}

/** Results are asked for within minutes. */
export async function deleteOldTasks(sql: Sql): Promise<void> {
  await sql.query("DELETE FROM function_task WHERE created_at < now() - interval '1 day'");
}
