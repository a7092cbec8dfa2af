/** SQL that prunes, detects deletions and empties. All but the guard's look takes place behind the model's lock. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { RecordPlace } from './model.ts';

/** Empties payloads up to and including a position, oldest first. Resolves to how many, and the last one's position. */
export async function pruneRows(
  tx: Sql,
  at: { environmentId: number; modelId: number; until: number; limit: number },
): Promise<{ count: number; last: number }> {
  const [row] = await tx.query<{ count: number; last: number | null }>(
    `WITH full_rows AS MATERIALIZED (
       SELECT r.id, r.position, r.bytes FROM record r
       JOIN record_model m ON m.environment_id = r.environment_id AND m.id = r.model_id
       WHERE r.environment_id = $1 AND r.model_id = $2 AND r.position > m.pruned_position AND r.position <= $3
         AND r.sealed IS NOT NULL
       ORDER BY r.position LIMIT $4
     ), emptied AS (
       UPDATE record r SET sealed = NULL, pruned_at = now() FROM full_rows f
       WHERE r.environment_id = $1 AND r.id = f.id RETURNING f.position, f.bytes
     ), told AS (
       UPDATE record_model m SET bytes = m.bytes - (SELECT coalesce(sum(bytes), 0) FROM emptied),
         pruned_position = greatest(m.pruned_position, CASE WHEN (SELECT count(*) FROM emptied) < $4
           THEN least($3, m.position) ELSE (SELECT max(position) FROM emptied) END)
       WHERE m.environment_id = $1 AND m.id = $2
     )
     SELECT count(*)::integer AS count, max(position) AS last FROM emptied`,
    [at.environmentId, at.modelId, at.until, at.limit],
  );
  return { count: row?.count ?? 0, last: row?.last ?? 0 };
}

/** True when a payload stands between the two positions: after the first, up to and including the second. */
export async function hasPayload(
  tx: Sql,
  at: { environmentId: number; modelId: number; after: number; until: number },
): Promise<boolean> {
  const rows = await tx.query(
    `SELECT 1 FROM record WHERE environment_id = $1 AND model_id = $2 AND position > $3 AND position <= $4
       AND sealed IS NOT NULL ORDER BY position LIMIT 1`,
    [at.environmentId, at.modelId, at.after, at.until],
  );
  return rows.length > 0;
}

/** Living rows that no run since `since` has saved. */
export async function countMissing(tx: Sql, environmentId: number, modelId: number, since: number): Promise<number> {
  const [row] = await tx.query<{ missing: number }>(
    `SELECT count(*)::integer AS missing FROM record
     WHERE environment_id = $1 AND model_id = $2 AND NOT deleted AND generation < $3`,
    [environmentId, modelId, since],
  );
  return row?.missing ?? 0;
}

/**
 * Marks the next of them as deleted, in the order of the feed: those that stand after `walked` and at or before
 * `until`. The first one gets the position `after + 1`.
 */
export async function deleteMissing(
  tx: Sql,
  at: {
    environmentId: number;
    modelId: number;
    since: number;
    generation: number;
    walked: number;
    until: number;
    after: number;
    limit: number;
  },
): Promise<{ externalIds: string[]; walked: number }> {
  const [row] = await tx.query<{ external_ids: string[] | null; walked: number | null }>(
    `WITH missing AS MATERIALIZED (
       SELECT id, external_id, position, row_number() OVER (ORDER BY position) AS n FROM (
         SELECT id, external_id, position FROM record
         WHERE environment_id = $1 AND model_id = $2 AND position > $5 AND position <= $6
           AND NOT deleted AND generation < $3
         ORDER BY position LIMIT $8
       ) next
     ), gone AS (
       UPDATE record r SET deleted = true, position = $7 + m.n, changed_by = $4 FROM missing m
       WHERE r.environment_id = $1 AND r.id = m.id
     )
     SELECT json_agg(external_id ORDER BY n) AS external_ids, max(position) AS walked FROM missing`,
    [at.environmentId, at.modelId, at.since, at.generation, at.walked, at.until, at.after, at.limit],
  );
  return { externalIds: row?.external_ids ?? [], walked: row?.walked ?? at.until };
}

/** `held` undefined: nothing is held any more, and a confirmation is used up. */
export async function updateHeld(
  tx: Sql,
  environmentId: number,
  modelId: number,
  held: { total: number; missing: number } | undefined,
): Promise<void> {
  await tx.query(
    `UPDATE record_model SET held_total = $3, held_missing = $4, confirmed_at = NULL,
       held_at = CASE WHEN $3::bigint IS NULL THEN NULL ELSE coalesce(held_at, now()) END
     WHERE environment_id = $1 AND id = $2`,
    [environmentId, modelId, held?.total ?? null, held?.missing ?? null],
  );
}

/** Resolves to false when nothing of this model is held. */
export async function confirmHeld(sql: Sql, place: RecordPlace): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE record_model SET confirmed_at = now()
     WHERE environment_id = $1 AND connection_id = $2 AND model = $3 AND held_at IS NOT NULL RETURNING 1`,
    [place.environmentId, place.connectionId, place.model],
  );
  return rows.length > 0;
}

/** Locks a model whether or not its connection still lives. */
export async function lockModelById(tx: Sql, environmentId: number, modelId: number): Promise<boolean> {
  const rows = await tx.query('SELECT 1 FROM record_model WHERE environment_id = $1 AND id = $2 FOR UPDATE', [
    environmentId,
    modelId,
  ]);
  return rows.length > 0;
}

/** Deletes rows for good, oldest first. Resolves to how many. */
export async function deleteForGood(tx: Sql, environmentId: number, modelId: number, limit: number): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    `WITH oldest AS MATERIALIZED (
       SELECT id FROM record WHERE environment_id = $1 AND model_id = $2 ORDER BY position LIMIT $3
     ), gone AS (
       DELETE FROM record r USING oldest o WHERE r.environment_id = $1 AND r.id = o.id
       RETURNING r.deleted, CASE WHEN r.sealed IS NULL THEN 0 ELSE r.bytes END AS bytes
     ), told AS (
       UPDATE record_model m SET living = m.living - (SELECT count(*) FROM gone WHERE NOT deleted),
         bytes = m.bytes - (SELECT coalesce(sum(bytes), 0) FROM gone)
       WHERE m.environment_id = $1 AND m.id = $2
     )
     SELECT count(*)::integer AS count FROM gone`,
    [environmentId, modelId, limit],
  );
  return row?.count ?? 0;
}

/** Only when it has no rows. */
export async function deleteModel(tx: Sql, environmentId: number, modelId: number): Promise<void> {
  await tx.query(
    `DELETE FROM record_model m WHERE m.environment_id = $1 AND m.id = $2
       AND NOT EXISTS (SELECT FROM record r WHERE r.environment_id = $1 AND r.model_id = $2)`,
    [environmentId, modelId],
  );
}

export interface ModelName {
  environment_id: number;
  id: number;
}

/** `models` undefined: all of the connection. */
export async function selectModels(
  sql: Sql,
  environmentId: number,
  connectionId: number,
  models: readonly string[] | undefined,
): Promise<ModelName[]> {
  return sql.query<ModelName>(
    `SELECT environment_id, id FROM record_model
     WHERE environment_id = $1 AND connection_id = $2 AND ($3::text[] IS NULL OR model = ANY($3)) ORDER BY id`,
    [environmentId, connectionId, models ?? null],
  );
}
