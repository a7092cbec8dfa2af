/** SQL of writes to tables `record` and `record_model`. Positions are the database's time in microseconds. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { MergingStrategy, RecordPlace } from './model.ts';

export interface ModelRow {
  id: number;
  position: number;
  living: number;
  /** Microseconds since 1970, by the database. */
  now: number;
  strategy: MergingStrategy | null;
  strategy_run: number | null;
  strategy_position: number | null;
  held_at: Date | null;
  confirmed_at: Date | null;
}

/**
 * Locks the model until the end of the transaction, and its connection against being deleted. Makes the row when
 * `create`. Undefined: there is none, or the connection is gone.
 */
export async function lockModel(tx: Sql, place: RecordPlace, create: boolean): Promise<ModelRow | undefined> {
  const values = [place.environmentId, place.connectionId, place.model];
  const select = (): Promise<ModelRow[]> =>
    tx.query<ModelRow>(
      `SELECT m.id, m.position, m.living, m.strategy, m.strategy_run, m.strategy_position, m.held_at, m.confirmed_at,
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
       FROM connection c JOIN record_model m ON m.environment_id = c.environment_id AND m.connection_id = c.id
       WHERE c.environment_id = $1 AND c.id = $2 AND c.deleted_at IS NULL AND m.model = $3
       FOR SHARE OF c FOR NO KEY UPDATE OF m`,
      values,
      'record-lock-model',
    );
  const [found] = await select();
  if (found !== undefined || !create) return found;
  await tx.query(
    `INSERT INTO record_model (environment_id, connection_id, model)
     SELECT environment_id, id, $3 FROM connection WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL
     ON CONFLICT DO NOTHING`,
    values,
  );
  return (await select())[0];
}

export interface ModelChange {
  position: number;
  living: number;
  bytes: number;
  /** Undefined: stays. */
  syncId?: number | undefined;
}

/** `living` and `bytes` are differences. */
export async function updateModel(tx: Sql, environmentId: number, modelId: number, change: ModelChange): Promise<void> {
  await tx.query(
    `UPDATE record_model SET position = $3, living = living + $4, bytes = bytes + $5,
       sync_id = coalesce($6::bigint, sync_id), written_at = now()
     WHERE environment_id = $1 AND id = $2`,
    [environmentId, modelId, change.position, change.living, change.bytes, change.syncId ?? null],
    'record-update-model',
  );
}

/**
 * Stamps those rows that are there, alive and of the same content with the generation. Resolves to the places (from 0)
 * of the others in the list.
 */
export async function stampUnchanged(
  tx: Sql,
  environmentId: number,
  ids: readonly string[],
  hashes: readonly string[],
  generation: number,
): Promise<number[]> {
  const [row] = await tx.query<{ same: string | null }>(
    `WITH same AS (
       UPDATE record r SET generation = greatest(r.generation, $4)
       FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS v(id, hash, n)
       WHERE r.environment_id = $1 AND r.id = v.id AND r.data_hash = v.hash AND NOT r.deleted
       RETURNING v.n
     ) SELECT string_agg(n::text, ',') AS same FROM same`,
    [environmentId, list(ids), list(hashes), generation],
    'record-stamp-unchanged',
  );
  const same = new Set((row?.same ?? '').split(',').map((n) => Number(n) - 1));
  return ids.flatMap((_id, index) => (same.has(index) ? [] : [index]));
}

export interface OldRow {
  id: string;
  /** 32 hex digits. */
  data_hash: string;
  deleted: boolean;
  position: number;
  changed_by: number;
  bytes: number;
  /** Only when asked for; null: pruned. */
  sealed: Buffer | null;
  is_pruned: boolean;
}

