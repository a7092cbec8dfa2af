/** SQL of table `credential`. Every time is the database's: a node's clock may be wrong by hours. */
import type { Sql } from '../../platform/postgres/index.ts';

/** A credential as stored, with its times told as milliseconds from now. */
export interface CredentialRow {
  environment_id: number;
  connection_id: number;
  gen: number;
  sealed: Buffer;
  refresh_sealed: Buffer | null;
  access_hash: Buffer | null;
  refresh_hash: Buffer | null;
  scope: string | null;
  authorized_at: Date;
  expires_at: Date | null;
  lease_epoch: number;
  grant_epoch: number;
  outcome_unknown: number;
  failures: number;
  last_failure: string | null;
  last_failure_at: Date | null;
  intent_open: boolean;
  leased: boolean;
  /** Until the end of the access token. */
  left_ms: number | null;
  /** From the last refresh to the end. */
  lifetime_ms: number | null;
  since_refresh_ms: number;
  /** Above 0: no try before that. */
  backoff_ms: number | null;
  since_failure_ms: number | null;
  now: Date;
}

const COLUMNS = `c.environment_id, c.connection_id, c.gen, c.sealed, c.refresh_sealed, c.access_hash, c.refresh_hash,
  c.scope, c.authorized_at, c.expires_at, c.lease_epoch, c.grant_epoch, c.outcome_unknown, c.failures, c.last_failure,
  c.last_failure_at,
  c.intent_at IS NOT NULL AS intent_open,
  coalesce(c.lease_until >= clock_timestamp(), false) AS leased,
  (extract(epoch FROM c.expires_at - clock_timestamp()) * 1000)::float8 AS left_ms,
  (extract(epoch FROM c.expires_at - c.refreshed_at) * 1000)::float8 AS lifetime_ms,
  (extract(epoch FROM clock_timestamp() - c.refreshed_at) * 1000)::float8 AS since_refresh_ms,
  (extract(epoch FROM c.next_attempt_at - clock_timestamp()) * 1000)::float8 AS backoff_ms,
  (extract(epoch FROM clock_timestamp() - c.last_failure_at) * 1000)::float8 AS since_failure_ms,
  clock_timestamp() AS now`;

export async function selectCredential(
  sql: Sql,
  environmentId: number,
  connectionId: number,
): Promise<CredentialRow | undefined> {
  const rows = await sql.query<CredentialRow>(
    `SELECT ${COLUMNS} FROM credential c WHERE c.environment_id = $1 AND c.connection_id = $2`,
    [environmentId, connectionId],
    'credential-by-connection',
  );
  return rows[0];
}

export interface SealedGrant {
  environmentId: number;
  connectionId: number;
  sealed: Buffer;
  refreshSealed: Buffer | null;
  accessHash: Buffer | null;
  refreshHash: Buffer | null;
  scope: string | null;
}

/** When a token becomes due (`expiry.ts` says it exactly); one without an end is looked at once a day. */
const SWEEP_AT = (refreshSealed: string, expiresAt: string) =>
  `CASE WHEN ${refreshSealed} IS NOT NULL THEN coalesce(
     ${expiresAt} - least(interval '15 minutes', (${expiresAt} - clock_timestamp()) * 0.2),
     clock_timestamp() + interval '24 hours') END`;

/** Stores a new grant over whatever was there; a refresh still running can no longer commit. */
export async function upsertGrant(sql: Sql, grant: SealedGrant, leftMs: number | null): Promise<void> {
  await sql.query(
    `WITH stored AS (
       INSERT INTO credential AS c (environment_id, connection_id, sealed, refresh_sealed, access_hash, refresh_hash,
         scope, expires_at, sweep_at)
       VALUES ($1, $2, $3, $4::bytea, $5, $6, $7, clock_timestamp() + $8::float8 * interval '1 millisecond',
         ${SWEEP_AT('$4', "clock_timestamp() + $8::float8 * interval '1 millisecond'")})
       ON CONFLICT (environment_id, connection_id) DO UPDATE SET
         gen = c.gen + 1, sealed = excluded.sealed, refresh_sealed = excluded.refresh_sealed,
         access_hash = excluded.access_hash, refresh_hash = excluded.refresh_hash, scope = excluded.scope,
         expires_at = excluded.expires_at, sweep_at = excluded.sweep_at, refreshed_at = clock_timestamp(),
         authorized_at = clock_timestamp(), lease_epoch = c.lease_epoch + 1, grant_epoch = c.lease_epoch + 1,
         lease_owner = NULL, lease_until = NULL, intent_at = NULL, intent_rt_hash = NULL, outcome_unknown = 0, failures = 0, refused_on = NULL,
         last_failure_at = NULL, last_failure = NULL, next_attempt_at = NULL
       RETURNING grant_epoch
     )
     UPDATE refresh_journal j SET closed_at = clock_timestamp() FROM stored
     WHERE j.environment_id = $1 AND j.connection_id = $2 AND j.closed_at IS NULL AND j.epoch <= stored.grant_epoch`,
    [
      grant.environmentId,
      grant.connectionId,
      grant.sealed,
      grant.refreshSealed,
      grant.accessHash,
      grant.refreshHash,
      grant.scope,
      leftMs,
    ],
  );
}

