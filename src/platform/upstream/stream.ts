/**
 * The streamed exchange of the proxy: one object per request, called directly by the connection that carries it. No
 * promise, no timer and no allocation of ours per chunk (half the time of the same call through undici).
 */
import type { Readable } from 'node:stream';
import type { Target } from './egress.ts';
import { failure, type FailureKind, type Phase, type UpstreamFailure } from './failure.ts';
import type { ClientIdentity } from './identity.ts';
import type { Line } from './line.ts';
import type { Lines } from './lines.ts';
import { RequestBody, type BodyEvents } from './request-body.ts';
import { endHead, type RequestHead } from './request-head.ts';

export type HeaderRecord = Record<string, string | string[]>;

export interface StreamRequest {
  method: string;
  /** Only scheme, host, port, path and query are used. */
  url: URL;
  /** Path and query to send instead of the URL's: `URL` rewrites some bytes of a query. Begins with `/`. */
  requestTarget?: string;
  /** `Host` is taken from the URL whatever stands here. Hop-by-hop headers must be gone (protocols/http.ts). */
  headers: readonly (readonly [string, string])[] | Record<string, string | string[]>;
  body?: Readable | Buffer | null;
  /** Longest wait for a free connection, and then again for the complete head of the answer. 0: no limit. */
  headersTimeoutMs: number;
  /** Longest silence within the body while the sink is not pausing. 0: no limit. */
  bodyIdleTimeoutMs: number;
  /** Bytes of the body as sent by the upstream. Default 100 MiB. */
  bodyBytesMax?: number;
  signal?: AbortSignal;
  /** TLS client certificate; plain `http:` ignores it. */
  tls?: ClientIdentity | undefined;
}

/**
 * Receives the answer. After `onHeaders` returned true (or nothing) exactly one of `onEnd` and `onError` follows; before
 * it, only `onError` may. After `onHeaders` returned false nothing follows.
 */
export interface StreamSink {
  /** False: the body is not wanted (the caller is going to retry). */
  onHeaders(status: number, headers: HeaderRecord, statusText: string): boolean | void;
  /**
   * False pauses the upstream until `resume()`. What was read before, at most one socket buffer, still comes. The chunk
   * may be kept.
   */
  onData(chunk: Buffer): boolean;
  onEnd(trailers?: HeaderRecord): void;
  onError(error: UpstreamFailure): void;
}

export interface StreamHandle {
  /** Lets a paused upstream go on. */
  resume(): void;
  /** Ends the exchange and closes its socket; the sink gets `onError` with kind `aborted`. */
  abort(reason?: Error): void;
}

/** Default cap of a streamed body: past this a caller should fetch from the provider directly. */
export const STREAM_BODY_BYTES_MAX = 100 * 1024 * 1024;

/** An unwanted body up to this size is read away to keep its connection; a larger one costs more than a new connection. */
const DRAIN_BYTES_MAX = 64 * 1024;

/** Interim answers (RFC 9110 15.2) per exchange: an endless row must end. */
const INTERIM_MAX = 16;

type State = 'queued' | 'started' | 'body' | 'draining' | 'done';

export interface ExchangeSetup {
  /** `host:port` for messages. */
  pair: string;
  request: StreamRequest;
  head: RequestHead;
  sink: StreamSink;
  nowMs(): number;
  /** Runs once, when the exchange is over in any way. */
  onSettled(exchange: StreamExchange): void;
}

export class StreamExchange implements StreamHandle, BodyEvents {
  readonly #setup: ExchangeSetup;
  readonly #bytesMax: number;
  /** The request asks for a head only. */
  readonly isHead: boolean;
  readonly body: RequestBody | Buffer | null;
  #state: State = 'queued';
  #line: Line | undefined;
  #sinceMs: number;
  #seen = 0;
  #bytes = 0;
  #paused = false;
  #interim = 0;
  #starting = false;

  constructor(setup: ExchangeSetup) {
    const { request, head } = setup;
    this.#setup = setup;
    this.#bytesMax = request.bodyBytesMax ?? STREAM_BODY_BYTES_MAX;
    this.isHead = request.method === 'HEAD';
    this.#sinceMs = setup.nowMs();
    const body = request.body ?? null;
    this.body = body === null || Buffer.isBuffer(body) ? body : new RequestBody(body, head.announcedBytes, this);
  }

