import type { Sql } from '../../platform/postgres/index.ts';
import type { Environment } from './model.ts';

interface EnvironmentRow {
  id: number;
  uuid: string;
  name: string;
  is_production: boolean;
  callback_url: string | null;
}

export interface DataKeyRow {
  environment_id: number;
  id: string;
  purpose: 'seal' | 'lookup';
  kek_id: string;
  wrapped: Buffer;
  /** Once set, the key only opens; it never seals again. */
  retired_at: Date | null;
}

export interface ApiKeyRow {
  environment_id: number;
  id: string;
  display_name: string;
  scopes: string[];
  created_at: Date;
  last_used_at: Date | null;
}

const ENVIRONMENT_COLUMNS = 'id, uuid, name, is_production, callback_url';

function toEnvironment(row: EnvironmentRow): Environment {
  return {
    id: row.id,
    uuid: row.uuid,
    name: row.name,
    isProduction: row.is_production,
    callbackUrl: row.callback_url ?? undefined,
  };
}

export async function selectEnvironments(sql: Sql): Promise<Environment[]> {
  const rows = await sql.query<EnvironmentRow>(`SELECT ${ENVIRONMENT_COLUMNS} FROM environment ORDER BY id`);
  return rows.map(toEnvironment);
}

export async function selectEnvironment(sql: Sql, name: string): Promise<Environment | undefined> {
  const rows = await sql.query<EnvironmentRow>(`SELECT ${ENVIRONMENT_COLUMNS} FROM environment WHERE name = $1`, [
    name,
  ]);
  return rows[0] && toEnvironment(rows[0]);
}

export async function insertEnvironment(
  sql: Sql,
  options: { name: string; isProduction: boolean },
): Promise<Environment | undefined> {
  const rows = await sql.query<EnvironmentRow>(
    `INSERT INTO environment (name, is_production) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
     RETURNING ${ENVIRONMENT_COLUMNS}`,
    [options.name, options.isProduction],
  );
  return rows[0] && toEnvironment(rows[0]);
}

export async function updateSigningKey(sql: Sql, environmentId: number, sealed: Buffer): Promise<void> {
  await sql.query('UPDATE environment SET webhook_signing_key_sealed = $2 WHERE id = $1', [environmentId, sealed]);
}

export interface SigningKeysRow {
  sealed: Buffer | null;
  /** Null once its time is over. */
  previous: Buffer | null;
  previous_id: string | null;
}

export async function selectSigningKeys(sql: Sql, environmentId: number): Promise<SigningKeysRow | undefined> {
  const rows = await sql.query<SigningKeysRow>(
    `SELECT e.webhook_signing_key_sealed AS sealed, p.key_sealed AS previous, p.id AS previous_id
     FROM environment e
     LEFT JOIN previous_signing_key p ON p.environment_id = e.id AND p.until > statement_timestamp()
     WHERE e.id = $1`,
    [environmentId],
    'environment-signing-keys',
  );
  return rows[0];
}

/** Until the transaction ends nobody else replaces the signing key. */
export async function lockSigningKey(sql: Sql, environmentId: number): Promise<void> {
  await sql.query('SELECT 1 FROM environment WHERE id = $1 FOR NO KEY UPDATE', [environmentId]);
}

/** The new key, and the one before it until its time is over. */
export async function replaceSigningKey(
  sql: Sql,
  environmentId: number,
  keys: { sealed: Buffer; previousId: string; previous: Buffer; previousMs: number },
): Promise<void> {
  await updateSigningKey(sql, environmentId, keys.sealed);
  await sql.query('DELETE FROM previous_signing_key WHERE environment_id = $1', [environmentId]);
  await sql.query(
    `INSERT INTO previous_signing_key (environment_id, id, key_sealed, until)
     VALUES ($1, $2, $3, statement_timestamp() + $4::float8 * interval '1 millisecond')`,
    [environmentId, keys.previousId, keys.previous, keys.previousMs],
  );
}

/** Oldest first within an environment. */
export async function selectDataKeys(sql: Sql, environmentId?: number): Promise<DataKeyRow[]> {
  return sql.query<DataKeyRow>(
    `SELECT environment_id, id, purpose, kek_id, wrapped, retired_at FROM data_key
     WHERE $1::integer IS NULL OR environment_id = $1 ORDER BY environment_id, created_at, id`,
    [environmentId ?? null],
  );
}

export async function insertDataKey(sql: Sql, row: DataKeyRow): Promise<void> {
  await sql.query('INSERT INTO data_key (environment_id, id, purpose, kek_id, wrapped) VALUES ($1, $2, $3, $4, $5)', [
    row.environment_id,
    row.id,
    row.purpose,
    row.kek_id,
    row.wrapped,
  ]);
}

export async function insertApiKey(
  sql: Sql,
  row: { environmentId: number; displayName: string; secretHash: Buffer; scopes: string[] },
): Promise<ApiKeyRow | undefined> {
  const rows = await sql.query<ApiKeyRow>(
    `INSERT INTO api_key (environment_id, display_name, secret_hash, scopes) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING RETURNING environment_id, id, display_name, scopes, created_at, last_used_at`,
    [row.environmentId, row.displayName, row.secretHash, row.scopes],
  );
  return rows[0];
}

export async function selectApiKeys(sql: Sql, environmentId: number): Promise<ApiKeyRow[]> {
  return sql.query<ApiKeyRow>(
    `SELECT environment_id, id, display_name, scopes, created_at, last_used_at FROM api_key
     WHERE environment_id = $1 ORDER BY created_at, id`,
    [environmentId],
  );
}

/** By id or by display name. Resolves to the deleted row. */
export async function deleteApiKey(sql: Sql, environmentId: number, idOrName: string): Promise<ApiKeyRow | undefined> {
  const rows = await sql.query<ApiKeyRow>(
    `DELETE FROM api_key WHERE environment_id = $1 AND id = (
       SELECT id FROM api_key WHERE environment_id = $1 AND (id::text = lower($2) OR display_name = $2)
       ORDER BY id::text = lower($2) DESC LIMIT 1)
     RETURNING environment_id, id, display_name, scopes, created_at, last_used_at`,
    [environmentId, idOrName],
  );
  return rows[0];
}

export async function selectApiKey(
  sql: Sql,
  secretHash: Buffer,
): Promise<{ environment: Environment; keyId: string; scopes: string[] } | undefined> {
  const rows = await sql.query<EnvironmentRow & { key_id: string; scopes: string[] }>(
    `SELECT e.id, e.uuid, e.name, e.is_production, e.callback_url, k.id AS key_id, k.scopes
     FROM api_key k JOIN environment e ON e.id = k.environment_id WHERE k.secret_hash = $1`,
    [secretHash],
    'api-key-by-hash',
  );
  const row = rows[0];
  return row && { environment: toEnvironment(row), keyId: row.key_id, scopes: row.scopes };
}

export async function touchApiKey(sql: Sql, environmentId: number, keyId: string): Promise<void> {
  await sql.query('UPDATE api_key SET last_used_at = now() WHERE environment_id = $1 AND id = $2', [
    environmentId,
    keyId,
  ]);
}
