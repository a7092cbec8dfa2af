import type { Clock } from '../../base/clock.ts';
import { Recent } from '../../base/recent.ts';

/** Wire contract A.5: fixed windows of 60 s. */
const WINDOW_MS = 60_000;
/** Memory bound against callers that change their address: the longest unseen is forgotten, nobody else. */
const CALLERS_MAX = 100_000;

export interface RateLimit {
  /** Counts a call. Resolves to headers, and `allowed` false when the window is used up. */
  take(caller: string): { allowed: boolean; headers: Record<string, string> };
  /** The next call would not be allowed. Counts nothing. */
  isUsedUp(caller: string): boolean;
}

const UNLIMITED = { allowed: true, headers: {} };

/** A limit per caller and minute; 0 switches it off. */
export function createRateLimit(clock: Clock, perMinute: number): RateLimit {
  const callers = new Recent<string, { window: number; used: number }>(CALLERS_MAX);
  return {
    take(caller) {
      if (perMinute === 0) return UNLIMITED;
      const now = clock.now();
      const window = Math.floor(now / WINDOW_MS);
      let count = callers.get(caller);
      if (count === undefined || count.window !== window) {
        count = { window, used: 0 };
        callers.set(caller, count);
      }
      count.used += 1;
      const resetMs = (window + 1) * WINDOW_MS;
      const allowed = count.used <= perMinute;
      const headers: Record<string, string> = {
        'x-ratelimit-limit': String(perMinute),
        'x-ratelimit-remaining': String(Math.max(0, perMinute - count.used)),
        'x-ratelimit-reset': String(Math.ceil(resetMs / 1_000)),
      };
      if (!allowed) headers['retry-after'] = String(Math.max(1, Math.ceil((resetMs - now) / 1_000)));
      return { allowed, headers };
    },
    isUsedUp(caller) {
      const count = callers.get(caller);
      return perMinute > 0 && count?.window === Math.floor(clock.now() / WINDOW_MS) && count.used >= perMinute;
    },
  };
}
