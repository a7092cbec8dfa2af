/**
 * Rate limits of the fake providers, in each provider's own dialect.
 *
 * `minute-window`: one fixed window per wall-clock minute, told in `X-Ratelimit-*` with an ISO reset date, no
 * `Retry-After`. `retry-after`: one minute from the first call of the window, told only when it is exceeded.
 */
import type { Clock } from '../../src/base/clock.ts';
import type { LimitDialect } from './types.ts';

/** Answer of one {@link Limiter.take}. */
export interface LimitVerdict {
  allowed: boolean;
  /** Headers for the reply, whether it is allowed or not. */
  headers: Record<string, string>;
  /** Seconds until the window ends; only when refused in the `retry-after` dialect. */
  retryAfterSeconds?: number;
}

export interface Limiter {
  /**
   * Counts one call. `key` says who calls (account or grant, as the dialect's scope demands); `endpoint` is method and
   * path, in which ids count as one endpoint. Change `dialect.perMinute` at any call to change the limit.
   */
  take(key: string, dialect: LimitDialect, endpoint: string): LimitVerdict;
}

const WINDOW_MS = 60_000;

/** Windows kept before the finished ones are swept: enough for any test, small in memory. */
const WINDOWS_MAX = 1_000;

/** A path segment that is an id: 16 or more hex digits. */
const ID_SEGMENT = /\/[0-9a-f]{16,}(?=\/|$)/gi;

interface Window {
  startMs: number;
  count: number;
}

/** Creates a limiter that keeps its windows in memory. Source: providers.md 1.10, 2.4, 3.6 "Rate limit". */
export function createLimiter(clock: Clock): Limiter {
  const windows = new Map<string, Window>();

  function windowOf(key: string, dialect: LimitDialect): Window {
    const nowMs = clock.now();
    const known = windows.get(key);
    // A clock that was set back also ends the window, otherwise it could last for hours.
    if (known && nowMs >= known.startMs && nowMs < known.startMs + WINDOW_MS) return known;
    if (windows.size >= WINDOWS_MAX) sweep(nowMs);
    const startMs = dialect.kind === 'minute-window' ? Math.floor(nowMs / WINDOW_MS) * WINDOW_MS : nowMs;
    const fresh = { startMs, count: 0 };
    windows.set(key, fresh);
    return fresh;
  }

  function sweep(nowMs: number): void {
    for (const [key, window] of windows) if (nowMs >= window.startMs + WINDOW_MS) windows.delete(key);
  }

  return {
    take(key, dialect, endpoint): LimitVerdict {
      const counted = dialect.scope === 'account' ? key : `${key} ${endpoint.replace(ID_SEGMENT, '/:id')}`;
      const window = windowOf(`${dialect.kind} ${counted}`, dialect);
      const allowed = window.count < dialect.perMinute;
      if (allowed) window.count += 1;
      const endMs = window.startMs + WINDOW_MS;

      switch (dialect.kind) {
        case 'minute-window':
          return {
            allowed,
            headers: {
              'X-Ratelimit-Limit': String(dialect.perMinute),
              'X-Ratelimit-Remaining': String(Math.max(0, dialect.perMinute - window.count)),
              'X-Ratelimit-Reset': new Date(endMs).toISOString().replace('.000Z', 'Z'),
            },
          };
        case 'retry-after': {
          if (allowed) return { allowed, headers: {} };
          const retryAfterSeconds = Math.max(1, Math.ceil((endMs - clock.now()) / 1_000));
          return { allowed, headers: { 'Retry-After': String(retryAfterSeconds) }, retryAfterSeconds };
        }
      }
    },
  };
}
