/** SQL of tables `endpoint` and `outbound_settings`. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { DisabledReason, Endpoint, EndpointRole, OutboundSettings } from './model.ts';

export interface EndpointRow {
  environment_id: number;
  id: string;
  role: EndpointRole;
  url: string;
  description: string | null;
  kinds: string[] | null;
  secret_sealed: Buffer;
  previous_secret_sealed: Buffer | null;
  previous_until: Date | null;
  state: 'enabled' | 'disabled';
  disabled_reason: DisabledReason | null;
  disabled_at: Date | null;
  failing_since: Date | null;
  failures: number;
  open_until: Date | null;
  created_at: Date;
}

/** The secret before a rotation is there only while it is good. */
const COLUMNS = `environment_id, id, role, url, description, kinds, secret_sealed,
  CASE WHEN previous_until > statement_timestamp() THEN previous_secret_sealed END AS previous_secret_sealed,
  CASE WHEN previous_until > statement_timestamp() THEN previous_until END AS previous_until,
  state, disabled_reason, disabled_at, failing_since, failures, open_until, created_at`;

export function toEndpoint(row: EndpointRow): Endpoint {
  return {
    environmentId: row.environment_id,
    id: row.id,
    role: row.role,
    url: row.url,
    description: row.description ?? undefined,
    kinds: row.kinds ?? undefined,
    state: row.state,
    disabledReason: row.disabled_reason ?? undefined,
    disabledAt: row.disabled_at ?? undefined,
    failingSince: row.failing_since ?? undefined,
    failures: row.failures,
    openUntil: row.open_until ?? undefined,
    previousUntil: row.previous_until ?? undefined,
    createdAt: row.created_at,
  };
}

/** Oldest first. Those that stand for a connection's own URL only when asked for. */
export async function selectEndpoints(
  sql: Sql,
  environmentId: number,
  options: { overrides?: boolean } = {},
): Promise<EndpointRow[]> {
  return sql.query<EndpointRow>(
    `SELECT ${COLUMNS} FROM endpoint WHERE environment_id = $1 AND (role <> 'override' OR $2)
     ORDER BY created_at, id`,
    [environmentId, options.overrides === true],
    'endpoint-list',
  );
}

export async function selectEndpoint(sql: Sql, environmentId: number, id: string): Promise<EndpointRow | undefined> {
  const rows = await sql.query<EndpointRow>(
    `SELECT ${COLUMNS} FROM endpoint WHERE environment_id = $1 AND id = $2`,
    [environmentId, id],
    'endpoint-by-id',
  );
  return rows[0];
}

/**
 * Since when the oldest delivery of each endpoint has been due, found by one hop in the index; without those that wait
 * for nothing. `id`: of this one only. Not prepared by name, for the reason that `store-queue.ts` tells.
 */
export async function selectOldestDue(
  sql: Sql,
  environmentId: number,
  shiftMs: number,
  id?: string,
): Promise<Map<string, Date>> {
  const rows = await sql.query<{ id: string; at: Date }>(
    `SELECT e.id, oldest.at FROM endpoint e, LATERAL (
       SELECT d.next_attempt_at AS at FROM delivery d
       WHERE d.environment_id = e.environment_id AND d.endpoint_id = e.id AND d.state = 'pending'
       ORDER BY d.next_attempt_at, d.id LIMIT 1) oldest
     WHERE e.environment_id = $1 AND ($2::uuid IS NULL OR e.id = $2)
       AND oldest.at <= statement_timestamp() + $3::float8 * interval '1 millisecond'`,
    [environmentId, id ?? null, shiftMs],
  );
  return new Map(rows.map((row) => [row.id, row.at]));
}

export async function selectOverrides(
  sql: Sql,
  environmentId: number,
  urls: readonly string[],
): Promise<EndpointRow[]> {
  return sql.query<EndpointRow>(
    `SELECT ${COLUMNS} FROM endpoint WHERE environment_id = $1 AND role = 'override' AND url = ANY ($2)`,
    [environmentId, urls],
    'endpoint-overrides',
  );
}

/** Resolves to undefined when the environment has that one already: a role, or the URL of a connection. */
export async function insertEndpoint(
  sql: Sql,
  endpoint: {
    environmentId: number;
    id: string;
    role: EndpointRole;
    url: string;
    description: string | undefined;
    kinds: readonly string[] | undefined;
    secretSealed: Buffer;
  },
): Promise<EndpointRow | undefined> {
  const rows = await sql.query<EndpointRow>(
    `INSERT INTO endpoint (environment_id, id, role, url, description, kinds, secret_sealed)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
    [
      endpoint.environmentId,
      endpoint.id,
      endpoint.role,
      endpoint.url,
      endpoint.description ?? null,
      endpoint.kinds ?? null,
      endpoint.secretSealed,
    ],
  );
  return rows[0];
}

export async function countEndpoints(sql: Sql, environmentId: number): Promise<number> {
  const rows = await sql.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM endpoint WHERE environment_id = $1 AND role <> 'override'`,
    [environmentId],
  );
  return rows[0]?.count ?? 0;
}

