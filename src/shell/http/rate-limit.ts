import type { Clock } from '../../base/clock.ts';

/** Wire contract A.5: fixed windows of 60 s. */
const WINDOW_MS = 60_000;
/** Memory bound against callers that change their address. */
const CALLERS_MAX = 100_000;

export interface RateLimit {
  /** Counts a call. Resolves to headers, and `allowed` false when the window is used up. */
  take(caller: string): { allowed: boolean; headers: Record<string, string> };
}

/** A limit per caller and minute; 0 switches it off. */
export function createRateLimit(clock: Clock, perMinute: number): RateLimit {
  let window = 0;
  let counts = new Map<string, number>();
  return {
    take(caller) {
      if (perMinute === 0) return { allowed: true, headers: {} };
      const now = clock.now();
      const current = Math.floor(now / WINDOW_MS);
      if (current !== window || counts.size > CALLERS_MAX) {
        window = current;
        counts = new Map();
      }
      const used = (counts.get(caller) ?? 0) + 1;
      counts.set(caller, used);
      const resetMs = (current + 1) * WINDOW_MS;
      const allowed = used <= perMinute;
      const headers: Record<string, string> = {
        'x-ratelimit-limit': String(perMinute),
        'x-ratelimit-remaining': String(Math.max(0, perMinute - used)),
        'x-ratelimit-reset': String(Math.ceil(resetMs / 1_000)),
      };
      if (!allowed) headers['retry-after'] = String(Math.max(1, Math.ceil((resetMs - now) / 1_000)));
      return { allowed, headers };
    },
  };
}
