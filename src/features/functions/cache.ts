import { LRUCache } from 'lru-cache';
import type { Database } from '../../platform/postgres/index.ts';
import { CODE_CACHE_BYTES_MAX } from './limits.ts';
import type { DeployedFunction } from './model.ts';

/** A change elsewhere is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;
const CACHED_MAX = 10_000;

type Code = { js: string; ts: string };

export interface FunctionCache {
  find(key: string, load: () => Promise<DeployedFunction | undefined>): Promise<DeployedFunction | undefined>;
  code(key: string, load: () => Promise<Code>): Promise<Code>;
  clear(): void;
}

/** Functions and bundles in memory, as long as changes are heard of. What is named by its hash never changes. */
export async function createFunctionCache(db: Database): Promise<FunctionCache> {
  const known = new LRUCache<string, DeployedFunction>({ max: CACHED_MAX, ttl: CACHE_TTL_MS });
  const bundles = new LRUCache<string, Code>({
    maxSize: CODE_CACHE_BYTES_MAX,
    sizeCalculation: ({ js, ts }) => 2 * (js.length + ts.length) + 1,
  });
  // What was read before a change was heard of must not be kept after it.
  let generation = 0;
  const clear = (): void => {
    generation += 1;
    known.clear();
  };
  await db.listen('hawser_changed', (payload) => {
    if (payload.startsWith('function:')) clear();
  });
  db.onListenState(clear);

  return {
    clear,
    async find(key, load) {
      const hit = db.listening ? known.get(key) : undefined;
      if (hit !== undefined) return hit;
      const before = generation;
      const found = await load();
      if (found !== undefined && before === generation && db.listening) known.set(key, found);
      return found;
    },
    async code(key, load) {
      const hit = bundles.get(key);
      if (hit !== undefined) return hit;
      const found = await load();
      bundles.set(key, found);
      return found;
    },
  };
}
