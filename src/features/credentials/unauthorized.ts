/** Step 12: the provider answered 401 to a stored credential. */
import { LRUCache } from 'lru-cache';
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { grantRowOf } from '../connections/index.ts';
import type { Context } from './context.ts';
import { isDatabaseTrouble } from './exchange.ts';
import { loadByRow, type Loaded } from './load.ts';
import type { LiveConnection } from './model.ts';
import { verifyLive } from './verify-live.ts';

/** One forced refresh per connection in this time, whether it helped or not. */
const FORCED_EVERY_MS = 60_000;
/** An endpoint that always answers 401 must not double the calls to the provider. */
const ASKED_EVERY_MS = 10_000;
/** Connections whose last 401 is remembered. */
const REMEMBERED_MAX = 10_000;

export interface Unauthorized {
  after(live: LiveConnection): Promise<LiveConnection | undefined>;
}

/** `refresh` runs a collapsed, forced refresh of a token the provider refuses. */
export function createUnauthorized(context: Context, refresh: (loaded: Loaded) => Promise<Loaded>): Unauthorized {
  /** Row → generation and database time of its first 401. */
  const refused = new LRUCache<string, { generation: number; atMs: number }>({ max: REMEMBERED_MAX });
  /** Row → monotonic time of the last question to the provider. */
  const asked = new LRUCache<string, number>({ max: REMEMBERED_MAX });

  return {
    async after(live) {
      // The token may be older than what the provider knows: neither a question to it nor a state says anything.
      if (context.isQuarantined()) return undefined;
      const { environmentId, id } = live.connection;
      const loaded = await loadByRow(context, environmentId, id).catch((error: unknown) => {
        if (isHawserError(error, 'unknown_connection', 'unknown_provider_config')) return undefined;
        throw error;
      });
      if (loaded === undefined) return undefined; // deleted meanwhile
      if (loaded.row.gen !== live.generation) return loaded.live;
      const { since_refresh_ms: sinceRefreshMs, since_failure_ms: sinceFailureMs } = loaded.row;
      const isPaced = sinceRefreshMs < FORCED_EVERY_MS || (sinceFailureMs ?? FORCED_EVERY_MS) < FORCED_EVERY_MS;
      if (!loaded.refreshable || isPaced) {
        await judge(loaded);
        return undefined;
      }
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

  /**
   * One 401 may be the endpoint's own rule. The provider's harmless call decides where there is one; elsewhere two 401
   * without a good call between them are the credential. A fresh token of a grant that can be refreshed gets the
   * benefit of that doubt.
   */
  async function judge(loaded: Loaded): Promise<void> {
    const { connection, integration } = loaded.live;
    const key = `${connection.environmentId}:${connection.id}`;
    const now = context.clock.monotonicMs();
    const isAsked = now - (asked.get(key) ?? -ASKED_EVERY_MS) < ASKED_EVERY_MS;
    if (integration.provider.api.verification !== undefined && isAsked) return;
    asked.set(key, now);
    const verdict = await verifyLive(context, loaded.live);
    if (verdict === 'refused') await move(loaded);
    else if (verdict === 'unknown' && !loaded.refreshable) await remember(loaded);
  }

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
    await move(loaded);
  }

  async function move(loaded: Loaded): Promise<void> {
    const { environmentId, id } = loaded.live.connection;
    try {
      const moved = await context.connections.setGrantState(context.db, {
        environmentId,
        grantRow: grantRowOf(loaded.live.connection),
        state: 'needs_reauth',
        reason: 'unauthorized',
        from: ['active', 'expiring', 'not_ready'],
      });
      if (moved.length > 0) {
        context.activity.record({
          environmentId,
          kind: 'state',
          ok: false,
          connectionId: id,
          integration: loaded.live.integration.uniqueKey,
          summary: 'The provider refuses the credential (401): the customer must reconnect',
        });
      }
    } catch (error) {
      if (!isDatabaseTrouble(error)) throw error;
      context.log.warn('could not note that a token is refused', { connection: id, error: errorText(error) });
    }
  }
}