  /** Hands the request to the connections of its origin. A failure on the way in is told after the caller has its handle. */
  start(lines: Lines, target: Target): void {
    const { signal } = this.#setup.request;
    this.#starting = true;
    if (signal?.aborted === true) this.#onAbortSignal();
    else {
      signal?.addEventListener('abort', this.#onAbortSignal, { once: true });
      lines.take(target, this);
    }
    this.#starting = false;
  }

  /** True until it is sent or given up. */
  get isWaiting(): boolean {
    return this.#state === 'queued';
  }

  /** Nothing of the request is left to send. */
  get hasSentAll(): boolean {
    return this.body === null || Buffer.isBuffer(this.body) || this.body.isSent;
  }

  get phase(): Phase {
    return this.#state === 'queued' ? 'connect' : this.#state === 'started' ? 'headers' : 'body';
  }

  /** Looked at now and then: ends what has been silent for too long. */
  check(nowMs: number): void {
    const { headersTimeoutMs, bodyIdleTimeoutMs } = this.#setup.request;
    const seen = this.#progress();
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#sinceMs = nowMs;
    }
    const limitMs = this.phase === 'body' ? bodyIdleTimeoutMs : headersTimeoutMs;
    if (limitMs === 0 || nowMs - this.#sinceMs < limitMs) return;
    const kinds = { connect: 'timeout_connect', headers: 'timeout_headers', body: 'timeout_body' } as const;
    this.fail(this.#failure(kinds[this.phase], 'ETIMEDOUT'));
  }

  /** Changes whenever something has moved, or when it is not the upstream that is waited for. */
  #progress(): number {
    if (this.#state === 'body') return this.#paused ? this.#seen + 1 : this.#bytes;
    if (this.#state !== 'started' || this.hasSentAll) return this.#seen;
    const body = this.body as RequestBody;
    return body.waitsForSource ? this.#seen + 1 : body.bytes;
  }

  resume(): void {
    this.#paused = false;
    this.#line?.resume();
  }

  abort(reason?: Error): void {
    this.fail(this.#failure('aborted', 'ABORT_ERR', reason));
  }

  /** Ends the exchange with this failure, once. A request that still waits is dropped when its turn comes. */
  fail(error: UpstreamFailure): void {
    const before = this.#state;
    if (before === 'done') return;
    if (before === 'queued' && this.body instanceof RequestBody) this.body.release();
    const line = this.#line;
    this.#settle();
    line?.close();
    if (before === 'draining') return;
    const { sink } = this.#setup;
    if (this.#starting) queueMicrotask(() => sink.onError(error));
    else sink.onError(error);
  }

  /** It is this request's turn. Returns its head. */
  onLine(line: Line): string {
    const { head, request } = this.#setup;
    this.#line = line;
    this.#state = 'started';
    this.#sinceMs = this.#setup.nowMs();
    const bytes = this.body === null ? 0 : Buffer.isBuffer(this.body) ? this.body.length : this.body.announcedBytes;
    return endHead(head, request.method, bytes);
  }

  onInterim(): void {
    this.#interim += 1;
    if (this.#interim > INTERIM_MAX) this.fail(this.#failure('protocol', 'HPE_TOO_MANY_INTERIM'));
  }

  onHead(status: number, headers: HeaderRecord, reason: string, bodyBytes: number | undefined): void {
    const announced = bodyBytes ?? 0;
    if (announced > this.#bytesMax) {
      this.fail(this.#failure('too_large', 'ERR_BODY_TOO_LARGE'));
      return;
    }
    this.#state = 'body';
    this.#sinceMs = this.#setup.nowMs();
    if (this.#setup.sink.onHeaders(status, headers, plainText(reason)) !== false) return;
    // The sink may have aborted from inside its callback.
    if ((this.#state as State) === 'done') return;
    this.#state = 'draining';
    if (announced > DRAIN_BYTES_MAX) this.fail(this.#failure('aborted', 'ABORT_ERR'));
  }

  onBody(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#state === 'body') {
      if (this.#bytes > this.#bytesMax) this.fail(this.#failure('too_large', 'ERR_BODY_TOO_LARGE'));
      else if (!this.#setup.sink.onData(chunk)) {
        this.#paused = true;
        this.#line?.pause();
      }
    } else if (this.#state === 'draining' && this.#bytes > DRAIN_BYTES_MAX) {
      this.fail(this.#failure('aborted', 'ABORT_ERR'));
    }
  }

  onComplete(trailers: HeaderRecord): void {
    const before = this.#state;
    if (before === 'done') return;
    this.#settle();
    if (before === 'draining') return;
    const { sink } = this.#setup;
    try {
      sink.onEnd(trailers);
    } catch (cause) {
      // Nobody else would tell the sink, and it would wait for ever.
      sink.onError(failure('aborted', 'ABORT_ERR', this.#setup.pair, { requestSent: true, cause }));
    }
  }

  onLost(cause: Error | undefined): void {
    this.abort(cause);
  }

  onMismatch(): void {
    this.fail(this.#failure('protocol', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'));
  }

  readonly #onAbortSignal = (): void => {
    const reason: unknown = this.#setup.request.signal?.reason;
    this.abort(reason instanceof Error ? reason : undefined);
  };

  #settle(): void {
    this.#state = 'done';
    this.#line = undefined;
    if (this.body instanceof RequestBody) this.body.stop();
    this.#setup.request.signal?.removeEventListener('abort', this.#onAbortSignal);
    this.#setup.onSettled(this);
  }

  #failure(kind: FailureKind, code: string, cause?: unknown): UpstreamFailure {
    return failure(kind, code, this.#setup.pair, { requestSent: this.#state !== 'queued', cause });
  }
}

/** A reason phrase that a server may write again, else nothing. */
function plainText(reason: string): string {
  return reason.length <= 128 && /^[\t\x20-\x7e]*$/.test(reason) ? reason : '';
}