export interface Claim {
  environmentId: number;
  connectionId: number;
  gen: number;
  epoch: number;
}

/**
 * Step 3: the durable intent. Resolves to the row as it was before the claim (its open intent included) with the new
 * epoch, or to undefined: the generation moved, the connection is gone, somebody holds the lease, or somebody has failed
 * since and `force` is not set.
 */
export async function claimRefresh(
  sql: Sql,
  claim: {
    environmentId: number;
    connectionId: number;
    gen: number;
    owner: string;
    leaseMs: number;
    force: boolean;
    reclaim?: number;
  },
): Promise<CredentialRow | undefined> {
  const rows = await sql.query<CredentialRow & { claimed_epoch: number }>(
    `WITH old AS (
       SELECT c.* FROM credential c
       WHERE c.environment_id = $1 AND c.connection_id = $2 AND c.gen = $3
         AND EXISTS (SELECT 1 FROM connection n WHERE n.environment_id = $1 AND (n.id = $2 OR n.grant_of = $2)
           AND n.deleted_at IS NULL AND n.state NOT IN ('disconnecting', 'disconnected'))
         AND CASE WHEN $6::bigint IS NULL THEN c.lease_until IS NULL OR c.lease_until < clock_timestamp()
                  ELSE c.lease_epoch = $6 END
         AND ($7 OR c.next_attempt_at IS NULL OR c.next_attempt_at <= clock_timestamp())
       FOR UPDATE OF c
     ), claimed AS (
       UPDATE credential c SET lease_epoch = c.lease_epoch + 1, lease_owner = $4,
         lease_until = clock_timestamp() + $5::float8 * interval '1 millisecond',
         intent_at = clock_timestamp(), intent_rt_hash = c.refresh_hash
       FROM old WHERE c.environment_id = old.environment_id AND c.connection_id = old.connection_id
       RETURNING c.lease_epoch
     )
     SELECT ${COLUMNS}, claimed.lease_epoch AS claimed_epoch FROM old c, claimed`,
    [
      claim.environmentId,
      claim.connectionId,
      claim.gen,
      claim.owner,
      claim.leaseMs,
      claim.reclaim ?? null,
      claim.force,
    ],
    'credential-claim',
  );
  return rows[0] && { ...rows[0], lease_epoch: rows[0].claimed_epoch };
}

