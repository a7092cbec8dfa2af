/** What is done with a caller's body before anything is sent. Pure. */
import type { ProxyLimits } from './limits.ts';
import type { Dispatchable } from './prepare.ts';
import type { Call } from './read-call.ts';

export interface BodyPlan {
  /** It is small enough to be at hand before anything is sent. */
  collects: boolean;
  /** The signature covers a body that is too large, or of unknown length. */
  isUnsignable: boolean;
}

/** Small bodies are kept for a repetition, larger ones only when a signature covers them. */
export function planBody(call: Call, { signer }: Dispatchable, limits: ProxyLimits): BodyPlan {
  if (call.body === undefined) return { collects: false, isUnsignable: false };
  const replayMax = call.retries > 0 ? limits.retryReplayBytesMax : limits.replayBytesMax;
  const signsBody = signer?.needsBody(call.headers.get('content-type') ?? '') === true;
  const keepMax = signsBody ? Math.max(replayMax, limits.signedBodyBytesMax) : replayMax;
  const collects = call.body.length !== undefined && call.body.length <= keepMax;
  return { collects, isUnsignable: signsBody && !collects };
}