/** In the order of `ids`. */
export async function selectOld(
  tx: Sql,
  environmentId: number,
  ids: readonly string[],
  withSealed: boolean,
): Promise<Map<string, OldRow>> {
  const rows = await tx.query<OldRow>(
    `SELECT id, replace(data_hash::text, '-', '') AS data_hash, deleted, position, changed_by, bytes,
       CASE WHEN $3 THEN sealed END AS sealed, sealed IS NULL AS is_pruned
     FROM record WHERE environment_id = $1 AND id = ANY($2::uuid[])`,
    [environmentId, list(ids), withSealed],
    'record-select-old',
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** A row as it is to be: in the order in which positions are given. */
export interface NewRow {
  id: string;
  externalId: string;
  hash: string;
  bytes: number;
  sealed: Buffer;
}

/** The payloads as one value: a list of bytea would be written as hex, twice as long. */
function packed(rows: readonly NewRow[]) {
  let offset = 1;
  const offsets = rows.map(({ sealed }) => {
    const at = offset;
    offset += sealed.length;
    return at;
  });
  return [
    list(rows.map((row) => row.id)),
    list(rows.map((row) => row.hash)),
    list(rows.map((row) => row.bytes)),
    Buffer.concat(rows.map((row) => row.sealed)),
    list(offsets),
    list(rows.map((row) => row.sealed.length)),
  ];
}

/** Inserts rows; the first one gets the position `after + 1`. */
export async function insertRows(
  tx: Sql,
  at: { environmentId: number; modelId: number; generation: number; after: number },
  rows: readonly NewRow[],
): Promise<void> {
  await tx.query(
    `INSERT INTO record (environment_id, generation, model_id, id, data_hash, position, first_position, changed_by,
       bytes, external_id, sealed)
     SELECT $1, $2, $3, v.id, v.hash, $4 + v.n, $4 + v.n, $2, v.bytes, v.external_id,
       substring($8::bytea FROM v.start FOR v.length)
     FROM unnest($5::uuid[], $6::uuid[], $7::integer[], $9::integer[], $10::integer[], $11::text[])
       WITH ORDINALITY AS v(id, hash, bytes, start, length, external_id, n)`,
    [at.environmentId, at.generation, at.modelId, at.after, ...packed(rows), rows.map((row) => row.externalId)],
    'record-insert',
  );
}

/** Changes rows, or brings them back; the first one gets the position `after + 1`. */
export async function updateRows(
  tx: Sql,
  at: { environmentId: number; generation: number; after: number },
  rows: readonly NewRow[],
): Promise<void> {
  await tx.query(
    `UPDATE record r SET generation = greatest(r.generation, $2), changed_by = $2, position = $3 + v.n,
       first_position = CASE WHEN r.deleted THEN $3 + v.n ELSE r.first_position END, deleted = false, pruned_at = NULL,
       data_hash = v.hash, bytes = v.bytes, sealed = substring($7::bytea FROM v.start FOR v.length)
     FROM unnest($4::uuid[], $5::uuid[], $6::integer[], $8::integer[], $9::integer[])
       WITH ORDINALITY AS v(id, hash, bytes, start, length, n)
     WHERE r.environment_id = $1 AND r.id = v.id`,
    [at.environmentId, at.generation, at.after, ...packed(rows)],
    'record-update',
  );
}

/** Marks living rows as deleted, in the order of `ids`; the first one gets the position `after + 1`. */
export async function deleteRows(
  tx: Sql,
  at: { environmentId: number; generation: number; after: number },
  ids: readonly string[],
): Promise<void> {
  await tx.query(
    `UPDATE record r SET generation = greatest(r.generation, $2), changed_by = $2, position = $3 + v.n, deleted = true
     FROM unnest($4::uuid[]) WITH ORDINALITY AS v(id, n)
     WHERE r.environment_id = $1 AND r.id = v.id AND NOT r.deleted`,
    [at.environmentId, at.generation, at.after, list(ids)],
    'record-delete',
  );
}

/** Rows somebody else changed meanwhile are seen, but stay as they are. */
export async function stampSkipped(
  tx: Sql,
  environmentId: number,
  ids: readonly string[],
  generation: number,
): Promise<void> {
  await tx.query(
    `UPDATE record SET generation = greatest(generation, $3) WHERE environment_id = $1 AND id = ANY($2::uuid[])`,
    [environmentId, list(ids), generation],
  );
}

export async function updateStrategy(
  tx: Sql,
  environmentId: number,
  model: ModelRow,
  strategy: MergingStrategy,
  run: number,
): Promise<void> {
  await tx.query(
    `UPDATE record_model SET strategy = $3, strategy_run = $4, strategy_position = position
     WHERE environment_id = $1 AND id = $2`,
    [environmentId, model.id, strategy, run],
  );
}

/** Values without quotes, commas or braces as an array of PostgreSQL: the driver would look at each character. */
function list(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}
