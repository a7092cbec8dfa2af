import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { isUuidV4, randomId, randomSecret } from '../../base/ids.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Keyring } from '../../platform/keyring/index.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import { environmentErrors } from './errors.ts';
import { createApiKeys, hashOfKey } from './keys-api.ts';
import { createKeyWatch } from './keys-nodes.ts';
import type { Environment, Environments, Principal } from './model.ts';
import {
  insertDataKey,
  insertEnvironment,
  lockSigningKey,
  selectApiKey,
  selectDataKeys,
  selectEnvironments,
  replaceSigningKey,
  selectSigningKeys,
  touchApiKey,
  updateSigningKey,
} from './store.ts';
import { createVault } from './vault.ts';
import { assertKeysFit, createDataKeyReader, newDataKey } from './vault-keys.ts';

/** A key or environment changed elsewhere is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;
/** More keys than any installation has; bounds memory against guessing. */
const CACHED_KEYS_MAX = 10_000;
/** `last_used_at` is for people: once a minute is enough. */
const TOUCH_INTERVAL_MS = 60_000;
/** Between two looks for an environment that another node may have added. */
const UNKNOWN_INTERVAL_MS = 1_000;

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
  const reader = createDataKeyReader(keyring);
  await assertKeysFit(reader, keyring, await selectDataKeys(db));
  const vault = createVault(db, reader);
  const keyWatch = createKeyWatch({ db, keyring, vault, clock, log });
  const apiKeys = createApiKeys(db);
  const principals = new LRUCache<string, Principal>({ max: CACHED_KEYS_MAX, ttl: CACHE_TTL_MS });
  const touched = new Map<string, number>();
  let environments: Environment[] | undefined;
  let lookedAtMs = -Infinity;
  /** Rises with every change: what was read before one is not kept after it. */
  let keyChanges = 0;
  const forgetPrincipals = (): void => {
    keyChanges += 1;
    principals.clear();
  };

  await db.listen('hawser_changed', (payload) => {
    if (payload.startsWith('api_key:')) forgetPrincipals();
    if (payload.startsWith('data_key:')) keyWatch.refresh();
  });
  db.onListenState((healthy) => {
    forgetPrincipals();
    if (healthy) keyWatch.refresh();
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

  async function signingKeys(
    environmentId: number,
    sql: Sql = db,
  ): Promise<{ current: string; previous: string | undefined }> {
    const row = await selectSigningKeys(sql, environmentId);
    if (row === undefined || row.sealed === null) {
      throw environmentErrors.fail('sealed', { detail: 'no webhook signing key' });
    }
    return {
      current: await vault.open(signingKeyPlace(environmentId), row.sealed),
      previous:
        row.previous === null || row.previous_id === null
          ? undefined
          : await vault.open(previousKeyPlace(environmentId, row.previous_id), row.previous),
    };
  }

  return {
    vault,
    apiKeys,
    announce: () => keyWatch.announce(),
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
    async byUuid(uuid) {
      const wanted = uuid.toLowerCase();
      const found = (await list()).find((environment) => environment.uuid === wanted);
      const now = clock.monotonicMs();
      // Strangers may ask for any number of them.
      if (found !== undefined || now - lookedAtMs < UNKNOWN_INTERVAL_MS) return found;
      lookedAtMs = now;
      environments = undefined;
      return (await list()).find((environment) => environment.uuid === wanted);
    },
    async create(options) {
      const created = await db.transaction(async (tx) => {
        const environment = await insertEnvironment(tx, options);
        if (environment === undefined) throw environmentErrors.fail('conflict');
        // A key service is asked inside the transaction: rare, and the id it binds to is not known before.
        for (const purpose of ['seal', 'lookup'] as const) {
          await insertDataKey(tx, await newDataKey(keyring, environment.id, purpose));
        }
        // Not later: another node may use the environment as soon as it is there, and this one may be killed.
        const sealed = await createVault(tx, reader).seal(signingKeyPlace(environment.id), randomSecret());
        await updateSigningKey(tx, environment.id, sealed);
        return environment;
      });
      environments = undefined;
      return created;
    },
    createKey: (options) => apiKeys.create(options),
    peekKey(secret) {
      const principal = db.listening ? principals.get(secret) : undefined;
      if (principal?.kind === 'key') touch(principal);
      return principal;
    },
    async byKey(secret) {
      if (!isUuidV4(secret)) return undefined;
      const before = keyChanges;
      const found = await selectApiKey(db, hashOfKey(secret));
      if (found === undefined) return undefined;
      const principal: Principal = { kind: 'key', ...found };
      if (before === keyChanges) principals.set(secret, principal);
      touch(principal);
      return principal;
    },
    webhookSigningKey: async (environmentId) => (await signingKeys(environmentId)).current,
    webhookSigningKeys: (environmentId) => signingKeys(environmentId),
    async rotateWebhookSigningKey(environmentId, graceMs) {
      // Also opens the environment's keys: the transaction is not to wait for another connection.
      await signingKeys(environmentId);
      const next = randomSecret();
      const previousId = randomId();
      await db.transaction(async (tx) => {
        // Of two at once each caller has been given a key: the first one's becomes the one before.
        await lockSigningKey(tx, environmentId);
        const { current } = await signingKeys(environmentId, tx);
        await replaceSigningKey(tx, environmentId, {
          sealed: await vault.seal(signingKeyPlace(environmentId), next),
          previousId,
          previous: await vault.seal(previousKeyPlace(environmentId, previousId), current),
          previousMs: graceMs,
        });
      });
      return next;
    },
  };
}

function signingKeyPlace(environmentId: number) {
  return { environmentId, table: 'environment', row: environmentId, column: 'webhook_signing_key_sealed' };
}

function previousKeyPlace(environmentId: number, id: string) {
  return { environmentId, table: 'previous_signing_key', row: id, column: 'key_sealed' };
}
