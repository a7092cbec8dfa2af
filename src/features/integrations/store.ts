import type { Sql } from '../../platform/postgres/index.ts';

export interface IntegrationRow {
  environment_id: number;
  id: number;
  unique_key: string;
  provider: string;
  display_name: string | null;
  credentials_sealed: Buffer | null;
  integration_config: Record<string, string>;
  custom: Record<string, string>;
  forward_webhooks: boolean;
  emulated: boolean;
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = `environment_id, id, unique_key, provider, display_name, credentials_sealed, integration_config, custom,
  forward_webhooks, emulated, created_at, updated_at`;

/** `lock`: until the transaction ends nobody else changes it, deletes it or connects to it. */
export async function selectByKey(
  sql: Sql,
  environmentId: number,
  uniqueKey: string,
  options: { lock?: boolean } = {},
): Promise<IntegrationRow | undefined> {
  const rows = await sql.query<IntegrationRow>(
    `SELECT ${COLUMNS} FROM integration WHERE environment_id = $1 AND unique_key = $2 AND deleted_at IS NULL
     ${options.lock ? 'FOR UPDATE' : ''}`,
    [environmentId, uniqueKey],
    options.lock ? undefined : 'integration-by-key',
  );
  return rows[0];
}

/** False when it is deleted; otherwise it stays until the transaction ends. */
export async function holdLiving(sql: Sql, environmentId: number, id: number): Promise<boolean> {
  const rows = await sql.query(
    'SELECT 1 FROM integration WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL FOR KEY SHARE',
    [environmentId, id],
  );
  return rows.length > 0;
}

/** Deleted ones too: a connection that is being let go still needs its integration. */
export async function selectById(sql: Sql, environmentId: number, id: number): Promise<IntegrationRow | undefined> {
  const rows = await sql.query<IntegrationRow>(
    `SELECT ${COLUMNS} FROM integration WHERE environment_id = $1 AND id = $2`,
    [environmentId, id],
    'integration-by-id',
  );
  return rows[0];
}

export async function selectAll(sql: Sql, environmentId: number): Promise<IntegrationRow[]> {
  return sql.query<IntegrationRow>(
    `SELECT ${COLUMNS} FROM integration WHERE environment_id = $1 AND deleted_at IS NULL ORDER BY id`,
    [environmentId],
  );
}

export interface IntegrationValues {
  uniqueKey: string;
  displayName: string | undefined;
  integrationConfig: Record<string, string>;
  custom: Record<string, string>;
  forwardWebhooks: boolean;
  emulated: boolean;
}

/** Resolves to undefined when the key is taken. */
export async function insertIntegration(
  sql: Sql,
  environmentId: number,
  provider: string,
  values: IntegrationValues,
): Promise<IntegrationRow | undefined> {
  const rows = await sql.query<IntegrationRow>(
    `INSERT INTO integration (environment_id, provider, unique_key, display_name, integration_config, custom,
       forward_webhooks, emulated)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (environment_id, unique_key) WHERE deleted_at IS NULL DO NOTHING RETURNING ${COLUMNS}`,
    [environmentId, provider, ...valueList(values)],
  );
  return rows[0];
}

/** Resolves to undefined when the integration is gone. A taken key is a unique violation. */
export async function updateIntegration(
  sql: Sql,
  environmentId: number,
  id: number,
  values: IntegrationValues,
): Promise<IntegrationRow | undefined> {
  const rows = await sql.query<IntegrationRow>(
    `UPDATE integration SET unique_key = $3, display_name = $4, integration_config = $5, custom = $6,
       forward_webhooks = $7, emulated = $8, updated_at = now()
     WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
    [environmentId, id, ...valueList(values)],
  );
  return rows[0];
}

export async function updateCredentials(
  sql: Sql,
  environmentId: number,
  id: number,
  sealed: Buffer | null,
): Promise<void> {
  await sql.query('UPDATE integration SET credentials_sealed = $3 WHERE environment_id = $1 AND id = $2', [
    environmentId,
    id,
    sealed,
  ]);
}

export async function markDeleted(sql: Sql, environmentId: number, id: number): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE integration SET deleted_at = now() WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING 1`,
    [environmentId, id],
  );
  return rows.length > 0;
}

export async function countConnections(sql: Sql, environmentId: number, id: number): Promise<number> {
  const rows = await sql.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM connection
     WHERE environment_id = $1 AND integration_id = $2 AND deleted_at IS NULL`,
    [environmentId, id],
  );
  return rows[0]?.count ?? 0;
}

function valueList(values: IntegrationValues): unknown[] {
  return [
    values.uniqueKey,
    values.displayName ?? null,
    JSON.stringify(values.integrationConfig),
    JSON.stringify(values.custom),
    values.forwardWebhooks,
    values.emulated,
  ];
}
