import type { Sql } from '../../platform/postgres/index.ts';
import type { DeployedFunction, FunctionDefinition, FunctionKind } from './model.ts';

interface FunctionRow {
  environment_id: number;
  id: number;
  uuid: string;
  integration_id: number;
  kind: FunctionKind;
  name: string;
  version: string;
  enabled: boolean;
  source: DeployedFunction['source'];
  definition: FunctionDefinition;
  code_hash: string;
  deployed_at: Date;
}

const COLUMNS = `environment_id, id, uuid, integration_id, kind, name, version, enabled, source, definition, code_hash,
  deployed_at`;

/** First key of the advisory lock that lets one deploy in at a time; the second is the environment. */
const DEPLOY_LOCK = 0x6675_6e63;

function toFunction(row: FunctionRow): DeployedFunction {
  return {
    environmentId: row.environment_id,
    id: row.id,
    uuid: row.uuid,
    integrationId: row.integration_id,
    kind: row.kind,
    name: row.name,
    version: row.version,
    enabled: row.enabled,
    source: row.source,
    definition: row.definition,
    codeHash: row.code_hash,
    deployedAt: row.deployed_at,
  };
}

/** Held until the transaction ends. Resolves to false when another deploy holds it. */
export async function tryDeployLock(tx: Sql, environmentId: number): Promise<boolean> {
  const rows = await tx.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock($1, $2) AS locked', [
    DEPLOY_LOCK,
    environmentId,
  ]);
  return rows[0]?.locked === true;
}

export async function selectByName(
  sql: Sql,
  environmentId: number,
  integrationId: number,
  kind: FunctionKind,
  name: string,
): Promise<DeployedFunction | undefined> {
  const rows = await sql.query<FunctionRow>(
    `SELECT ${COLUMNS} FROM function
     WHERE environment_id = $1 AND integration_id = $2 AND kind = $3 AND name = $4 AND deleted_at IS NULL`,
    [environmentId, integrationId, kind, name],
    'function-by-name',
  );
  return rows[0] && toFunction(rows[0]);
}

export async function selectById(sql: Sql, environmentId: number, id: number): Promise<DeployedFunction | undefined> {
  const rows = await sql.query<FunctionRow>(
    `SELECT ${COLUMNS} FROM function WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL`,
    [environmentId, id],
    'function-by-id',
  );
  return rows[0] && toFunction(rows[0]);
}

/** Living ones, in the order of their first deploy. */
export async function selectFunctions(
  sql: Sql,
  environmentId: number,
  filter: { integrationId?: number | undefined; kind?: FunctionKind | undefined } = {},
): Promise<DeployedFunction[]> {
  const rows = await sql.query<FunctionRow>(
    `SELECT ${COLUMNS} FROM function
     WHERE environment_id = $1 AND deleted_at IS NULL
       AND ($2::integer IS NULL OR integration_id = $2) AND ($3::text IS NULL OR kind = $3) ORDER BY id`,
    [environmentId, filter.integrationId ?? null, filter.kind ?? null],
  );
  return rows.map(toFunction);
}

export async function insertCode(
  tx: Sql,
  environmentId: number,
  hash: string,
  code: { js: string; ts: string },
): Promise<void> {
  await tx.query(
    `INSERT INTO function_code (environment_id, hash, js, ts) VALUES ($1, $2, $3, $4)
     ON CONFLICT (environment_id, hash) DO UPDATE SET ts = excluded.ts WHERE function_code.ts <> excluded.ts`,
    [environmentId, hash, code.js, code.ts],
  );
}

export async function selectCode(
  sql: Sql,
  environmentId: number,
  hash: string,
): Promise<{ js: string; ts: string } | undefined> {
  const rows = await sql.query<{ js: string; ts: string }>(
    'SELECT js, ts FROM function_code WHERE environment_id = $1 AND hash = $2',
    [environmentId, hash],
    'function-code',
  );
  return rows[0];
}

export type FunctionValues = Pick<
  DeployedFunction,
  'environmentId' | 'integrationId' | 'kind' | 'name' | 'version' | 'source' | 'definition' | 'codeHash'
>;

export async function insertFunction(tx: Sql, values: FunctionValues): Promise<DeployedFunction> {
  const rows = await tx.query<FunctionRow>(
    `INSERT INTO function (environment_id, integration_id, kind, name, version, source, definition, code_hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${COLUMNS}`,
    [
      values.environmentId,
      values.integrationId,
      values.kind,
      values.name,
      values.version,
      values.source,
      JSON.stringify(values.definition),
      values.codeHash,
    ],
  );
  return toFunction(rows[0] as FunctionRow);
}

/** Keeps whether it is enabled. Resolves to undefined when it is gone. */
export async function updateFunction(
  tx: Sql,
  id: number,
  values: Pick<FunctionValues, 'environmentId' | 'version' | 'source' | 'definition' | 'codeHash'>,
): Promise<DeployedFunction | undefined> {
  const rows = await tx.query<FunctionRow>(
    `UPDATE function SET version = $3, source = $4, definition = $5, code_hash = $6, deployed_at = now()
     WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
    [values.environmentId, id, values.version, values.source, JSON.stringify(values.definition), values.codeHash],
  );
  return rows[0] && toFunction(rows[0]);
}

export async function updateEnabled(
  tx: Sql,
  environmentId: number,
  id: number,
  enabled: boolean,
): Promise<DeployedFunction | undefined> {
  const rows = await tx.query<FunctionRow>(
    `UPDATE function SET enabled = $3
     WHERE environment_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
    [environmentId, id, enabled],
  );
  return rows[0] && toFunction(rows[0]);
}

/** Resolves to those that this call has deleted. */
export async function markDeleted(tx: Sql, environmentId: number, ids: readonly number[]): Promise<number[]> {
  const rows = await tx.query<{ id: number }>(
    `UPDATE function SET deleted_at = now()
     WHERE environment_id = $1 AND id = ANY ($2::integer[]) AND deleted_at IS NULL RETURNING id`,
    [environmentId, ids],
  );
  return rows.map((row) => row.id);
}

export async function insertVersion(tx: Sql, fn: DeployedFunction): Promise<void> {
  await tx.query(
    `INSERT INTO function_version (environment_id, function_id, version, definition, code_hash, deployed_at)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [fn.environmentId, fn.id, fn.version, JSON.stringify(fn.definition), fn.codeHash, fn.deployedAt],
  );
}

/** What was deployed under this function, newest first. */
export async function selectVersions(
  sql: Sql,
  environmentId: number,
  functionId: number,
): Promise<{ version: string; codeHash: string; deployedAt: Date }[]> {
  const rows = await sql.query<{ version: string; code_hash: string; deployed_at: Date }>(
    `SELECT version, code_hash, deployed_at FROM function_version
     WHERE environment_id = $1 AND function_id = $2 ORDER BY id DESC`,
    [environmentId, functionId],
  );
  return rows.map((row) => ({ version: row.version, codeHash: row.code_hash, deployedAt: row.deployed_at }));
}
