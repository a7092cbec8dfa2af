/** SQL of what scripts keep between and during runs: logs, checkpoints, locks, variables. Times are the database's. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { Checkpoint, CheckpointPlace } from './model.ts';

export interface LogLine {
  environmentId: number;
  runId: number;
  at: Date;
  level: string;
  message: string;
  /** JSON text. */
  payload: string | null;
}

/** A line whose run is gone is left out. */
export async function insertLogs(sql: Sql, lines: readonly LogLine[]): Promise<void> {
  await sql.query(
    `INSERT INTO run_log (environment_id, run_id, at, level, message, payload)
     SELECT l.environment_id, l.run_id, l.at, l.level, l.message, l.payload
     FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::jsonb[])
       WITH ORDINALITY AS l (environment_id, run_id, at, level, message, payload, n)
     WHERE EXISTS (SELECT 1 FROM run r WHERE r.environment_id = l.environment_id AND r.id = l.run_id)
     ORDER BY l.n`,
    [
      lines.map((line) => line.environmentId),
      lines.map((line) => line.runId),
      lines.map((line) => line.at),
      lines.map((line) => line.level),
      lines.map((line) => line.message),
      lines.map((line) => line.payload),
    ],
    'run-log-insert',
  );
}

export async function selectLogs(
  sql: Sql,
  run: { environmentId: number; id: number },
  options: { limit: number; after: number },
): Promise<{ id: number; at: Date; level: string; message: string; payload: unknown }[]> {
  return sql.query(
    `SELECT id, at, level, message, payload FROM run_log
     WHERE environment_id = $1 AND run_id = $2 AND id > $3 ORDER BY id LIMIT $4`,
    [run.environmentId, run.id, options.after, options.limit],
  );
}

const PLACE = 'environment_id = $1 AND connection_id = $2 AND kind = $3 AND name = $4 AND variant = $5';

function valuesOf(place: CheckpointPlace): unknown[] {
  return [place.environmentId, place.connectionId, place.kind, place.name, place.variant];
}

export async function selectCheckpoint(sql: Sql, place: CheckpointPlace): Promise<Checkpoint | undefined> {
  const rows = await sql.query<Checkpoint>(
    `SELECT data, version FROM checkpoint WHERE ${PLACE}`,
    valuesOf(place),
    'checkpoint-read',
  );
  return rows[0];
}

/** Resolves to the new version; undefined when the stored one is not `expected` (0: there is none). */
export async function writeCheckpoint(
  sql: Sql,
  place: CheckpointPlace,
  data: Record<string, unknown>,
  expected: number,
): Promise<number | undefined> {
  const text = JSON.stringify(data);
  const rows =
    expected === 0
      ? await sql.query<{ version: number }>(
          `INSERT INTO checkpoint (environment_id, connection_id, kind, name, variant, data)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING version`,
          [...valuesOf(place), text],
          'checkpoint-insert',
        )
      : await sql.query<{ version: number }>(
          `UPDATE checkpoint SET data = $6, version = version + 1, updated_at = now()
           WHERE ${PLACE} AND version = $7 RETURNING version`,
          [...valuesOf(place), text, expected],
          'checkpoint-update',
        );
  return rows[0]?.version;
}

export async function deleteCheckpoint(sql: Sql, place: CheckpointPlace): Promise<void> {
  await sql.query(`DELETE FROM checkpoint WHERE ${PLACE}`, valuesOf(place));
}

/** Free, ended or its own: then it is this run's from now on. */
export async function takeLock(
  sql: Sql,
  lock: { environmentId: number; key: string; runId: number; ttlMs: number },
): Promise<boolean> {
  const rows = await sql.query(
    `INSERT INTO script_lock AS l (environment_id, key, run_id, expires_at)
     VALUES ($1, $2, $3, clock_timestamp() + $4::float8 * interval '1 millisecond')
     ON CONFLICT (environment_id, key) DO UPDATE SET run_id = excluded.run_id, expires_at = excluded.expires_at
       WHERE l.run_id = excluded.run_id OR l.expires_at < clock_timestamp()
     RETURNING 1`,
    [lock.environmentId, lock.key, lock.runId, lock.ttlMs],
    'script-lock-take',
  );
  return rows.length > 0;
}

/** With `key` that one, else all of the run. Resolves to how many were held. */
export async function releaseLocks(
  sql: Sql,
  lock: { environmentId: number; runId: number; key?: string },
): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM script_lock WHERE environment_id = $1 AND run_id = $2 AND ($3::text IS NULL OR key = $3) RETURNING 1`,
    [lock.environmentId, lock.runId, lock.key ?? null],
    'script-lock-release',
  );
  return rows.length;
}

export interface VariableRow {
  id: string;
  name: string;
  value_sealed: Buffer;
}

export async function selectVariables(sql: Sql, environmentId: number): Promise<VariableRow[]> {
  return sql.query<VariableRow>(
    'SELECT id, name, value_sealed FROM environment_variable WHERE environment_id = $1 ORDER BY name',
    [environmentId],
  );
}

/** The id that a value has to be sealed for: that of the name's row, or `fresh`. Others wait until the commit. */
export async function lockVariable(sql: Sql, environmentId: number, name: string, fresh: string): Promise<string> {
  // A name that is not there yet has no row to lock.
  await sql.query("SELECT pg_advisory_xact_lock(hashtext('environment_variable'), $1::int)", [environmentId]);
  const rows = await sql.query<{ id: string }>(
    'SELECT id FROM environment_variable WHERE environment_id = $1 AND name = $2 FOR UPDATE',
    [environmentId, name],
  );
  return rows[0]?.id ?? fresh;
}

export async function upsertVariable(
  sql: Sql,
  variable: { environmentId: number; id: string; name: string; sealed: Buffer },
): Promise<void> {
  await sql.query(
    `INSERT INTO environment_variable (environment_id, id, name, value_sealed) VALUES ($1, $2, $3, $4)
     ON CONFLICT (environment_id, id) DO UPDATE SET value_sealed = excluded.value_sealed, updated_at = now()`,
    [variable.environmentId, variable.id, variable.name, variable.sealed],
  );
}

export async function countVariables(sql: Sql, environmentId: number): Promise<number> {
  const rows = await sql.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM environment_variable WHERE environment_id = $1',
    [environmentId],
  );
  return rows[0]?.n ?? 0;
}

export async function deleteVariable(sql: Sql, environmentId: number, name: string): Promise<boolean> {
  const rows = await sql.query('DELETE FROM environment_variable WHERE environment_id = $1 AND name = $2 RETURNING 1', [
    environmentId,
    name,
  ]);
  return rows.length > 0;
}
