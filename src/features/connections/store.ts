import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection, ConnectionState, EndUser } from './model.ts';

export interface ConnectionRow {
  environment_id: number;
  id: number;
  integration_id: number;
  connection_id: string;
  state: ConnectionState;
  state_reason: string | null;
  state_since: Date;
  connection_config: Record<string, unknown>;
  metadata: Record<string, unknown> | null;
  tags: Record<string, string>;
  end_user_id: string | null;
  account_id: string | null;
  grant_of: number | null;
  webhook_url_override: string | null;
  last_good_call_at: Date | null;
  last_fetched_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

export const COLUMNS = `environment_id, id, integration_id, connection_id, state, state_reason, state_since,
  connection_config, metadata, tags, end_user_id, account_id, grant_of, webhook_url_override, last_good_call_at,
  last_fetched_at, created_at, updated_at`;

export function toConnection(row: ConnectionRow): Connection {
  return {
    environmentId: row.environment_id,
    id: row.id,
    integrationId: row.integration_id,
    connectionId: row.connection_id,
    state: row.state,
    stateReason: row.state_reason ?? undefined,
    stateSince: row.state_since,
    connectionConfig: row.connection_config,
    metadata: row.metadata ?? undefined,
    tags: row.tags,
    endUserId: row.end_user_id ?? undefined,
    accountId: row.account_id ?? undefined,
    grantOf: row.grant_of ?? undefined,
    webhookUrlOverride: row.webhook_url_override ?? undefined,
    lastGoodCallAt: row.last_good_call_at ?? undefined,
    lastFetchedAt: row.last_fetched_at ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export async function selectById(sql: Sql, environmentId: number, id: number): Promise<Connection | undefined> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL`,
    [environmentId, id],
    'connection-by-row',
  );
  return rows[0] && toConnection(rows[0]);
}

export async function selectByPublicId(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  connectionId: string,
): Promise<Connection | undefined> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection
     WHERE environment_id = $1 AND integration_id = $2 AND connection_id = $3 AND deleted_at IS NULL`,
    [environmentId, integrationId, connectionId],
    'connection-by-public-id',
  );
  return rows[0] && toConnection(rows[0]);
}

export interface PublicKey {
  environmentId: number;
  integrationId: number;
  connectionId: string;
}

/**
 * The same of many, in their order. Each is one look into the index, whatever the database thinks of the table: that is
 * what the limited subquery is for.
 */
export async function selectByPublicIds(sql: Sql, keys: readonly PublicKey[]): Promise<(Connection | undefined)[]> {
  const rows = await sql.query<ConnectionRow & { at: number }>(
    `SELECT k.at, c.* FROM unnest($1::int[], $2::int[], $3::text[])
       WITH ORDINALITY k (environment_id, integration_id, connection_id, at), LATERAL (
       SELECT ${COLUMNS} FROM connection
       WHERE environment_id = k.environment_id AND integration_id = k.integration_id
         AND connection_id = k.connection_id AND deleted_at IS NULL LIMIT 1) c`,
    [
      keys.map(({ environmentId }) => environmentId),
      keys.map(({ integrationId }) => integrationId),
      keys.map(({ connectionId }) => connectionId),
    ],
    'connections-by-public-id',
  );
  const found: (Connection | undefined)[] = keys.map(() => undefined);
  for (const row of rows) found[row.at - 1] = toConnection(row);
  return found;
}

export async function selectOfIntegration(
  sql: Sql,
  environmentId: number,
  integrationId: number,
): Promise<Connection[]> {
  const rows = await sql.query<ConnectionRow>(
    `SELECT ${COLUMNS} FROM connection WHERE environment_id = $1 AND integration_id = $2 AND deleted_at IS NULL`,
    [environmentId, integrationId],
  );
  return rows.map(toConnection);
}

export interface ConnectionValues {
  environmentId: number;
  integrationId: number;
  connectionId: string;
  connectionConfig: Record<string, unknown>;
  configForgotten: readonly string[];
  metadata: Record<string, unknown> | undefined;
  tags: Record<string, string> | undefined;
  endUserId: string | undefined;
  accountId: string | undefined;
  webhookUrlOverride: string | undefined;
  state: ConnectionState;
  stateReason: string | undefined;
}

/**
 * Inserts, or overrides the living connection of that name: config is merged but for what is forgotten, absent values are
 * kept.
 */
export async function upsertConnection(
  sql: Sql,
  values: ConnectionValues,
): Promise<{ connection: Connection; created: boolean }> {
  const rows = await sql.query<ConnectionRow & { created: boolean }>(
    `INSERT INTO connection AS c (environment_id, integration_id, connection_id, connection_config, metadata, tags,
       end_user_id, account_id, webhook_url_override, state, state_reason)
     VALUES ($1, $2, $3, $4, $5, coalesce($6::jsonb, '{}'), $7, $8, $9, $10, $11)
     ON CONFLICT (environment_id, integration_id, connection_id) WHERE deleted_at IS NULL DO UPDATE SET
       connection_config = (c.connection_config - $12::text[]) || excluded.connection_config,
       metadata = coalesce(excluded.metadata, c.metadata),
       tags = CASE WHEN $6::jsonb IS NULL THEN c.tags ELSE excluded.tags END,
       end_user_id = coalesce(excluded.end_user_id, c.end_user_id),
       account_id = coalesce(excluded.account_id, c.account_id),
       webhook_url_override = coalesce(excluded.webhook_url_override, c.webhook_url_override),
       state = excluded.state,
       state_reason = excluded.state_reason,
       state_since = CASE WHEN c.state = excluded.state THEN c.state_since ELSE now() END,
       updated_at = now()
     RETURNING ${COLUMNS}, (xmax = 0) AS created`,
    [
      values.environmentId,
      values.integrationId,
      values.connectionId,
      JSON.stringify(values.connectionConfig),
      values.metadata === undefined ? null : JSON.stringify(values.metadata),
      values.tags === undefined ? null : JSON.stringify(values.tags),
      values.endUserId ?? null,
      values.accountId ?? null,
      values.webhookUrlOverride ?? null,
      values.state,
      values.stateReason ?? null,
      values.configForgotten,
    ],
  );
  const row = rows[0] as ConnectionRow & { created: boolean };
  return { connection: toConnection(row), created: row.created };
}

/** Moves the state and writes its event in one statement. Resolves to undefined when nothing moved. */
export async function updateState(
  sql: Sql,
  move: {
    environmentId: number;
    id: number;
    state: ConnectionState;
    reason: string | undefined;
    from: string[] | undefined;
  },
): Promise<Connection | undefined> {
  const rows = await sql.query<ConnectionRow>(
    `WITH moved AS (
       UPDATE connection SET state = $3, state_reason = $4, state_since = now(), updated_at = now()
       WHERE environment_id = $1 AND id = $2 AND ($5::text[] IS NULL OR state = ANY ($5))
         AND (state, coalesce(state_reason, '')) IS DISTINCT FROM ($3, coalesce($4, ''))
       RETURNING *
     ), told AS (
       INSERT INTO event (environment_id, type, connection_id, payload)
       SELECT environment_id, 'connection.state', id, jsonb_build_object('state', state, 'reason', state_reason)
       FROM moved
     )
     SELECT ${COLUMNS} FROM moved`,
    [move.environmentId, move.id, move.state, move.reason ?? null, move.from ?? null],
  );
  return rows[0] && toConnection(rows[0]);
}

export async function softDelete(sql: Sql, environmentId: number, id: number): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE connection SET deleted_at = now(), updated_at = now()
     WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING 1`,
    [environmentId, id],
  );
  return rows.length > 0;
}

export async function upsertEndUser(sql: Sql, environmentId: number, user: EndUser): Promise<void> {
  await sql.query(
    `INSERT INTO end_user AS u (environment_id, id, email, display_name, tags, organization_id,
       organization_display_name)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (environment_id, id) DO UPDATE SET
       email = coalesce(excluded.email, u.email),
       display_name = coalesce(excluded.display_name, u.display_name),
       tags = excluded.tags,
       organization_id = coalesce(excluded.organization_id, u.organization_id),
       organization_display_name = coalesce(excluded.organization_display_name, u.organization_display_name),
       updated_at = now()`,
    [
      environmentId,
      user.id,
      user.email ?? null,
      user.displayName ?? null,
      JSON.stringify(user.tags),
      user.organization?.id ?? null,
      user.organization?.displayName ?? null,
    ],
  );
}

export async function updatePatch(
  sql: Sql,
  patch: {
    environmentId: number;
    id: number;
    endUserId: string | undefined;
    tags: Record<string, string> | undefined;
    /** Empty text clears. */
    webhookUrlOverride: string | undefined;
  },
): Promise<void> {
  await sql.query(
    `UPDATE connection SET
       end_user_id = coalesce($3, end_user_id),
       tags = coalesce($4::jsonb, tags),
       webhook_url_override = CASE WHEN $5::text IS NULL THEN webhook_url_override ELSE nullif($5, '') END,
       updated_at = now()
     WHERE environment_id = $1 AND id = $2`,
    [
      patch.environmentId,
      patch.id,
      patch.endUserId ?? null,
      patch.tags === undefined ? null : JSON.stringify(patch.tags),
      patch.webhookUrlOverride ?? null,
    ],
  );
}

/** True when another living connection of the integration stands for the same account as this one, dead or alive. */
export async function existsSibling(sql: Sql, environmentId: number, id: number): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM connection own JOIN connection other ON other.environment_id = own.environment_id
       AND other.integration_id = own.integration_id AND other.account_id = own.account_id AND other.id <> own.id
     WHERE own.environment_id = $1 AND own.id = $2 AND other.deleted_at IS NULL LIMIT 1`,
    [environmentId, id],
  );
  return rows.length > 0;
}

