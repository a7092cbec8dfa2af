import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { isUuidV4, randomId, randomSecret, secretHash } from '../../base/ids.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Keyring } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { environmentErrors } from './errors.ts';
import type { ApiKey, Environment, Environments, Principal } from './model.ts';
import {
  insertApiKey,
  insertEnvironment,
  selectApiKey,
  selectEnvironments,
  selectSigningKey,
  touchApiKey,
  updateSigningKey,
  type ApiKeyRow,
} from './store.ts';
import { assertKeyFits, createDataKeys, createVault } from './vault.ts';

/** A key or environment changed elsewhere is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;
/** More keys than any installation has; bounds memory against guessing. */
const CACHED_KEYS_MAX = 10_000;
/** `last_used_at` is for people: once a minute is enough. */
const TOUCH_INTERVAL_MS = 60_000;

/**
 * Resolves once the operator's key is proven to fit the database.
 * Errors: {@link StartupError} when the database was sealed with another key.
 */
export async function createEnvironments(deps: {
  db: Database;
  keyring: Keyring;
  clock: Clock;
  log: Log;
}): Promise<Environments> {
  const { db, keyring, clock, log } = deps;
  await assertKeyFits(db, keyring);
  const vault = createVault(db, keyring);
  const principals = new LRUCache<string, Principal>({ max: CACHED_KEYS_MAX, ttl: CACHE_TTL_MS });
  const touched = new Map<string, number>();
  let environments: Environment[] | undefined;

  await db.listen('hawser_changed', (payload) => {
    if (payload.startsWith('api_key:')) principals.clear();
  });
  db.onListenState((healthy) => {
    if (!healthy) principals.clear();
  });

  async function list(): Promise<Environment[]> {
    environments ??= await selectEnvironments(db);
    return environments;
  }

  function touch(principal: Extract<Principal, { kind: 'key' }>): void {
    const now = clock.now();
    if (now - (touched.get(principal.keyId) ?? 0) < TOUCH_INTERVAL_MS) return;
    touched.set(principal.keyId, now);
    touchApiKey(db, principal.environment.id, principal.keyId).catch((error: unknown) =>
      log.warn('could not note the use of an API key', { error: errorText(error) }),
    );
  }

  return {
    vault,
    list,
    async byId(id) {
      const found = (await list()).find((environment) => environment.id === id);
      if (found !== undefined) return found;
      environments = undefined; // another node may have added it
      return (await list()).find((environment) => environment.id === id);
    },
    async byName(name) {
      environments = undefined;
      return (await list()).find((environment) => environment.name === name);
    },
    async create(options) {
      const created = await db.transaction(async (tx) => {
        const environment = await insertEnvironment(tx, options);
        if (environment === undefined) throw environmentErrors.fail('conflict');
        await createDataKeys(tx, keyring, environment.id);
        return environment;
      });
      const place = signingKeyPlace(created.id);
      await updateSigningKey(db, created.id, await vault.seal(place, randomSecret()));
      environments = undefined;
      return created;
    },
    async createKey({ environmentId, displayName, scopes = ['environment:*'], secret = randomId() }) {
      const row = await insertApiKey(db, { environmentId, displayName, secretHash: hashOf(secret), scopes });
      if (row === undefined) throw environmentErrors.fail('conflict');
      return { key: toApiKey(row), secret };
    },
    peekKey(secret) {
      const principal = db.listening ? principals.get(secret) : undefined;
      if (principal?.kind === 'key') touch(principal);
      return principal;
    },
    async byKey(secret) {
      if (!isUuidV4(secret)) return undefined;
      const found = await selectApiKey(db, hashOf(secret));
      if (found === undefined) return undefined;
      const principal: Principal = { kind: 'key', ...found };
      principals.set(secret, principal);
      touch(principal);
      return principal;
    },
    async webhookSigningKey(environmentId) {
      const sealed = await selectSigningKey(db, environmentId);
      if (sealed === undefined) throw environmentErrors.fail('sealed', { detail: 'no webhook signing key' });
      return vault.open(signingKeyPlace(environmentId), sealed);
    },
  };
}

/** Keys are compared without regard to case (wire contract A.1). */
function hashOf(secret: string): Buffer {
  return secretHash(secret.toLowerCase());
}

function signingKeyPlace(environmentId: number) {
  return { environmentId, table: 'environment', row: environmentId, column: 'webhook_signing_key_sealed' };
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
