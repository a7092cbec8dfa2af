import { keyedHash, keyIdOf, openBytes, sealBytes } from '../../platform/keyring/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { SealedPlace, Vault } from './model.ts';
import { selectDataKeys } from './store.ts';
import type { DataKeyReader, EnvironmentKeys } from './vault-keys.ts';

export interface KeyedVault extends Vault {
  /**
   * Reads the data keys of every environment in use again. Once it resolves, every seal that begins uses the newest key
   * that was in the database when it was called. Errors: those of the database and `key_service_unavailable`.
   */
  reload(): Promise<void>;
}

/** Opens and seals values with the environment's data keys, which stay in memory once unwrapped. */
export function createVault(db: Database, reader: DataKeyReader): KeyedVault {
  const known = new Map<number, Promise<EnvironmentKeys>>();
  let reloading: Promise<unknown> = Promise.resolve();

  function keysOf(environmentId: number): Promise<EnvironmentKeys> {
    let keys = known.get(environmentId);
    if (keys === undefined) {
      const loading = selectDataKeys(db, environmentId).then((rows) => reader.readAll(rows));
      keys = loading;
      known.set(environmentId, loading);
      loading.catch(() => {
        // The callers get the error; it must not stick.
        if (known.get(environmentId) === loading) known.delete(environmentId);
      });
    }
    return keys;
  }

  async function reload(): Promise<void> {
    const used = [...known.keys()];
    const rows = await selectDataKeys(db);
    for (const environmentId of used) {
      const own = rows.filter((row) => row.environment_id === environmentId);
      if (own.length === 0) known.delete(environmentId);
      else known.set(environmentId, Promise.resolve(await reader.readAll(own)));
    }
  }

  return {
    async seal(place, plaintext) {
      const keys = await keysOf(place.environmentId);
      const key = keys.seal.get(keys.activeId) as Buffer;
      return sealBytes(key, keys.activeId, contextOf(place), Buffer.from(plaintext, 'utf8'));
    },
    async open(place, sealed) {
      const before = keysOf(place.environmentId);
      let keys = await before;
      if (!keys.seal.has(keyIdOf(sealed))) {
        // Somebody may have added a key since we looked; of many readers one looks again.
        if (known.get(place.environmentId) === before) known.delete(place.environmentId);
        keys = await keysOf(place.environmentId);
      }
      return openBytes((id) => keys.seal.get(id), contextOf(place), sealed).toString('utf8');
    },
    async lookupHash(environmentId, secret) {
      return keyedHash((await keysOf(environmentId)).lookup, secret);
    },
    reload() {
      // One after the other: an older reading must not land on top of a newer one.
      const next = reloading.then(reload);
      reloading = next.catch(() => undefined); // the caller gets the error
      return next;
    },
  };
}

/** What a sealed value is bound to. */
export function contextOf(place: SealedPlace): string {
  return `${place.environmentId}|${place.table}|${place.row}|${place.column}`;
}
