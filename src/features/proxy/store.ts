import type { Sql } from '../../platform/postgres/index.ts';

/** Takes the claim when nobody holds it and no write is unsettled. Resolves to false otherwise. */
export async function insertClaim(sql: Sql, environmentId: number, id: number, claim: string): Promise<boolean> {
  const rows = await sql.query(
    `INSERT INTO single_use_write AS w (environment_id, connection_id, claim) VALUES ($1, $2, $3)
     ON CONFLICT (environment_id, connection_id) DO UPDATE
       SET claim = excluded.claim, claimed_at = now(), settled_at = NULL
       WHERE w.settled_at IS NOT NULL
     RETURNING 1`,
    [environmentId, id, claim],
    'proxy_insert_claim',
  );
  return rows.length > 0;
}

/** Takes over a claim whose write is over for another reason: `old` must still be the one there. */
export async function replaceClaim(sql: Sql, environmentId: number, id: number, old: string, claim: string) {
  const rows = await sql.query(
    `UPDATE single_use_write SET claim = $4, claimed_at = now()
     WHERE environment_id = $1 AND connection_id = $2 AND claim = $3 AND settled_at IS NULL RETURNING 1`,
    [environmentId, id, old, claim],
  );
  return rows.length > 0;
}

export interface OpenClaim {
  claim: string;
  claimedAt: Date;
  /** Longer ago than any write lives: the node that made it has died. */
  isStale: boolean;
}

export async function selectOpenClaim(
  sql: Sql,
  environmentId: number,
  id: number,
  staleMs: number,
): Promise<OpenClaim | undefined> {
  const [row] = await sql.query<{ claim: string; claimed_at: Date; stale: boolean }>(
    `SELECT claim, claimed_at, claimed_at < now() - $3 * interval '1 millisecond' AS stale FROM single_use_write
     WHERE environment_id = $1 AND connection_id = $2 AND settled_at IS NULL`,
    [environmentId, id, staleMs],
  );
  return row && { claim: row.claim, claimedAt: row.claimed_at, isStale: row.stale };
}

/** Open claims that are older than any write lives, of all environments, oldest first. */
export async function selectStaleClaims(
  sql: Sql,
  staleMs: number,
  limit: number,
): Promise<{ environmentId: number; id: number; claim: string; claimedAt: Date }[]> {
  const rows = await sql.query<{ environment_id: number; connection_id: number; claim: string; claimed_at: Date }>(
    `SELECT environment_id, connection_id, claim, claimed_at FROM single_use_write
     WHERE settled_at IS NULL AND claimed_at < now() - $1 * interval '1 millisecond'
     ORDER BY claimed_at LIMIT $2`,
    [staleMs, limit],
  );
  return rows.map((row) => ({
    environmentId: row.environment_id,
    id: row.connection_id,
    claim: row.claim,
    claimedAt: row.claimed_at,
  }));
}

/** Ends the write: the row stays and a later grant of this connection may be used. */
export async function settleClaim(sql: Sql, environmentId: number, id: number, claim: string): Promise<void> {
  await sql.query(
    `UPDATE single_use_write SET settled_at = now() WHERE environment_id = $1 AND connection_id = $2 AND claim = $3`,
    [environmentId, id, claim],
  );
}

/** Gives the claim back: nothing was written. */
export async function deleteClaim(sql: Sql, environmentId: number, id: number, claim: string): Promise<void> {
  await sql.query('DELETE FROM single_use_write WHERE environment_id = $1 AND connection_id = $2 AND claim = $3', [
    environmentId,
    id,
    claim,
  ]);
}
