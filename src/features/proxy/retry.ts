/** When a call is sent again (wire contract J.3), and when it must not be. Pure. */
import type { RetrySpec } from '../../../catalogue/_spec/index.ts';
import type { UpstreamFailure } from '../../platform/upstream/index.ts';
import { backoffMs, retryableCodes, retryDelayMs, type HeaderRecord } from '../../protocols/http.ts';
import type { LiveConnection } from '../credentials/index.ts';
import type { Call } from './read-call.ts';

export interface Attempt {
  call: Call;
  /** Retries made so far. */
  made: number;
  /** The whole body is at hand and the call may be repeated at all. */
  replayable: boolean;
  /** The caller sent the header that makes the provider recognise a repetition. */
  hasIdempotencyKey: boolean;
  /** Longest wait a sleeping request is kept for. */
  waitMsMax: number;
}

/** True when the caller sent the header that makes this provider recognise a repetition. */
export function hasIdempotencyKey(call: Call, live: LiveConnection): boolean {
  const name = live.integration.provider.api.idempotencyHeader?.toLowerCase();
  return name !== undefined && call.headers.has(name);
}

/** Methods whose repetition changes nothing. Source: RFC 9110 9.2.2. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);

function isRepeatable(attempt: Attempt): boolean {
  return idempotentMethods.has(attempt.call.method) || attempt.hasIdempotencyKey;
}

function mayRetry(attempt: Attempt): boolean {
  return attempt.replayable && attempt.made < attempt.call.retries;
}

/** Statuses of a provider that has too much to do. */
export const saysLater = (status: number): boolean => status === 429 || status >= 500;

/** Milliseconds to wait before sending again after a failure without an answer; undefined: give it to the caller. */
export function waitAfterFailure(attempt: Attempt, failure: UpstreamFailure): number | undefined {
  if (!mayRetry(attempt) || !retryableCodes.has(failure.code)) return undefined;
  // A POST that may have arrived is not repeated: it could pay twice.
  if (failure.requestSent && !isRepeatable(attempt)) return undefined;
  return backoffMs(attempt.made);
}

/** The same after an answer. Undefined: the answer is final. */
export function waitAfterAnswer(
  attempt: Attempt,
  answer: { status: number; headers: Readonly<HeaderRecord>; spec: RetrySpec | undefined; nowMs: number },
): number | undefined {
  const { status, headers, spec } = answer;
  // A good answer with "0 calls left" is still a good answer.
  if (status < 400 || !mayRetry(attempt)) return undefined;
  const asked = attempt.call.retryOn.includes(status);
  // A 401 repeats itself until the credential changes; that path is not a matter of waiting.
  if (status === 401 && !asked) return undefined;
  if (!asked && !isRepeatable(attempt) && !saysNotProcessed(status, headers)) return undefined;
  const waitMs = retryDelayMs({
    status,
    headers,
    spec,
    caller: { on: attempt.call.retryOn },
    nowMs: answer.nowMs,
    attempt: attempt.made,
  });
  return waitMs === undefined || waitMs > attempt.waitMsMax ? undefined : waitMs;
}

/** 429 always; 503 only with a time to come back: gateways also send a bare 503 after the request went through. */
function saysNotProcessed(status: number, headers: Readonly<HeaderRecord>): boolean {
  return status === 429 || (status === 503 && headers['retry-after'] !== undefined);
}