/**
 * Changes what is given. `enabled` true forgets every failure, so that what has waited goes out at once.
 * Resolves to undefined when there is no such endpoint.
 */
export async function updateEndpoint(
  sql: Sql,
  change: {
    environmentId: number;
    id: string;
    url?: string | undefined;
    description?: string | undefined;
    /** Null: every kind. */
    kinds?: readonly string[] | null | undefined;
    enabled?: boolean | undefined;
  },
): Promise<EndpointRow | undefined> {
  const rows = await sql.query<EndpointRow>(
    `UPDATE endpoint SET url = coalesce($3, url), description = coalesce($4, description),
       kinds = CASE WHEN $5::boolean THEN $6::text[] ELSE kinds END,
       state = CASE $7::boolean WHEN true THEN 'enabled' WHEN false THEN 'disabled' ELSE state END,
       disabled_reason = CASE $7::boolean WHEN true THEN NULL WHEN false THEN 'by_hand' ELSE disabled_reason END,
       disabled_at = CASE $7::boolean WHEN true THEN NULL WHEN false THEN now() ELSE disabled_at END,
       failing_since = CASE $7::boolean WHEN true THEN NULL ELSE failing_since END,
       failures = CASE $7::boolean WHEN true THEN 0 ELSE failures END,
       open_until = CASE $7::boolean WHEN true THEN NULL ELSE open_until END
     WHERE environment_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    [
      change.environmentId,
      change.id,
      change.url ?? null,
      change.description ?? null,
      change.kinds !== undefined,
      change.kinds ?? null,
      change.enabled ?? null,
    ],
  );
  return rows[0];
}

/** What was put off goes out now, in the order in which it came. */
export async function releaseDeliveries(sql: Sql, environmentId: number, endpointId: string): Promise<void> {
  await sql.query(
    `UPDATE delivery SET next_attempt_at = created_at
     WHERE environment_id = $1 AND endpoint_id = $2 AND state = 'pending' AND lease_owner IS NULL
       AND next_attempt_at > created_at`,
    [environmentId, endpointId],
  );
}

export async function replaceSecret(
  sql: Sql,
  secrets: { environmentId: number; id: string; sealed: Buffer; previous: Buffer; previousMs: number },
): Promise<EndpointRow | undefined> {
  const rows = await sql.query<EndpointRow>(
    `UPDATE endpoint SET secret_sealed = $3, previous_secret_sealed = $4,
       previous_until = statement_timestamp() + $5::float8 * interval '1 millisecond'
     WHERE environment_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    [secrets.environmentId, secrets.id, secrets.sealed, secrets.previous, secrets.previousMs],
  );
  return rows[0];
}

export async function deleteEndpoint(sql: Sql, environmentId: number, id: string): Promise<boolean> {
  const rows = await sql.query('DELETE FROM endpoint WHERE environment_id = $1 AND id = $2 RETURNING 1', [
    environmentId,
    id,
  ]);
  return rows.length > 0;
}

/** Tells every node, with the commit; `id` empty: all endpoints of the environment. */
export async function announceChange(tx: Sql, environmentId: number, id: string): Promise<void> {
  await tx.query("SELECT pg_notify('hawser_changed', $1)", [`endpoint:${environmentId}:${id}`]);
}

interface SettingsRow {
  on_auth_creation: boolean;
  on_auth_refresh_error: boolean;
  on_sync_completion_always: boolean;
  on_sync_error: boolean;
  on_async_action_completion: boolean;
}

export async function selectSettings(sql: Sql, environmentId: number): Promise<OutboundSettings | undefined> {
  const rows = await sql.query<SettingsRow>(
    `SELECT on_auth_creation, on_auth_refresh_error, on_sync_completion_always, on_sync_error,
       on_async_action_completion FROM outbound_settings WHERE environment_id = $1`,
    [environmentId],
    'outbound-settings',
  );
  const row = rows[0];
  return (
    row && {
      onAuthCreation: row.on_auth_creation,
      onAuthRefreshError: row.on_auth_refresh_error,
      onSyncCompletionAlways: row.on_sync_completion_always,
      onSyncError: row.on_sync_error,
      onAsyncActionCompletion: row.on_async_action_completion,
    }
  );
}

export async function upsertSettings(sql: Sql, environmentId: number, settings: OutboundSettings): Promise<void> {
  await sql.query(
    `INSERT INTO outbound_settings (environment_id, on_auth_creation, on_auth_refresh_error, on_sync_completion_always,
       on_sync_error, on_async_action_completion) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (environment_id) DO UPDATE SET on_auth_creation = excluded.on_auth_creation,
       on_auth_refresh_error = excluded.on_auth_refresh_error,
       on_sync_completion_always = excluded.on_sync_completion_always, on_sync_error = excluded.on_sync_error,
       on_async_action_completion = excluded.on_async_action_completion`,
    [
      environmentId,
      settings.onAuthCreation,
      settings.onAuthRefreshError,
      settings.onSyncCompletionAlways,
      settings.onSyncError,
      settings.onAsyncActionCompletion,
    ],
  );
}
