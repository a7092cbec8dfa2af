import {
  contentHashes,
  keyedHash,
  keyIdOf,
  openBytes,
  openMany,
  sealBytes,
  sealMany,
  type ManyContexts,
} from '../../platform/keyring/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { SealedColumnPlace, SealedPlace, Vault } from './model.ts';
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
export function createVault(sql: Sql, reader: DataKeyReader): KeyedVault {
  const known = new Map<number, Promise<EnvironmentKeys>>();
  let reloading: Promise<unknown> = Promise.resolve();

  function keysOf(environmentId: number): Promise<EnvironmentKeys> {
    let keys = known.get(environmentId);
    if (keys === undefined) {
      const loading = selectDataKeys(sql, environmentId).then((rows) => reader.readAll(rows));
      keys = loading;
      known.set(environmentId, loading);
      loading.catch(() => {
        // The callers get the error; it must not stick.
        if (known.get(environmentId) === loading) known.delete(environmentId);
      });
    }
    return keys;
  }

  /** The keys, read again once when one of those that sealed `values` is not among them. */
  async function keysFor(environmentId: number, values: Iterable<Buffer>): Promise<EnvironmentKeys> {
    const before = keysOf(environmentId);
    const keys = await before;
    for (const sealed of values) {
      if (keys.seal.has(keyIdOf(sealed))) continue;
      // Somebody may have added a key since we looked; of many readers one looks again.
      if (known.get(environmentId) === before) known.delete(environmentId);
      return keysOf(environmentId);
    }
    return keys;
  }

  async function reload(): Promise<void> {
    const used = [...known.keys()];
    const rows = await selectDataKeys(sql);
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
      const keys = await keysFor(place.environmentId, [sealed]);
      return openBytes((id) => keys.seal.get(id), contextOf(place), sealed).toString('utf8');
    },
    async lookupHash(environmentId, secret) {
      return keyedHash((await keysOf(environmentId)).lookup, secret);
    },
    async sealMany(column, values) {
      const keys = await keysOf(column.environmentId);
      const key = keys.seal.get(keys.activeId) as Buffer;
      return sealMany(
        key,
        keys.activeId,
        contextsOf(column, values),
        values.map(({ plaintext }) => plaintext),
      );
    },
    async openMany(column, values) {
      const keys = await keysFor(
        column.environmentId,
        values.map(({ sealed }) => sealed),
      );
      return openMany(
        (id) => keys.seal.get(id),
        contextsOf(column, values),
        values.map(({ sealed }) => sealed),
      );
    },
    async contentHashes(environmentId, texts) {
      return contentHashes((await keysOf(environmentId)).lookup, texts);
    },
    reload() {
      // One after the other: an older reading must not land on top of a newer one.
      const next = reloading.then(reload);
      reloading = next.catch(() => undefined); // the caller gets the error
      return next;
    },
  };
}

/** As {@link contextOf}, around the row. */
function contextsOf(
  { environmentId, table, column }: SealedColumnPlace,
  values: readonly { row: string }[],
): ManyContexts {
  return { before: `${environmentId}|${table}|`, rows: values.map(({ row }) => row), after: `|${column}` };
}

/** What a sealed value is bound to. */
export function contextOf(place: SealedPlace): string {
  return `${place.environmentId}|${place.table}|${place.row}|${place.column}`;
}