/** Merges values into the config of those that use a grant; without a change nothing is written and nobody is told. */
export async function mergeConfig(
  sql: Sql,
  environmentId: number,
  id: number,
  values: Record<string, string>,
): Promise<void> {
  await sql.query(
    `UPDATE connection SET connection_config = connection_config || $3::jsonb, updated_at = now()
     WHERE environment_id = $1 AND (id = $2 OR grant_of = $2) AND deleted_at IS NULL
       AND NOT connection_config @> $3::jsonb`,
    [environmentId, id, JSON.stringify(values)],
  );
}

/** Replaces or merges metadata of all named connections. Resolves to the public ids that exist. */
export async function updateMetadata(
  sql: Sql,
  input: { environmentId: number; integrationId: number; connectionIds: string[]; metadata: object; merge: boolean },
): Promise<string[]> {
  const rows = await sql.query<{ connection_id: string }>(
    `UPDATE connection SET updated_at = now(),
       metadata = CASE WHEN $5 THEN coalesce(metadata, '{}') || $4::jsonb ELSE $4::jsonb END
     WHERE environment_id = $1 AND integration_id = $2 AND connection_id = ANY ($3) AND deleted_at IS NULL
     RETURNING connection_id`,
    [input.environmentId, input.integrationId, input.connectionIds, JSON.stringify(input.metadata), input.merge],
  );
  return rows.map((row) => row.connection_id);
}

/** Notes when connections were last read or last answered well; one statement for a whole batch. */
export async function updateTouched(
  sql: Sql,
  column: 'last_fetched_at' | 'last_good_call_at',
  touched: { environmentId: number; id: number; at: Date }[],
): Promise<void> {
  const text = {
    last_fetched_at: `UPDATE connection c SET last_fetched_at = t.at
      FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS t (environment_id, id, at)
      WHERE c.environment_id = t.environment_id AND c.id = t.id`,
    last_good_call_at: `UPDATE connection c SET last_good_call_at = t.at
      FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS t (environment_id, id, at)
      WHERE c.environment_id = t.environment_id AND c.id = t.id`,
  }[column];
  await sql.query(text, [
    touched.map((one) => one.environmentId),
    touched.map((one) => one.id),
    touched.map((one) => one.at),
  ]);
}
