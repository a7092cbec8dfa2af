/** One try: a POST, and what came back of it. */
import { errorText } from '../../base/log.ts';
import { UpstreamFailure, type HeaderRecord, type Upstream } from '../../platform/upstream/index.ts';
import type { Clock } from '../../base/clock.ts';
import { ANSWER_BYTES_MAX, ANSWER_KEPT_BYTES, ATTEMPT_TIMEOUT_MS } from './limits.ts';
import { readRetryAfter } from './schedule.ts';

export interface Tried {
  at: Date;
  durationMs: number;
  /** Undefined when there was no answer. */
  status: number | undefined;
  /** Why there was none, without path, query or body. */
  error: string | undefined;
  /** First 4 KB. */
  answer: Buffer;
  /** What the endpoint asks for. */
  retryAfterMs: number | undefined;
}

/** Sends once. Redirects are not followed. Never rejects. */
export async function send(
  deps: { upstream: Upstream; clock: Clock },
  request: { url: URL; headers: Record<string, string>; body: Buffer },
): Promise<Tried> {
  const { upstream, clock } = deps;
  const at = new Date(clock.now());
  const startedMs = clock.monotonicMs();
  const done = new AbortController();
  const answer: Buffer[] = [];
  let kept = 0;
  let head: { status: number; headers: HeaderRecord } | undefined;
  const failure = await new Promise<UpstreamFailure | undefined>((resolve) => {
    const handle = upstream.stream(
      {
        method: 'POST',
        url: request.url,
        headers: request.headers,
        body: request.body,
        headersTimeoutMs: ATTEMPT_TIMEOUT_MS,
        bodyIdleTimeoutMs: ATTEMPT_TIMEOUT_MS,
        bodyBytesMax: ANSWER_BYTES_MAX,
      },
      {
        onHeaders(status, headers) {
          head = { status, headers };
        },
        onData(chunk) {
          if (kept < ANSWER_KEPT_BYTES) answer.push(chunk.subarray(0, ANSWER_KEPT_BYTES - kept));
          kept += chunk.length;
          return true;
        },
        onEnd: () => resolve(undefined),
        onError: resolve,
      },
    );
    clock.sleep(ATTEMPT_TIMEOUT_MS, done.signal).then(
      () => handle.abort(),
      () => undefined, // it ended in time
    );
  });
  done.abort();
  return {
    at,
    durationMs: clock.monotonicMs() - startedMs,
    status: head?.status,
    // The endpoint has spoken: what went wrong after the head of its answer changes nothing.
    error: head === undefined && failure !== undefined ? describe(failure) : undefined,
    answer: Buffer.concat(answer),
    retryAfterMs: readRetryAfter(head?.headers['retry-after'], clock.now()),
  };
}

/** Public: names host and port only. */
function describe(failure: UpstreamFailure): string {
  const { cause } = failure;
  const text = failure.kind === 'egress_refused' && cause instanceof Error ? errorText(cause) : failure.message;
  return `${failure.kind}: ${text}`.slice(0, 500);
}
