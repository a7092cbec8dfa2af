import { describe, expect, it } from 'vitest';
import { capturingLog } from '../../../test/support/build.ts';
import { handClock, turns } from '../../../test/support/evil.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { createLiveCache, type CacheEntry } from './cache.ts';
import type { LiveConnection } from './model.ts';

/** What the cache sees of the database: notifications, and whether they come in. */
function notifications() {
  let handler: ((payload: string) => void) | undefined;
  const watchers = new Set<(healthy: boolean) => void>();
  const state = { listening: true, refusals: 0 };
  const db = {
    get listening() {
      return state.listening;
    },
    async listen(_channel: string, onMessage: (payload: string) => void) {
      if (state.refusals > 0) {
        state.refusals -= 1;
        throw new Error('no session');
      }
      handler = onMessage;
      return async () => {
        handler = undefined;
      };
    },
    onListenState(watcher: (healthy: boolean) => void) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  } as unknown as Database;
  return {
    db,
    state,
    notify: (payload: string) => handler?.(payload),
    turn(healthy: boolean) {
      state.listening = healthy;
      for (const watcher of watchers) watcher(healthy);
    },
  };
}

function entry(id: number, more: Partial<CacheEntry> = {}): CacheEntry {
  const live = {
    connection: { environmentId: 1, id, connectionId: `customer-${id}` },
    integration: { environmentId: 1, id: 7, uniqueKey: 'key' },
    generation: 1,
  } as unknown as LiveConnection;
  return { live, usableUntilMs: Number.POSITIVE_INFINITY, dueAtMs: Number.POSITIVE_INFINITY, ...more };
}

async function filled(count = 1) {
  const clock = handClock();
  const source = notifications();
  const cache = createLiveCache({ db: source.db, clock, log: capturingLog([]) });
  await turns(2);
  for (let id = 1; id <= count; id += 1) cache.end(cache.begin(), entry(id));
  return { clock, source, cache, get: (id = 1) => cache.get(1, 'key', `customer-${id}`) };
}

describe('live connections in memory', () => {
  it('are kept for 60 s at most, and never beyond their own end', async () => {
    const { clock, cache, get } = await filled();
    cache.end(cache.begin(), entry(2, { usableUntilMs: clock.monotonicMs() + 10_000 }));
    clock.advance(9_999);
    expect(get(2)).toBeDefined();
    clock.advance(1);
    expect(get(2)).toBeUndefined();
    clock.advance(49_999);
    expect(get(1)).toBeDefined();
    clock.advance(1);
    expect(get(1)).toBeUndefined();
  });

  it.each(['credential:1:1', 'connection:1:1', 'integration:1:7'])('are dropped by %s', async (payload) => {
    const { source, get } = await filled(2);
    source.notify('credential:2:1');
    source.notify('api_key:1:1');
    source.notify('integration:1:8');
    expect(get()).toBeDefined();
    source.notify(payload);
    expect(get()).toBeUndefined();
    expect(get(2) === undefined).toBe(payload.startsWith('integration'));
  });

  it('are bypassed and forgotten while notifications may be missed', async () => {
    const { source, cache, get } = await filled();
    source.state.listening = false;
    expect(get()).toBeUndefined();
    source.turn(false);
    const during = cache.begin();
    cache.end(during, entry(1));
    source.turn(true);
    expect(get()).toBeUndefined();
    cache.end(cache.begin(), entry(1));
    expect(get()).toBeDefined();
  });

  it('are not kept when a row changed while it was read', async () => {
    const { source, cache, get } = await filled(0);
    for (const payload of ['credential:1:1', 'connection:1:1', 'integration:1:7']) {
      const reading = cache.begin();
      source.notify(payload);
      cache.end(reading, entry(1));
      expect(get()).toBeUndefined();
    }
    const reading = cache.begin();
    source.notify('credential:1:2');
    cache.end(reading, entry(1));
    expect(get()).toBeDefined();
  });

  it('are not kept when the notifications were lost and came back while a row was read', async () => {
    const { source, cache, get } = await filled(0);
    const reading = cache.begin();
    source.turn(false);
    source.turn(true);
    cache.end(reading, entry(1));
    expect(get()).toBeUndefined();
  });

  it('are at most 10,000', async () => {
    const { cache, get } = await filled(10_050);
    expect(get(1)).toBeUndefined();
    expect(get(10_050)).toBeDefined();
    cache.drop(1, 10_050);
    expect(get(10_050)).toBeUndefined();
  });

  it('start once the subscription works', async () => {
    const clock = handClock();
    const source = notifications();
    source.state.refusals = 1;
    const logged: string[] = [];
    const cache = createLiveCache({ db: source.db, clock, log: capturingLog(logged) });
    const early = cache.begin();
    await turns(2);
    cache.end(cache.begin(), entry(1));
    expect(cache.get(1, 'key', 'customer-1')).toBeUndefined();
    expect(logged.join()).toContain('not cached');
    clock.advance(1_000);
    await turns(2);
    cache.end(early, entry(1));
    expect(cache.get(1, 'key', 'customer-1')).toBeUndefined();
    cache.end(cache.begin(), entry(1));
    expect(cache.get(1, 'key', 'customer-1')).toBeDefined();
    await cache.close();
    expect(cache.get(1, 'key', 'customer-1')).toBeUndefined();
  });
});