/** Step 8: compare-and-set. Resolves to false when the generation or the epoch moved, or the row is gone. */
export async function commitRefresh(
  sql: Sql,
  claim: Claim,
  grant: SealedGrant,
  expiresAtMs: number | undefined,
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE credential SET sealed = $5, refresh_sealed = $6::bytea, access_hash = $7, refresh_hash = $8, scope = $9,
       expires_at = to_timestamp($10::float8 / 1000), refreshed_at = clock_timestamp(), gen = gen + 1,
       lease_owner = NULL, lease_until = NULL, intent_at = NULL, intent_rt_hash = NULL, outcome_unknown = 0,
       failures = 0, refused_on = NULL, last_failure_at = NULL, last_failure = NULL, next_attempt_at = NULL,
       sweep_at = ${SWEEP_AT('$6', 'to_timestamp($10::float8 / 1000)')}
     WHERE environment_id = $1 AND connection_id = $2 AND lease_epoch = $3 AND gen = $4
     RETURNING gen`,
    [
      claim.environmentId,
      claim.connectionId,
      claim.epoch,
      claim.gen,
      grant.sealed,
      grant.refreshSealed,
      grant.accessHash,
      grant.refreshHash,
      grant.scope,
      expiresAtMs ?? null,
    ],
    'credential-commit',
  );
  return rows.length > 0;
}

/** Waits for the synchronous standby where there is one; without one it changes nothing. */
export async function commitDurably(tx: Sql): Promise<void> {
  await tx.query('SET LOCAL synchronous_commit = remote_apply');
}

export interface FailureValues {
  failure: string;
  /** From now until the next try. */
  backoffMs: number;
  /** True: the refresh token may have been used; the intent stays open. */
  unknown: boolean;
  /** True: no try before the access token has ended. */
  untilEnd: boolean;
  /** True counts towards `exhausted`, at most once a day (wire contract I.4). */
  counts: boolean;
}

/** Ends a claim without a new token. Resolves to the days of refusal, or to undefined when the claim is no longer ours. */
export async function failRefresh(sql: Sql, claim: Claim, values: FailureValues): Promise<number | undefined> {
  const rows = await sql.query<{ failures: number }>(
    `UPDATE credential SET lease_owner = NULL, lease_until = NULL,
       intent_at = CASE WHEN $7 THEN intent_at END, intent_rt_hash = CASE WHEN $7 THEN intent_rt_hash END,
       outcome_unknown = outcome_unknown + CASE WHEN $7 THEN 1 ELSE 0 END,
       failures = failures + CASE WHEN $9 AND refused_on IS DISTINCT FROM (clock_timestamp() AT TIME ZONE 'UTC')::date
         THEN 1 ELSE 0 END,
       refused_on = CASE WHEN $9 THEN (clock_timestamp() AT TIME ZONE 'UTC')::date ELSE refused_on END,
       last_failure_at = clock_timestamp(), last_failure = $5,
       sweep_at = clock_timestamp() + interval '1 hour',
       next_attempt_at = CASE WHEN $8 THEN greatest(expires_at, clock_timestamp() + $6::float8 * interval '1 millisecond')
         ELSE clock_timestamp() + $6::float8 * interval '1 millisecond' END
     WHERE environment_id = $1 AND connection_id = $2 AND lease_epoch = $3 AND gen = $4
     RETURNING failures`,
    [
      claim.environmentId,
      claim.connectionId,
      claim.epoch,
      claim.gen,
      values.failure,
      values.backoffMs,
      values.unknown,
      values.untilEnd,
      values.counts,
    ],
  );
  return rows[0]?.failures;
}

/** Gives the lease back with nothing sent. `keepIntent`: an earlier exchange is still unresolved. */
export async function releaseClaim(
  sql: Sql,
  claim: Claim,
  options: { keepIntent: boolean; untilEnd: boolean },
): Promise<void> {
  await sql.query(
    `UPDATE credential SET lease_owner = NULL, lease_until = NULL,
       intent_at = CASE WHEN $5 THEN intent_at END, intent_rt_hash = CASE WHEN $5 THEN intent_rt_hash END,
       next_attempt_at = CASE WHEN $6 THEN expires_at ELSE next_attempt_at END
     WHERE environment_id = $1 AND connection_id = $2 AND lease_epoch = $3 AND gen = $4`,
    [claim.environmentId, claim.connectionId, claim.epoch, claim.gen, options.keepIntent, options.untilEnd],
  );
}

/** Wipes the secret. Resolves to the row as it was. */
export async function deleteCredential(
  sql: Sql,
  environmentId: number,
  connectionId: number,
): Promise<CredentialRow | undefined> {
  const rows = await sql.query<CredentialRow>(
    `DELETE FROM credential c WHERE c.environment_id = $1 AND c.connection_id = $2 RETURNING ${COLUMNS}`,
    [environmentId, connectionId],
  );
  return rows[0];
}

/** Rows that keep a credential whose access token has this hash. */
export async function selectByAccessHash(sql: Sql, environmentId: number, hash: Buffer): Promise<number[]> {
  const rows = await sql.query<{ connection_id: number }>(
    'SELECT connection_id FROM credential WHERE environment_id = $1 AND access_hash = $2 ORDER BY connection_id',
    [environmentId, hash],
  );
  return rows.map((row) => row.connection_id);
}

/** Step 4: exclusivity that ends with the session. Resolves to false when another process holds it. */
export async function tryRefreshLock(session: Sql, environmentId: number, connectionId: number): Promise<boolean> {
  const rows = await session.query<{ locked: boolean }>(
    `SELECT pg_try_advisory_lock(hashtextextended('hawser refresh ' || $1::text || ' ' || $2::text, 0)) AS locked`,
    [environmentId, connectionId],
  );
  return rows[0]?.locked === true;
}

/** A round trip: the session, and with it the lock, is still ours. */
export async function probeSession(session: Sql): Promise<void> {
  await session.query('SELECT 1');
}
