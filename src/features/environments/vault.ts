import { randomBytes } from 'node:crypto';
import { StartupError } from '../../base/errors.ts';
import { KEY_BYTES, keyedHash, keyIdOf, openBytes, sealBytes, type Keyring } from '../../platform/keyring/index.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { SealedPlace, Vault } from './model.ts';
import { insertDataKey, selectDataKeys, type DataKeyRow } from './store.ts';

interface EnvironmentKeys {
  /** Newest last; the last one seals. */
  seal: Map<string, Buffer>;
  activeId: string;
  lookup: Buffer;
}

/** Creates the data keys of a new environment. Runs in the transaction that creates it. */
export async function createDataKeys(tx: Sql, keyring: Keyring, environmentId: number): Promise<void> {
  for (const purpose of ['seal', 'lookup'] as const) {
    const id = `${purpose}_${randomBytes(6).toString('hex')}`;
    const wrapped = keyring.wrap(randomBytes(KEY_BYTES), wrapContext(environmentId, id));
    await insertDataKey(tx, { environment_id: environmentId, id, purpose, kek_id: keyring.activeId, wrapped });
  }
}

/** Refuses to start when the database was sealed with another key. Nothing is written. */
export async function assertKeyFits(sql: Sql, keyring: Keyring): Promise<void> {
  for (const row of await selectDataKeys(sql)) {
    if (!keyring.has(row.kek_id)) {
      throw new StartupError(
        `The database is sealed with encryption key ${row.kek_id}, but this start has ${keyring.activeId}.`,
        'Set HAWSER_ENCRYPTION_KEY to the key this database was created with. Nothing was changed.',
      );
    }
    keyring.unwrap(row.kek_id, row.wrapped, wrapContext(row.environment_id, row.id));
  }
}

/** Opens and seals values with the environment's data keys, which stay in memory once unwrapped. */
export function createVault(db: Database, keyring: Keyring): Vault {
  const known = new Map<number, Promise<EnvironmentKeys>>();

  function keysOf(environmentId: number): Promise<EnvironmentKeys> {
    let keys = known.get(environmentId);
    if (keys === undefined) {
      keys = load(db, keyring, environmentId);
      known.set(environmentId, keys);
      keys.catch(() => known.delete(environmentId)); // a failed load must not stick
    }
    return keys;
  }

  return {
    async seal(place, plaintext) {
      const keys = await keysOf(place.environmentId);
      const key = keys.seal.get(keys.activeId) as Buffer;
      return sealBytes(key, keys.activeId, contextOf(place), Buffer.from(plaintext, 'utf8'));
    },
    async open(place, sealed) {
      let keys = await keysOf(place.environmentId);
      if (!keys.seal.has(keyIdOf(sealed))) {
        // Another node may have added a key since we looked.
        known.delete(place.environmentId);
        keys = await keysOf(place.environmentId);
      }
      return openBytes((id) => keys.seal.get(id), contextOf(place), sealed).toString('utf8');
    },
    async lookupHash(environmentId, secret) {
      return keyedHash((await keysOf(environmentId)).lookup, secret);
    },
  };
}

async function load(db: Database, keyring: Keyring, environmentId: number): Promise<EnvironmentKeys> {
  const open = (row: DataKeyRow): Buffer =>
    keyring.unwrap(row.kek_id, row.wrapped, wrapContext(row.environment_id, row.id));
  const rows = await selectDataKeys(db, environmentId);
  const seal = new Map(rows.filter((row) => row.purpose === 'seal').map((row) => [row.id, open(row)]));
  const lookup = rows.find((row) => row.purpose === 'lookup');
  const activeId = [...seal.keys()].at(-1);
  if (lookup === undefined || activeId === undefined) throw new Error('environment without data keys');
  return { seal, activeId, lookup: open(lookup) };
}

function contextOf(place: SealedPlace): string {
  return `${place.environmentId}|${place.table}|${place.row}|${place.column}`;
}

function wrapContext(environmentId: number, keyId: string): string {
  return `data_key|${environmentId}|${keyId}`;
}
