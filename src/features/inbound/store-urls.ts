/** SQL of table `webhook_url`: which generation of a connection's webhook URL is good. */
import type { Sql } from '../../platform/postgres/index.ts';

interface UrlRow {
  generation: number;
  /** Null: the one before is no longer good. */
  previous_until: Date | null;
}

const COLUMNS = `generation,
  CASE WHEN previous_until > statement_timestamp() THEN previous_until END AS previous_until`;

/** Undefined: never rotated. */
export async function selectUrl(sql: Sql, environmentId: number, connectionId: number): Promise<UrlRow | undefined> {
  const rows = await sql.query<UrlRow>(
    `SELECT ${COLUMNS} FROM webhook_url WHERE environment_id = $1 AND connection_id = $2`,
    [environmentId, connectionId],
    'webhook-url-read',
  );
  return rows[0];
}

/** Makes the next generation the current one. */
export async function rotateUrl(
  sql: Sql,
  environmentId: number,
  connectionId: number,
  previousMs: number,
): Promise<UrlRow> {
  const rows = await sql.query<UrlRow>(
    `INSERT INTO webhook_url AS u (environment_id, connection_id, generation, previous_until)
     VALUES ($1, $2, 1, statement_timestamp() + $3::float8 * interval '1 millisecond')
     ON CONFLICT (environment_id, connection_id) DO UPDATE SET
       generation = u.generation + 1, previous_until = excluded.previous_until
     RETURNING ${COLUMNS}`,
    [environmentId, connectionId, previousMs],
  );
  return rows[0] as UrlRow;
}
