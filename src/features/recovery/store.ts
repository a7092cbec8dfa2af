/** SQL of table `recovery`. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { QuarantineReason } from './model.ts';

export interface RecoveryRow {
  installation: string;
  server: string | null;
  timeline: number | null;
  mark: number;
  accepted_at_ms: number;
  quarantined_at: Date | null;
  quarantine_reason: QuarantineReason | null;
}

/** Where the row lies and how often the server was promoted. */
export interface Place {
  /** PostgreSQL's system identifier (empty where it does not tell), object id of the database and of the table. */
  server: string;
  /** Undefined where the server does not tell. */
  timeline: number | undefined;
}

const COLUMNS = `installation::text, server, timeline, mark,
  (extract(epoch FROM accepted_at) * 1000)::float8 AS accepted_at_ms, quarantined_at, quarantine_reason`;

export async function selectRecovery(sql: Sql): Promise<RecoveryRow> {
  const rows = await sql.query<RecoveryRow>(`SELECT ${COLUMNS} FROM recovery`);
  return rows[0] ?? insertRecovery(sql);
}

/** A dump of data without this row: as new. */
async function insertRecovery(sql: Sql): Promise<RecoveryRow> {
  await sql.query('INSERT INTO recovery DEFAULT VALUES ON CONFLICT DO NOTHING');
  const rows = await sql.query<RecoveryRow>(`SELECT ${COLUMNS} FROM recovery`);
  return rows[0] as RecoveryRow;
}

/**
 * A dump that is restored gets new object ids, a copy of the files and a promoted standby keep them: so a failover is
 * told from a restore. Source: PostgreSQL, pg_control_system() and the system columns of pg_database and pg_class.
 */
export async function selectPlace(sql: Sql): Promise<Place> {
  const [ids] = await sql.query<{ database: string; table: string; may: boolean }>(
    `SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text AS database,
       'recovery'::regclass::oid::text AS table,
       has_function_privilege('pg_control_system()', 'EXECUTE')
         AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE') AS may`,
  );
  const [control] =
    ids?.may === true
      ? await sql.query<{ system: string; timeline: number }>(
          `SELECT s.system_identifier::text AS system, c.timeline_id AS timeline
           FROM pg_control_system() s, pg_control_checkpoint() c`,
        )
      : [];
  return { server: `${control?.system ?? ''}/${ids?.database}/${ids?.table}`, timeline: control?.timeline };
}

/** Moves the mark, keeps the place, and sets the quarantine unless it is set. Resolves to the row afterwards. */
export async function updateRecovery(
  sql: Sql,
  values: { place: Place; markAtLeast: number; quarantine: QuarantineReason | undefined },
): Promise<RecoveryRow> {
  const rows = await sql.query<RecoveryRow>(
    `UPDATE recovery SET server = $1, timeline = coalesce($2::int, timeline), mark = greatest(mark, $3::bigint) + 1,
       quarantined_at = CASE WHEN $4::text IS NULL THEN quarantined_at
                             ELSE coalesce(quarantined_at, clock_timestamp()) END,
       quarantine_reason = CASE WHEN $4::text IS NULL THEN quarantine_reason
                                ELSE coalesce(quarantine_reason, $4::text) END
     RETURNING ${COLUMNS}`,
    [values.place.server, values.place.timeline ?? null, values.markAtLeast, values.quarantine ?? null],
  );
  return rows[0] as RecoveryRow;
}

/** For a restore: the row is that of the backup, its place is new. */
export async function quarantineRestored(sql: Sql): Promise<void> {
  await selectRecovery(sql);
  await sql.query(
    `UPDATE recovery SET server = NULL, timeline = NULL, quarantined_at = clock_timestamp(),
       quarantine_reason = 'restored'`,
  );
}

/** Ends the quarantine. Resolves to the row afterwards. */
export async function updateAccepted(sql: Sql, place: Place, markAtLeast: number): Promise<RecoveryRow> {
  const rows = await sql.query<RecoveryRow>(
    `UPDATE recovery SET server = $1, timeline = $2, mark = greatest(mark, $3::bigint) + 1,
       accepted_at = date_trunc('milliseconds', clock_timestamp()), quarantined_at = NULL, quarantine_reason = NULL
     RETURNING ${COLUMNS}`,
    [place.server, place.timeline ?? null, markAtLeast],
  );
  return rows[0] as RecoveryRow;
}

/** Nobody else reads and writes the row until the end of the transaction. */
export async function lockRecovery(tx: Sql): Promise<void> {
  await tx.query('SELECT 1 FROM recovery FOR UPDATE');
}

export const CHANGED_CHANNEL = 'hawser_recovery';

export async function notifyChanged(sql: Sql): Promise<void> {
  await sql.query('SELECT pg_notify($1, $2)', [CHANGED_CHANNEL, '']);
}

export async function selectNow(sql: Sql): Promise<Date> {
  const rows = await sql.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return (rows[0] as { now: Date }).now;
}

/** False on a database older than this slice. */
export async function hasRecoveryTable(sql: Sql): Promise<boolean> {
  const rows = await sql.query<{ found: boolean }>(`SELECT to_regclass('recovery') IS NOT NULL AS found`);
  return rows[0]?.found === true;
}
