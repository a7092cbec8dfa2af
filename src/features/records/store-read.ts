/** SQL that reads records. A page comes as one row: a thousand small ones would cost more than their content. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { RecordPlace } from './model.ts';

export interface PageRow {
  /** Of the rows that were looked at: more than the page has when it was cut. */
  found: number;
  /** All with commas between, in the order of the page; null when it is empty. */
  ids: string | null;
  positions: string | null;
  first_positions: string | null;
  /** One digit each, 1 is deleted. */
  deleted: string | null;
  /** Of each sealed payload; -1: pruned. */
  lengths: string | null;
  sealed: Buffer | null;
  /** Of the pruned ones. */
  pruned: { id: string; at: number }[] | null;
}

export interface PageQuery extends RecordPlace {
  limit: number;
  /** The page begins behind it. */
  after: number;
  /** Which last actions; undefined: all. */
  wanted: { added: boolean; updated: boolean; deleted: boolean } | undefined;
  /** Row ids; undefined: all. */
  ids: readonly string[] | undefined;
  /** The page ends with the record that reaches it. */
  bytesMax: number;
}

const COLUMNS = 'id, position, first_position, deleted, pruned_at, bytes, external_id, sealed';
const WANTED =
  'CASE WHEN deleted THEN $7::boolean WHEN position = first_position THEN $8::boolean ELSE $9::boolean END';

const BY_FEED = (wanted: string): string => `SELECT ${COLUMNS} FROM record
  WHERE environment_id = $1 AND position > $4 AND model_id =
    (SELECT id FROM record_model WHERE environment_id = $1 AND connection_id = $2 AND model = $3)${wanted}
  ORDER BY position LIMIT $5 + 1`;

/** Materialized: the order must not make the planner walk the whole feed. */
const BY_IDS = (parameter: string, wanted: string): string => `SELECT ${COLUMNS} FROM
  (WITH picked AS MATERIALIZED (SELECT * FROM record WHERE environment_id = $1 AND id = ANY(${parameter}::uuid[]))
   SELECT * FROM picked) p
  WHERE position > $4 AND model_id =
    (SELECT id FROM record_model WHERE environment_id = $1 AND connection_id = $2 AND model = $3)${wanted}
  ORDER BY position LIMIT $5 + 1`;

const page = (inner: string): string => `SELECT count(*)::integer AS found,
  string_agg(id::text, ',') FILTER (WHERE keep) AS ids,
  string_agg(position::text, ',') FILTER (WHERE keep) AS positions,
  string_agg(first_position::text, ',') FILTER (WHERE keep) AS first_positions,
  string_agg(CASE WHEN deleted THEN '1' ELSE '0' END, '') FILTER (WHERE keep) AS deleted,
  string_agg(coalesce(octet_length(sealed), -1)::text, ',') FILTER (WHERE keep) AS lengths,
  string_agg(sealed, ''::bytea) FILTER (WHERE keep) AS sealed,
  json_agg(json_build_object('id', external_id, 'at', (extract(epoch FROM pruned_at) * 1000000)::bigint))
    FILTER (WHERE keep AND sealed IS NULL) AS pruned
 FROM (SELECT *, row_number() OVER w <= $5 AND sum(bytes) OVER w - bytes < $6 AS keep FROM (${inner}) t
       WINDOW w AS (ORDER BY position ROWS UNBOUNDED PRECEDING)) u`;

const FEED = page(BY_FEED(''));
const FEED_WANTED = page(BY_FEED(` AND ${WANTED}`));
const IDS = page(BY_IDS('$7', ''));
const IDS_WANTED = page(BY_IDS('$10', ` AND ${WANTED}`));

export async function selectPage(sql: Sql, query: PageQuery): Promise<PageRow> {
  const { wanted, ids } = query;
  const values: unknown[] = [
    query.environmentId,
    query.connectionId,
    query.model,
    query.after,
    query.limit,
    query.bytesMax,
    ...(wanted === undefined ? [] : [wanted.deleted, wanted.added, wanted.updated]),
    ...(ids === undefined ? [] : [`{${ids.join(',')}}`]),
  ];
  const rows =
    ids === undefined
      ? wanted === undefined
        ? await sql.query<PageRow>(FEED, values, 'record-feed')
        : await sql.query<PageRow>(FEED_WANTED, values, 'record-feed-wanted')
      : wanted === undefined
        ? await sql.query<PageRow>(IDS, values, 'record-ids')
        : await sql.query<PageRow>(IDS_WANTED, values, 'record-ids-wanted');
  return rows[0] as PageRow;
}

export async function selectLiving(
  sql: Sql,
  environmentId: number,
  connectionId: number,
  models: readonly string[],
): Promise<{ model: string; living: number }[]> {
  return sql.query(
    `SELECT model, living FROM record_model
     WHERE environment_id = $1 AND connection_id = $2 AND model = ANY($3::text[])`,
    [environmentId, connectionId, models],
    'record-living',
  );
}

export interface HeldRow {
  connection_id: number;
  model: string;
  held_total: number;
  held_missing: number;
  held_at: Date;
  confirmed_at: Date | null;
}

export async function selectHeld(sql: Sql, environmentId: number): Promise<HeldRow[]> {
  return sql.query<HeldRow>(
    `SELECT m.connection_id, m.model, m.held_total, m.held_missing, m.held_at, m.confirmed_at
     FROM record_model m JOIN connection c ON c.environment_id = m.environment_id AND c.id = m.connection_id
     WHERE m.environment_id = $1 AND m.held_at IS NOT NULL AND c.deleted_at IS NULL
     ORDER BY m.held_at, m.id`,
    [environmentId],
  );
}

/** Every model of the living connections of an integration. */
export async function selectModelsOf(
  sql: Sql,
  environmentId: number,
  integrationId: number,
): Promise<{ connection_id: number; model: string }[]> {
  return sql.query(
    `SELECT m.connection_id, m.model FROM record_model m
     JOIN connection c ON c.environment_id = m.environment_id AND c.id = m.connection_id
     WHERE c.environment_id = $1 AND c.integration_id = $2 AND c.deleted_at IS NULL AND m.living > 0`,
    [environmentId, integrationId],
    'record-models-of-integration',
  );
}

/** Those of the row ids that are living records. */
export async function selectPresent(sql: Sql, environmentId: number, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await sql.query<{ id: string }>(
    'SELECT id FROM record WHERE environment_id = $1 AND id = ANY ($2::uuid[]) AND NOT deleted',
    [environmentId, ids],
    'record-present',
  );
  return rows.map((row) => row.id);
}
