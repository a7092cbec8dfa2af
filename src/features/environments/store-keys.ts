/** SQL of key rotation: data keys, what they sealed in every table, and which node holds which key. */
import type { Database, Session, Sql } from '../../platform/postgres/index.ts';
import type { SealedColumn } from './keys-columns.ts';
import type { DataKeyRow } from './store.ts';

export interface DataKeyStateRow {
  environment_id: number;
  environment: string;
  id: string;
  purpose: 'seal' | 'lookup';
  kek_id: string;
  created_at: Date;
  retired_at: Date | null;
  /** Retired for at least as long as asked about. */
  long_retired: boolean;
}

/** Oldest first within an environment. */
export async function selectDataKeyStates(sql: Sql, retiredDays: number): Promise<DataKeyStateRow[]> {
  return sql.query<DataKeyStateRow>(
    `SELECT k.environment_id, e.name AS environment, k.id, k.purpose, k.kek_id, k.created_at, k.retired_at,
       coalesce(k.retired_at < clock_timestamp() - $1::integer * interval '1 day', false) AS long_retired
     FROM data_key k JOIN environment e ON e.id = k.environment_id
     ORDER BY k.environment_id, k.purpose DESC, k.created_at, k.id`,
    [retiredDays],
  );
}

/** Compare-and-set of one wrapping. Resolves to false when somebody else was faster. */
export async function replaceWrapping(
  sql: Sql,
  old: DataKeyRow,
  fresh: { kekId: string; wrapped: Buffer },
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE data_key SET kek_id = $4, wrapped = $5
     WHERE environment_id = $1 AND id = $2 AND wrapped = $3 RETURNING 1`,
    [old.environment_id, old.id, old.wrapped, fresh.kekId, fresh.wrapped],
  );
  return rows.length > 0;
}

/** Retires `seal` keys; a key that is the only one of its environment stays. Resolves to the ids it retired. */
export async function retireDataKeys(
  sql: Sql,
  ids: readonly { environmentId: number; id: string }[],
): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
    `UPDATE data_key k SET retired_at = clock_timestamp()
     FROM unnest($1::integer[], $2::text[]) AS old(environment_id, id)
     WHERE k.environment_id = old.environment_id AND k.id = old.id AND k.purpose = 'seal' AND k.retired_at IS NULL
       AND EXISTS (SELECT FROM data_key n WHERE n.environment_id = k.environment_id AND n.purpose = 'seal'
                   AND n.retired_at IS NULL AND (n.created_at, n.id) > (k.created_at, k.id))
     RETURNING k.id`,
    [ids.map((one) => one.environmentId), ids.map((one) => one.id)],
  );
  return rows.map((row) => row.id);
}

/** Deletes a retired key for good. */
export async function deleteDataKey(sql: Sql, environmentId: number, id: string): Promise<void> {
  await sql.query(
    `DELETE FROM data_key WHERE environment_id = $1 AND id = $2 AND purpose = 'seal' AND retired_at IS NOT NULL`,
    [environmentId, id],
  );
}

/** Tells every node to read the data keys again. */
export async function notifyDataKeys(sql: Sql): Promise<void> {
  await sql.query('SELECT pg_notify($1, $2)', ['hawser_changed', 'data_key:']);
}

/** One rotation at a time. The lock goes with the session. */
export async function tryRotationLock(session: Session): Promise<boolean> {
  const rows = await session.query<{ locked: boolean }>(
    `SELECT pg_try_advisory_lock(hashtextextended('hawser key rotation', 0)) AS locked`,
  );
  return rows[0]?.locked === true;
}

/** Before the session goes back: a release by itself takes effect later, and the next rotation would be refused. */
export async function unlockRotation(session: Session): Promise<void> {
  await session.query(`SELECT pg_advisory_unlock(hashtextextended('hawser key rotation', 0))`);
}

/** False on a database whose migrations are older than this program. */
export async function hasKeyTables(sql: Sql): Promise<boolean> {
  const rows = await sql.query<{ found: boolean }>(`SELECT to_regclass('node_keyring') IS NOT NULL AS found`);
  return rows[0]?.found === true;
}

/** The database's time as text: a date of this program would lose its microseconds. */
export async function selectNow(sql: Sql): Promise<string> {
  const rows = await sql.query<{ now: string }>('SELECT clock_timestamp()::text AS now');
  return rows[0]?.now as string;
}

export async function upsertNodeKeyring(
  sql: Sql,
  node: { id: string; kekIds: readonly string[]; keysReadAt: string },
): Promise<void> {
  await sql.query(
    `INSERT INTO node_keyring (node_id, kek_ids, keys_read_at, seen_at)
     VALUES ($1, $2, $3::timestamptz, clock_timestamp())
     ON CONFLICT (node_id) DO UPDATE SET kek_ids = excluded.kek_ids, keys_read_at = excluded.keys_read_at,
       seen_at = excluded.seen_at`,
    [node.id, node.kekIds, node.keysReadAt],
  );
}

export async function deleteNodeKeyring(sql: Sql, nodeId: string): Promise<void> {
  await sql.query('DELETE FROM node_keyring WHERE node_id = $1', [nodeId]);
}

/** Nodes that ended without a word. */
export async function deleteLostNodeKeyrings(sql: Sql, lostMs: number): Promise<void> {
  await sql.query(
    `DELETE FROM node_keyring WHERE seen_at < clock_timestamp() - $1::float8 * interval '1 millisecond'`,
    [lostMs],
  );
}

export interface NodeKeyringRow {
  node_id: string;
  kek_ids: string[];
  /** It has read the data keys at or after the time asked about. */
  up_to_date: boolean;
}

/** Nodes seen within `liveMs`. */
export async function selectLiveNodes(sql: Sql, liveMs: number, since?: string): Promise<NodeKeyringRow[]> {
  return sql.query<NodeKeyringRow>(
    `SELECT node_id, kek_ids, coalesce(keys_read_at >= $2::timestamptz, true) AS up_to_date FROM node_keyring
     WHERE seen_at >= clock_timestamp() - $1::float8 * interval '1 millisecond' ORDER BY node_id`,
    [liveMs, since ?? null],
  );
}

export interface SealedCountRow {
  environment_id: number;
  /** Empty: the bytes name no key. */
  key_id: string;
  count: number;
}

/** How many values of a column each data key sealed. Identifiers come from {@link SealedColumn}, a constant table. */
export async function countSealed(sql: Sql, { table, column, environment }: SealedColumn): Promise<SealedCountRow[]> {
  return sql.query<SealedCountRow>(
    `SELECT ${environment} AS environment_id, CASE WHEN length(${column}) > 2 THEN
         encode(substring(${column} FROM 3 FOR get_byte(${column}, 1)), 'escape') ELSE '' END AS key_id,
       count(*) AS count
     FROM ${table} WHERE ${column} IS NOT NULL GROUP BY 1, 2`,
  );
}

export interface SealedRow {
  /** Where to go on. */
  cursor: string;
  /** Row id as it stands in the ciphertext's place. */
  row: string;
  sealed: Buffer;
}

/** The next values of an environment that do not begin with `prefix`, in the order of their key. */
export async function selectSealed(
  sql: Sql,
  { table, column, environment, cursor, cursorType, row, batchRows }: SealedColumn,
  options: { environmentId: number; after: string | undefined; prefix: Buffer },
): Promise<SealedRow[]> {
  return sql.query<SealedRow>(
    `SELECT ${cursor}::text AS cursor, (${row})::text AS row, ${column} AS sealed FROM ${table}
     WHERE ${environment} = $1 AND ($2::${cursorType} IS NULL OR ${cursor} > $2) AND ${column} IS NOT NULL
       AND substring(${column} FROM 1 FOR $3) <> $4
     ORDER BY ${table}.${cursor} LIMIT $5`,
    [options.environmentId, options.after ?? null, options.prefix.length, options.prefix, batchRows],
  );
}

/**
 * Compare-and-set of a batch: a value that changed since it was read, or whose row is locked, stays as it is. It waits
 * for no lock, so it can take part in no deadlock. Resolves to how many it replaced.
 */
export async function replaceSealed(
  db: Database,
  { table, column, environment, cursor, cursorType }: SealedColumn,
  environmentId: number,
  values: readonly { cursor: string; old: Buffer; fresh: Buffer }[],
  beforeCommit: () => void,
): Promise<number> {
  return db.transaction(async (tx) => {
    await tx.query(`SELECT set_config('hawser.resealing', 'on', true)`);
    const rows = await tx.query(
      `WITH free AS (
         SELECT t.${cursor} AS id, v.fresh FROM ${table} t
         JOIN unnest($2::${cursorType}[], $3::bytea[], $4::bytea[]) AS v(id, old, fresh) ON v.id = t.${cursor}
         WHERE t.${environment} = $1 AND t.${column} = v.old FOR NO KEY UPDATE OF t SKIP LOCKED
       )
       UPDATE ${table} t SET ${column} = free.fresh FROM free
       WHERE t.${environment} = $1 AND t.${cursor} = free.id RETURNING 1`,
      [
        environmentId,
        values.map((value) => value.cursor),
        values.map((value) => value.old),
        values.map((value) => value.fresh),
      ],
    );
    beforeCommit();
    return rows.length;
  });
}
