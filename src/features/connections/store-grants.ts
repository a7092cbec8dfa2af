/** SQL over table `connection` for grants that several connections use. `grantRow`: the row that keeps the credential. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection, ConnectionState } from './model.ts';
import { COLUMNS, toConnection, type ConnectionRow } from './store.ts';

/** Living connections that use the grant; the one that keeps the credential first, if it lives. */
export async function selectGrantUsers(sql: Sql, environmentId: number, grantRow: number): Promise<Connection[]> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection
     WHERE environment_id = $1 AND (id = $2 OR grant_of = $2) AND deleted_at IS NULL
     ORDER BY id = $2 DESC, id`,
    [environmentId, grantRow],
    'connection-grant-users',
  );
  return rows.map(toConnection);
}

/** Moves all that use the grant and writes one event for each that moved. */
export async function updateGrantState(
  sql: Sql,
  move: {
    environmentId: number;
    grantRow: number;
    state: ConnectionState;
    reason: string | undefined;
    from: string[] | undefined;
  },
): Promise<Connection[]> {
  const rows = await sql.query<ConnectionRow>(
    `WITH moved AS (
       UPDATE connection SET state = $3, state_reason = $4, state_since = now(), updated_at = now()
       WHERE environment_id = $1 AND (id = $2 OR grant_of = $2) AND deleted_at IS NULL
         AND ($5::text[] IS NULL OR state = ANY ($5))
         AND (state, coalesce(state_reason, '')) IS DISTINCT FROM ($3, coalesce($4, ''))
       RETURNING *
     ), told AS (
       INSERT INTO event (environment_id, type, connection_id, payload)
       SELECT environment_id, 'connection.state', id, jsonb_build_object('state', state, 'reason', state_reason)
       FROM moved ORDER BY id
     )
     SELECT ${COLUMNS} FROM moved ORDER BY id`,
    [move.environmentId, move.grantRow, move.state, move.reason ?? null, move.from ?? null],
  );
  return rows.map(toConnection);
}

/** Locks the row that keeps the credential. Whoever changes who uses a grant comes here first: no deadlock. */
export async function lockGrantRow(tx: Sql, environmentId: number, grantRow: number): Promise<void> {
  await tx.query('SELECT 1 FROM connection WHERE environment_id = $1 AND id = $2 FOR NO KEY UPDATE', [
    environmentId,
    grantRow,
  ]);
}

/** From now on the connection uses that grant; null: one of its own. */
export async function updateGrantOf(tx: Sql, environmentId: number, id: number, grantOf: number | null): Promise<void> {
  await tx.query('UPDATE connection SET grant_of = $3, updated_at = now() WHERE environment_id = $1 AND id = $2', [
    environmentId,
    id,
    grantOf,
  ]);
}

/** One connect at a time for an account; until the end of the transaction. */
export async function lockAccount(
  tx: Sql,
  environmentId: number,
  integrationId: number,
  accountId: string,
): Promise<void> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(hashtextextended('hawser account ' || $1::text || ' ' || $2::text || ' ' || $3, 0))`,
    [environmentId, integrationId, accountId],
  );
}

/** A connection of an account, living or let go of. Looks at all of the integration's when none lives. */
export async function selectAnyOfAccount(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  accountId: string,
): Promise<Connection | undefined> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection
     WHERE environment_id = $1 AND integration_id = $2 AND account_id = $3
     ORDER BY deleted_at IS NULL DESC, id DESC LIMIT 1`,
    [environmentId, integrationId, accountId],
  );
  return rows[0] && toConnection(rows[0]);
}

/** Living connections of an account, oldest first. */
export async function selectOfAccount(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  accountId: string,
): Promise<Connection[]> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection
     WHERE environment_id = $1 AND integration_id = $2 AND account_id = $3 AND deleted_at IS NULL ORDER BY id`,
    [environmentId, integrationId, accountId],
  );
  return rows.map(toConnection);
}
