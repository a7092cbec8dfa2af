/** What an answer that is no success says about the refresh token. Pure. */
import type { Rotation } from '../../../catalogue/_spec/index.ts';
import type { TokenAnswer } from '../../protocols/oauth2/index.ts';

type Refusal = Extract<TokenAnswer, { ok: false }>;

/**
 * True when the provider may have issued new tokens before it failed: a gateway error, or a 2xx that cannot be read. A
 * 503, a 429 and every 4xx say that it did not.
 */
export function isDoubtful(refusal: Refusal): boolean {
  if (refusal.kind === 'provider_down') return refusal.status >= 500 && refusal.status !== 503;
  return refusal.kind === 'malformed' && refusal.status >= 200 && refusal.status < 300;
}

/** True when the same refresh token must never be sent twice without need. */
export function isExclusive(rotation: Rotation): boolean {
  return rotation.kind === 'strict' || rotation.kind === 'unknown';
}

/** Times the same token is sent again at once after a lost answer (step 9). */
export const RESENDS_MAX = 3;
/** How long a caller's patience allows it where the provider sets no grace. */
const RESEND_WINDOW_MS = 15_000;

/**
 * For how long after the first send the same token may be sent again at once; 0: not at all. A provider that never
 * rotates loses nothing by an answered failure, so only a lost answer is repeated there.
 */
export function resendWindowMs(rotation: Rotation, lost: boolean): number {
  switch (rotation.kind) {
    case 'none':
      return lost ? RESEND_WINDOW_MS : 0;
    case 'overlap':
      return Math.min(RESEND_WINDOW_MS, (rotation.graceSeconds * 1_000) / 2);
    case 'strict':
    case 'unknown':
      return 0;
  }
}
