/** SQL of backup and restore: what tables there are, in which order, and their bytes. */
import { LOCK_KEY, type Migration, type Sql } from '../../platform/postgres/index.ts';

export interface Table {
  name: string;
  columns: string[];
  /** The planner's estimate. */
  rowsAbout: number;
}

export interface SequenceState {
  table: string;
  column: string;
  /** As text: may be larger than a safe number. */
  lastValue: string;
  isCalled: boolean;
}

/** Said anew by each process. */
const OF_PROCESSES = new Set(['node_keyring']);

/** Names of all tables that migrations make: others in the same database are not ours. */
export function tableNames(migrations: readonly Migration[]): string[] {
  const names = migrations.flatMap(({ sql }) =>
    [...sql.matchAll(/^CREATE TABLE (?:IF NOT EXISTS )?(?:public\.)?"?(\w+)"?/gim)].map(([, name]) => name as string),
  );
  return [...new Set(names)].filter((name) => !OF_PROCESSES.has(name));
}

/** Of `names` those that exist and are kept over a crash, each after those that its foreign keys name. */
export async function selectTables(sql: Sql, names: readonly string[]): Promise<Table[]> {
  const tables = await sql.query<{ name: string; columns: string[]; rows_about: number; needs: string[] }>(
    `SELECT c.relname AS name, greatest(c.reltuples, 0)::float8 AS rows_about,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
       coalesce((SELECT array_agg(r.relname::text) FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid
        WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid), '{}') AS needs
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
       AND c.relname = ANY ($1) ORDER BY c.relname`,
    [names],
  );
  const found = new Map(tables.map((table) => [table.name, table]));
  const ordered = new Map<string, Table>();
  const visit = (name: string, above: readonly string[]): void => {
    const table = found.get(name);
    if (table === undefined || ordered.has(name) || above.includes(name)) return;
    for (const needed of table.needs) visit(needed, [...above, name]);
    ordered.set(name, { name, columns: table.columns, rowsAbout: table.rows_about });
  };
  for (const { name } of tables) visit(name, []);
  return [...ordered.values()];
}

/** All tables of one moment, whatever is written meanwhile. */
export async function beginSnapshot(sql: Sql): Promise<void> {
  await sql.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
}

export async function endSnapshot(sql: Sql): Promise<void> {
  await sql.query('COMMIT');
}

/** What the header tells of the database. Undefined: it is none of Hawser. */
export async function selectFacts(
  sql: Sql,
): Promise<{ migrations: { name: string; checksum: string }[]; encryptionKeys: string[]; now: Date } | undefined> {
  const [known] = await sql.query<{ found: boolean; now: Date }>(
    `SELECT to_regclass('hawser_migration') IS NOT NULL AND to_regclass('data_key') IS NOT NULL AS found, now() AS now`,
  );
  if (known?.found !== true) return undefined;
  const migrations = await sql.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM hawser_migration ORDER BY name',
  );
  const keys = await sql.query<{ id: string }>('SELECT DISTINCT kek_id AS id FROM data_key ORDER BY 1');
  return { migrations, encryptionKeys: keys.map(({ id }) => id), now: known.now };
}

/** Read outside of the snapshot: never behind the rows in it. */
export async function selectSequences(sql: Sql, tables: readonly Table[]): Promise<SequenceState[]> {
  const owned = await sql.query<{ table: string; column: string; sequence: string }>(
    `SELECT t.relname AS table, a.attname AS column, s.oid::regclass::text AS sequence
     FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
     JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
     JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE s.relkind = 'S' AND n.nspname = 'public' AND t.relname = ANY ($1) ORDER BY 1, 2`,
    [tables.map(({ name }) => name)],
  );
  const states: SequenceState[] = [];
  for (const { table, column, sequence } of owned) {
    const [state] = await sql.query<{ last_value: string; is_called: boolean }>(
      `SELECT last_value::text, is_called FROM ${sequence}`,
    );
    if (state !== undefined) states.push({ table, column, lastValue: state.last_value, isCalled: state.is_called });
  }
  return states;
}

export function copyOutStatement({ name, columns }: Table): string {
  return `COPY (SELECT ${list(columns)} FROM ${quote(name)}) TO STDOUT`;
}

export function copyInStatement({ name, columns }: Pick<Table, 'name' | 'columns'>): string {
  return `COPY ${quote(name)} (${list(columns)}) FROM STDIN`;
}

/** Names come from the catalogue of the database or from a file that anybody may have written. */
function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function list(columns: readonly string[]): string {
  return columns.map(quote).join(', ');
}

/** Begins the restore: no node migrates or restores meanwhile, and no trigger tells anybody of the rows. */
export async function beginRestore(sql: Sql): Promise<void> {
  await sql.query('BEGIN');
  await sql.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
  await sql.query(`SET LOCAL hawser.resealing = 'on'`);
}

export async function commitRestore(sql: Sql): Promise<void> {
  await sql.query('COMMIT');
}

export async function rollback(sql: Sql): Promise<void> {
  await sql.query('ROLLBACK');
}

/** What is in the way of a restore: tables of any owner in the schema. */
export async function selectForeignTables(sql: Sql): Promise<string[]> {
  const rows = await sql.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** Notes a file as applied; the history of the backup is made anew, not copied. */
export async function insertHistory(sql: Sql, { name, checksum, compatibleFrom }: Migration): Promise<void> {
  await sql.query('INSERT INTO public.hawser_migration (name, checksum, compatible_from) VALUES ($1, $2, $3)', [
    name,
    checksum,
    compatibleFrom ?? null,
  ]);
}

/** The rows that migrations wrote by themselves give way to those of the backup. */
export async function emptyTables(sql: Sql, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await sql.query(`TRUNCATE ${list(names)} CASCADE`);
}

export async function setSequence(sql: Sql, { table, column, lastValue, isCalled }: SequenceState): Promise<void> {
  await sql.query('SELECT setval(pg_get_serial_sequence($1, $2), $3::bigint, $4)', [
    quote(table),
    column,
    lastValue,
    isCalled,
  ]);
}

/** Without statistics the first queries on a large restored table would be planned badly. */
export async function analyze(sql: Sql): Promise<void> {
  await sql.query('ANALYZE');
}
