/**
 * Live connections in memory: at most 10,000, for at most 60 s, never up to their end, dropped by notification and
 * bypassed while notifications may be missed.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { grantRowOf } from '../connections/index.ts';
import type { LiveConnection } from './model.ts';

const CACHED_MAX = 10_000;
/** Design 5: a change is seen within this time even when a notification was lost. */
const CACHE_TTL_MS = 60_000;

export interface CacheEntry {
  live: LiveConnection;
  /** Monotonic: handed out before that. */
  usableUntilMs: number;
  /** Monotonic: refreshed behind the caller's back from then on. */
  dueAtMs: number;
}

/** Taken before the rows are read; what changes meanwhile is then not cached. */
export interface Reading {
  readonly changes: Set<string>;
}

export interface LiveCache {
  get(environmentId: number, integrationKey: string, connectionId: string): CacheEntry | undefined;
  begin(): Reading;
  /** Ends the reading; keeps the entry unless one of its rows changed since. */
  end(reading: Reading, entry?: CacheEntry): void;
  drop(environmentId: number, connectionRow: number): void;
  close(): Promise<void>;
}

/** A subscription that failed is tried again this much later; until then everything is read from the database. */
const SUBSCRIBE_RETRY_MS = 1_000;

/** Usable at once; keeps nothing until notifications come in. */
export function createLiveCache(deps: { db: Database; clock: Clock; log: Log }): LiveCache {
  const { db, clock, log } = deps;
  const closed = new AbortController();
  let subscribed = false;
  const readings = new Set<Set<string>>();
  /** Row of a connection, or of the grant that it uses → entries that hang on it. */
  const keys = new Map<string, Set<string>>();
  const entries = new LRUCache<string, CacheEntry>({
    max: CACHED_MAX,
    dispose: (entry, key) => {
      for (const row of rowsOf(entry.live)) {
        const held = keys.get(row);
        if (held?.delete(key) === true && held.size === 0) keys.delete(row);
      }
    },
  });

  function changed(table: string, row: string): void {
    if (table === 'integration') {
      for (const reading of readings) reading.add(`integration:${row}`);
      for (const [key, { live }] of entries) {
        if (`${live.integration.environmentId}:${live.integration.id}` === row) entries.delete(key);
      }
    } else if (table === 'connection' || table === 'credential') {
      for (const reading of readings) reading.add(`connection:${row}`);
      for (const key of keys.get(row) ?? []) entries.delete(key);
    }
  }

  async function subscribe(): Promise<(() => Promise<void>) | undefined> {
    while (!closed.signal.aborted) {
      try {
        const stop = await db.listen('hawser_changed', (payload) => {
          const colon = payload.indexOf(':');
          changed(payload.slice(0, colon), payload.slice(colon + 1));
        });
        subscribed = true;
        return stop;
      } catch (error) {
        log.warn('connections are not cached: no notifications of changes', { error: errorText(error) });
      }
      await clock.sleep(SUBSCRIBE_RETRY_MS, closed.signal).catch(() => {
        // Closed while waiting: the loop ends.
      });
    }
    return undefined;
  }

  const listening = subscribe();
  const stopWatching = db.onListenState(() => {
    entries.clear();
    for (const reading of readings) reading.add('*');
  });

  return {
    get(environmentId, integrationKey, connectionId) {
      if (!subscribed || !db.listening) return undefined;
      const key = keyOf(environmentId, integrationKey, connectionId);
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (clock.monotonicMs() < entry.usableUntilMs) return entry;
      entries.delete(key);
      return undefined;
    },
    begin() {
      // What is read before notifications come in may miss a change: never kept.
      const changes = new Set<string>(subscribed && db.listening ? [] : ['*']);
      readings.add(changes);
      return { changes };
    },
    end({ changes }, entry) {
      readings.delete(changes);
      if (entry === undefined || !subscribed || !db.listening || changes.has('*')) return;
      const { live } = entry;
      const rows = rowsOf(live);
      if (rows.some((row) => changes.has(`connection:${row}`))) return;
      if (changes.has(`integration:${live.integration.environmentId}:${live.integration.id}`)) return;
      const key = keyOf(live.connection.environmentId, live.integration.uniqueKey, live.connection.connectionId);
      const usableUntilMs = Math.min(entry.usableUntilMs, clock.monotonicMs() + CACHE_TTL_MS);
      entries.set(key, { ...entry, usableUntilMs });
      for (const row of rows) keys.set(row, (keys.get(row) ?? new Set()).add(key));
    },
    drop: (environmentId, connectionRow) => changed('connection', `${environmentId}:${connectionRow}`),
    async close() {
      closed.abort();
      subscribed = false;
      stopWatching();
      entries.clear();
      await (
        await listening
      )?.();
    },
  };
}

function rowsOf({ connection }: LiveConnection): string[] {
  const ids = new Set([connection.id, grantRowOf(connection)]);
  return [...ids].map((id) => `${connection.environmentId}:${id}`);
}

function keyOf(environmentId: number, integrationKey: string, connectionId: string): string {
  return `${environmentId}\0${integrationKey}\0${connectionId}`;
}
