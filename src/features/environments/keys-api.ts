/** API keys of an environment: any number are valid at once, so one can be replaced without a gap. */
import { randomId, secretHash } from '../../base/ids.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { API_KEYS_MAX, environmentErrors } from './errors.ts';
import type { ApiKey, ApiKeys } from './model.ts';
import { ENVIRONMENT_SCOPES } from './scopes.ts';
import { deleteApiKey, insertApiKey, selectApiKeys, type ApiKeyRow } from './store.ts';

const ALL_SCOPES = Object.values(ENVIRONMENT_SCOPES).flat();

export function createApiKeys(sql: Sql): ApiKeys {
  return {
    async list(environmentId) {
      return (await selectApiKeys(sql, environmentId)).map(toApiKey);
    },
    async create({ environmentId, displayName, scopes = ['environment:*'], secret = randomId() }) {
      const unknown = scopes.find((scope) => !isScope(scope));
      if (unknown !== undefined) {
        throw environmentErrors.fail('unknown_scope', { message: `There is no scope "${unknown}".` });
      }
      if ((await selectApiKeys(sql, environmentId)).length >= API_KEYS_MAX)
        throw environmentErrors.fail('too_many_api_keys');
      const row = await insertApiKey(sql, { environmentId, displayName, secretHash: hashOfKey(secret), scopes });
      if (row === undefined) throw environmentErrors.fail('conflict');
      return { key: toApiKey(row), secret };
    },
    async remove(environmentId, idOrName) {
      const row = await deleteApiKey(sql, environmentId, idOrName);
      if (row === undefined) throw environmentErrors.fail('unknown_api_key');
      return toApiKey(row);
    },
  };
}

/** Keys are compared without regard to case (wire contract A.1). */
export function hashOfKey(secret: string): Buffer {
  return secretHash(secret.toLowerCase());
}

function isScope(scope: string): boolean {
  if (!scope.endsWith(':*')) return ALL_SCOPES.includes(scope);
  return ALL_SCOPES.some((known) => known.startsWith(scope.slice(0, -1)));
}

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    environmentId: row.environment_id,
    id: row.id,
    displayName: row.display_name,
    scopes: row.scopes,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at ?? undefined,
  };
}
