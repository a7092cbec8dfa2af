import { LRUCache } from 'lru-cache';
import { randomId } from '../../base/ids.ts';
import type { Database } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import { runErrors } from './errors.ts';
import type { Variables } from './model.ts';
import { countVariables, deleteVariable, lockVariable, selectVariables, upsertVariable } from './store-state.ts';

/** A change elsewhere is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;
const CACHED_ENVIRONMENTS_MAX = 1_000;
/** Bounds what every script call of `getEnvironmentVariables` carries. */
const VARIABLES_MAX = 500;

type List = { name: string; value: string }[];

/** The app's own values for its functions: sealed at rest, from memory when known. */
export async function createVariables(deps: { db: Database; vault: Vault }): Promise<Variables> {
  const { db, vault } = deps;
  const known = new LRUCache<number, Promise<List>>({ max: CACHED_ENVIRONMENTS_MAX, ttl: CACHE_TTL_MS });
  await db.listen('hawser_changed', (payload) => {
    if (payload.startsWith('environment_variable:')) known.delete(Number(payload.split(':')[1]));
  });
  db.onListenState(() => known.clear());

  async function read(environmentId: number): Promise<List> {
    const rows = await selectVariables(db, environmentId);
    return Promise.all(
      rows.map(async ({ id, name, value_sealed: sealed }) => ({
        name,
        value: await vault.open(placeOf(environmentId, id), sealed),
      })),
    );
  }

  return {
    async list(environmentId) {
      if (!db.listening) return read(environmentId);
      const hit = known.get(environmentId);
      if (hit !== undefined) return hit;
      const reading = read(environmentId);
      known.set(environmentId, reading);
      reading.catch(() => known.delete(environmentId)); // the caller gets the error; it must not stick
      return reading;
    },
    async set(environmentId, name, value) {
      await db.transaction(async (tx) => {
        const fresh = randomId();
        const id = await lockVariable(tx, environmentId, name, fresh);
        if (id === fresh && (await countVariables(tx, environmentId)) >= VARIABLES_MAX) {
          throw runErrors.fail('too_many_variables');
        }
        await upsertVariable(tx, {
          environmentId,
          id,
          name,
          sealed: await vault.seal(placeOf(environmentId, id), value),
        });
      });
      known.delete(environmentId);
    },
    async remove(environmentId, name) {
      const removed = await deleteVariable(db, environmentId, name);
      known.delete(environmentId);
      return removed;
    },
  };
}

function placeOf(environmentId: number, id: string) {
  return { environmentId, table: 'environment_variable', row: id, column: 'value_sealed' };
}
