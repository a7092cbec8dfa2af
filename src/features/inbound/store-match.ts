/** Living connections of an integration that a value in an event names. */
import type { Sql } from '../../platform/postgres/index.ts';
import type { MatchedConnection } from './model.ts';

const COLUMNS = 'c.id, c.connection_id AS "connectionId", c.integration_id AS "integrationId"';
const LIVING = 'c.environment_id = $1 AND c.integration_id = $2 AND c.deleted_at IS NULL';

/** Of which integration. */
export interface MatchPlace {
  environmentId: number;
  integrationId: number;
}

const keyOf = ({ environmentId, integrationId }: MatchPlace): unknown[] => [environmentId, integrationId];

export async function matchAll(sql: Sql, place: MatchPlace): Promise<MatchedConnection[]> {
  return sql.query(`SELECT ${COLUMNS} FROM connection c WHERE ${LIVING} ORDER BY c.id`, keyOf(place), 'inbound-by-all');
}

export async function matchRows(sql: Sql, place: MatchPlace, ids: readonly number[]): Promise<MatchedConnection[]> {
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c WHERE ${LIVING} AND c.id = ANY ($3::bigint[]) ORDER BY c.id`,
    [...keyOf(place), ids],
    'inbound-by-row',
  );
}

export async function matchAccount(sql: Sql, place: MatchPlace, accountId: string): Promise<MatchedConnection[]> {
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c WHERE ${LIVING} AND c.account_id = $3 ORDER BY c.id`,
    [...keyOf(place), accountId],
    'inbound-by-account',
  );
}

export async function matchPublicId(sql: Sql, place: MatchPlace, connectionId: string): Promise<MatchedConnection[]> {
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c WHERE ${LIVING} AND c.connection_id = $3`,
    [...keyOf(place), connectionId],
    'inbound-by-public-id',
  );
}

/** By the index over whole configs: the value is text there, or a number. */
export async function matchConfig(
  sql: Sql,
  place: MatchPlace,
  name: string,
  value: string,
): Promise<MatchedConnection[]> {
  const asText = JSON.stringify({ [name]: value });
  const isNumber = /^(?:0|[1-9][0-9]{0,14})$/.test(value);
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c
     WHERE ${LIVING} AND (c.connection_config @> $3::jsonb OR c.connection_config @> $4::jsonb) ORDER BY c.id`,
    [...keyOf(place), asText, isNumber ? JSON.stringify({ [name]: Number(value) }) : asText],
    'inbound-by-config',
  );
}

export async function matchMetadata(
  sql: Sql,
  place: MatchPlace,
  name: string,
  value: string,
): Promise<MatchedConnection[]> {
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c WHERE ${LIVING} AND c.metadata ->> $3::text = $4 ORDER BY c.id`,
    [...keyOf(place), name, value],
    'inbound-by-metadata',
  );
}

/** All that use the access token with this keyed hash. */
export async function matchToken(sql: Sql, place: MatchPlace, hash: Buffer): Promise<MatchedConnection[]> {
  return sql.query(
    `SELECT ${COLUMNS} FROM connection c
     JOIN credential k ON k.environment_id = c.environment_id AND (k.connection_id = c.id OR k.connection_id = c.grant_of)
     WHERE ${LIVING} AND k.access_hash = $3 ORDER BY c.id`,
    [...keyOf(place), hash],
    'inbound-by-token',
  );
}
