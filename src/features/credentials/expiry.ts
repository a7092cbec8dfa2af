/** When a token is refreshed and until when it is handed out. Pure. */
import { createHash } from 'node:crypto';

/** Wire contract J.1: refresh margin, at most. */
const WINDOW_MAX_MS = 15 * 60_000;
/** Short-lived tokens would otherwise be refreshed at once after every refresh. */
const WINDOW_SHARE = 0.2;
/** Spreads connections that were made, or refreshed, in the same second. */
const JITTER_SHARE = 0.1;
/** Below this a token may end on its way to the provider: callers wait for the refresh. */
export const HAND_OUT_MARGIN_MS = 30_000;
/** A token that nobody can renew is announced this long before its end. */
export const EXPIRING_MS = 24 * 3_600_000;

/**
 * How long before its end a token is refreshed: `min(15 min, 20 % of its life)` ± 10 %, the same on every node for one
 * generation. Unknown life: 15 min.
 */
export function refreshWindowMs(lifetimeMs: number | undefined, connectionId: number, generation: number): number {
  const share = lifetimeMs === undefined || lifetimeMs <= 0 ? WINDOW_MAX_MS : lifetimeMs * WINDOW_SHARE;
  const digest = createHash('sha256').update(`${connectionId}:${generation}`).digest();
  const jitter = (digest.readUInt32BE(0) / 0xffff_ffff) * 2 - 1;
  return Math.min(WINDOW_MAX_MS, share) * (1 + jitter * JITTER_SHARE);
}

export type Usability =
  /** Has no known end. */
  | 'endless'
  | 'fresh'
  /** Hand it out, refresh it behind the caller's back. */
  | 'due'
  /** Wait for the refresh; hand it out if that fails. */
  | 'closing'
  | 'ended';

export function usabilityOf(leftMs: number | undefined, windowMs: number): Usability {
  if (leftMs === undefined) return 'endless';
  if (leftMs <= 0) return 'ended';
  if (leftMs <= HAND_OUT_MARGIN_MS) return 'closing';
  return leftMs <= windowMs ? 'due' : 'fresh';
}
