/** SQL that finds what retention has to do, a part at a time, in the order of the models' keys. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { ModelName } from './store-delete.ts';

/** Models of connections that were deleted. */
export async function selectOrphans(sql: Sql, limit: number): Promise<ModelName[]> {
  return sql.query<ModelName>(
    `SELECT m.environment_id, m.id FROM record_model m
     JOIN connection c ON c.environment_id = m.environment_id AND c.id = m.connection_id
     WHERE c.deleted_at IS NOT NULL LIMIT $1`,
    [limit],
  );
}

export interface OldModel extends ModelName {
  /** Microseconds since 1970: payloads at or before it are old enough. */
  until: number;
}

/** Models with a payload that has not changed for so long. */
export async function selectUnpruned(sql: Sql, ageMs: number, limit: number): Promise<OldModel[]> {
  return sql.query<OldModel>(
    `WITH age AS (
       SELECT ((extract(epoch FROM clock_timestamp()) * 1000 - $1::float8) * 1000)::bigint AS until
     )
     SELECT m.environment_id, m.id, age.until FROM record_model m, age
     WHERE m.pruned_position < least(m.position, age.until) AND EXISTS (
       SELECT FROM record r WHERE r.environment_id = m.environment_id AND r.model_id = m.id
         AND r.position > m.pruned_position AND r.position <= age.until)
     LIMIT $2`,
    [ageMs, limit],
  );
}

export interface IdleModel extends ModelName {
  sync_id: number;
}

/** Models of syncs that have written nothing for so long; whether they have run is for others to say. */
export async function selectIdle(sql: Sql, ageMs: number, limit: number): Promise<IdleModel[]> {
  return sql.query<IdleModel>(
    `SELECT environment_id, id, sync_id FROM record_model
     WHERE sync_id IS NOT NULL AND position > 0 AND written_at < now() - $1::float8 * interval '1 millisecond'
     LIMIT $2`,
    [ageMs, limit],
  );
}

/** Looked at: not again before as much time has passed. */
export async function touchModel(sql: Sql, environmentId: number, modelId: number): Promise<void> {
  await sql.query('UPDATE record_model SET written_at = now() WHERE environment_id = $1 AND id = $2', [
    environmentId,
    modelId,
  ]);
}
