/** The limit for writing records: ready rows into a table of the same shape, without keys, hashes or a feed. */
import type { Database } from '../../src/platform/postgres/index.ts';

export async function createRawTable(db: Database): Promise<void> {
  await db.query('CREATE TABLE record_raw (LIKE record INCLUDING ALL)');
}

export interface RawBatch {
  ids: string[];
  hashes: string[];
  sealed: Buffer;
  bytes: number;
  first: number;
}

/** A thousand rows by one statement; nothing is written for those of the same hash. */
export async function upsertRaw(db: Database, { ids, hashes, sealed, bytes, first }: RawBatch): Promise<void> {
  await db.query(
    `INSERT INTO record_raw AS r (environment_id, generation, model_id, id, data_hash, position, first_position,
       changed_by, bytes, external_id, sealed)
     SELECT 1, 1, 1, v.id, v.hash, $4 + v.n, $4 + v.n, 1, $5, v.id::text,
       substring($3::bytea FROM (v.n::integer - 1) * $5 + 1 FOR $5)
     FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS v(id, hash, n)
     ON CONFLICT (environment_id, id) DO UPDATE SET data_hash = excluded.data_hash, sealed = excluded.sealed,
       position = excluded.position, bytes = excluded.bytes
     WHERE r.data_hash IS DISTINCT FROM excluded.data_hash`,
    [`{${ids.join(',')}}`, `{${hashes.join(',')}}`, sealed, first, bytes],
    'bench-upsert-raw',
  );
}

/** Every payload with its names, as a dump would take them. */
export const COPY_OUT =
  'COPY (SELECT id, position, first_position, deleted, pruned_at, sealed FROM record) TO STDOUT (FORMAT binary)';

/** The whole table once more, so that neither side reads pages the other has not. */
export async function settleRecords(db: Database): Promise<void> {
  await db.query('VACUUM ANALYZE record');
  await db.query('VACUUM ANALYZE record_raw');
}

export async function newConnectionRow(db: Database, environmentId: number, integrationId: number, name: string) {
  const [row] = await db.query<{ id: number }>(
    `INSERT INTO connection (environment_id, integration_id, connection_id, state) VALUES ($1, $2, $3, 'active')
     RETURNING id`,
    [environmentId, integrationId, name],
  );
  return row?.id as number;
}
