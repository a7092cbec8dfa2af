import type { Sql } from '../../platform/postgres/index.ts';
import type { ActivityEntry, ActivityKind } from './model.ts';

export interface TimedEntry extends ActivityEntry {
  at: Date;
}

interface ActivityRow {
  id: number;
  at: Date;
  kind: ActivityKind;
  ok: boolean;
  connection_id: number | null;
  integration: string | null;
  summary: string;
  detail: Record<string, string | number | boolean>;
}

/** One statement for a whole batch. */
export async function insertEntries(sql: Sql, entries: readonly TimedEntry[]): Promise<void> {
  await sql.query(
    `INSERT INTO activity (environment_id, at, kind, ok, connection_id, integration, summary, detail)
     SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::boolean[], $5::bigint[], $6::text[],
       $7::text[], $8::jsonb[])`,
    [
      entries.map((entry) => entry.environmentId),
      entries.map((entry) => entry.at),
      entries.map((entry) => entry.kind),
      entries.map((entry) => entry.ok),
      entries.map((entry) => entry.connectionId ?? null),
      entries.map((entry) => entry.integration ?? null),
      entries.map((entry) => storable(entry.summary)),
      entries.map((entry) => JSON.stringify(entry.detail ?? {}, (_name, value: unknown) => storable(value))),
    ],
    'activity-insert',
  );
}

/** PostgreSQL takes no NUL and no half of a surrogate pair; one such entry would keep its batch from being written. */
function storable<T>(value: T): T | string {
  return typeof value === 'string' ? value.replaceAll('\0', '\ufffd').toWellFormed() : value;
}

export async function selectEntries(
  sql: Sql,
  query: { environmentId: number; connectionId?: number; limit: number },
): Promise<(ActivityEntry & { id: number; at: Date })[]> {
  const rows = await sql.query<ActivityRow>(
    `SELECT id, at, kind, ok, connection_id, integration, summary, detail FROM activity
     WHERE environment_id = $1 AND ($2::bigint IS NULL OR connection_id = $2) ORDER BY id DESC LIMIT $3`,
    [query.environmentId, query.connectionId ?? null, query.limit],
  );
  return rows.map((row) => ({
    environmentId: query.environmentId,
    id: row.id,
    at: row.at,
    kind: row.kind,
    ok: row.ok,
    connectionId: row.connection_id ?? undefined,
    integration: row.integration ?? undefined,
    summary: row.summary,
    detail: row.detail,
  }));
}

/** Deletes at most `limit` entries older than `before`; resolves to how many went. */
export async function deleteOlder(sql: Sql, before: Date, limit: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM activity WHERE (environment_id, id) IN
       (SELECT environment_id, id FROM activity WHERE at < $1 ORDER BY at LIMIT $2) RETURNING 1`,
    [before, limit],
  );
  return rows.length;
}
