import { RETRY_AFTER_MAX_MS, SCHEDULE_MS } from './limits.ts';

/**
 * Wait after the try number `step` (from 1) of the schedule has failed; undefined when it was the last. Spread by 10 %
 * by `seed`, the same for the same try.
 */
export function waitAfter(step: number, seed: number, retryAfterMs: number | undefined): number | undefined {
  const waitMs = SCHEDULE_MS[step];
  if (waitMs === undefined) return undefined;
  const spread = ((seed * 7_919 + step * 104_729) % 2_000) / 10_000 - 0.1;
  return Math.max(Math.round(waitMs * (1 + spread)), Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
}

/** Milliseconds that a `Retry-After` asks for. Undefined: none, or unreadable. Source: RFC 9110 10.2.3. */
export function readRetryAfter(value: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
