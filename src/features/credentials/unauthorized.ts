/** Step 12: the provider answered 401 to a stored credential. */
import { LRUCache } from 'lru-cache';
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import type { Context } from './context.ts';
import { isDatabaseTrouble } from './exchange.ts';
import { loadByRow, type Loaded } from './load.ts';
import type { LiveConnection } from './model.ts';

/** One forced refresh per connection in this time, whether it helped or not. */
const FORCED_EVERY_MS = 60_000;
/** Connections whose last 401 is remembered. */
const REMEMBERED_MAX = 10_000;

export interface Unauthorized {
  after(live: LiveConnection): Promise<LiveConnection | undefined>;
}

/** `refresh` runs a collapsed, forced refresh of a token the provider refuses. */
export function createUnauthorized(context: Context, refresh: (loaded: Loaded) => Promise<Loaded>): Unauthorized {
  /** Row → generation and database time of its first 401. */
  const refused = new LRUCache<string, { generation: number; atMs: number }>({ max: REMEMBERED_MAX });

  return {
    async after(live) {
      const { environmentId, id } = live.connection;
      const loaded = await loadByRow(context, environmentId, id).catch((error: unknown) => {
        if (isHawserError(error, 'unknown_connection', 'unknown_provider_config')) return undefined;
        throw error;
      });
      if (loaded === undefined) return undefined; // deleted meanwhile
      if (loaded.row.gen !== live.generation) return loaded.live;
      if (!loaded.refreshable) {
        await remember(loaded);
        return undefined;
      }
      const { since_refresh_ms: sinceRefreshMs, since_failure_ms: sinceFailureMs } = loaded.row;
      if (sinceRefreshMs < FORCED_EVERY_MS || (sinceFailureMs ?? FORCED_EVERY_MS) < FORCED_EVERY_MS) return undefined;
      try {
        const renewed = await refresh(loaded);
        return renewed.row.gen === live.generation ? undefined : renewed.live;
      } catch (error) {
        // The caller gets the provider's own 401; why the refresh failed is in the activity and in the state.
        context.log.warn('a 401 could not be cured by a refresh', { connection: id, error: errorText(error) });
        return undefined;
      }
    },
  };

  /** One 401 may be the endpoint's own rule; two without a good call between them are the credential. */
  async function remember(loaded: Loaded): Promise<void> {
    const { connection, generation } = loaded.live;
    const { environmentId, id, lastGoodCallAt } = connection;
    const key = `${environmentId}:${id}`;
    const first = refused.get(key);
    const goodSince = first !== undefined && lastGoodCallAt !== undefined && lastGoodCallAt.getTime() >= first.atMs;
    if (first?.generation !== generation || goodSince) {
      refused.set(key, { generation, atMs: context.clock.now() });
      return;
    }
    try {
      const moved = await context.connections.setState(context.db, {
        environmentId,
        id,
        state: 'needs_reauth',
        reason: 'unauthorized',
        from: ['active', 'expiring', 'not_ready'],
      });
      if (moved !== undefined) {
        context.activity.record({
          environmentId,
          kind: 'state',
          ok: false,
          connectionId: id,
          integration: loaded.live.integration.uniqueKey,
          summary: 'The provider answers 401 and the token cannot be refreshed: the customer must reconnect',
        });
      }
    } catch (error) {
      if (!isDatabaseTrouble(error)) throw error;
      context.log.warn('could not note that a token is refused', { connection: id, error: errorText(error) });
    }
  }
}
