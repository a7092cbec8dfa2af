/** The buffered exchange: token, verification, revocation and discovery calls. One answer or one failure. */
import type { Dispatcher } from 'undici';
import { failure, toFailure, type FailureKind, type UpstreamFailure } from './failure.ts';
import type { ClientIdentity } from './identity.ts';
import type { HeaderRecord } from './stream.ts';

export interface CallRequest {
  method: string;
  /** Only scheme, host, port, path and query are used. Redirects are not followed. */
  url: URL;
  headers: Record<string, string>;
  body?: string | Buffer;
  /** Over the whole exchange: name, connection, answer. Default 10 s. */
  timeoutMs?: number;
  /** Cap of the answer as sent and after inflating. Default 256 KiB. */
  bodyBytesMax?: number;
  /** True opens a socket of its own, so that an old kept connection cannot fail the call half-way. */
  fresh?: boolean;
  /** TLS client certificate; plain `http:` ignores it. */
  tls?: ClientIdentity;
  signal?: AbortSignal;
  /** Runs right before the first byte is given to the socket. Throwing ends the call with nothing sent. */
  onRequestSent?: () => void;
  /** Runs when the head of the final answer has come, and again at the first bytes of its body. Throwing ends the call. */
  onAnswerStarted?: (part: 'head' | 'body') => void;
}

export interface CallResponse {
  status: number;
  /** Lower-case names. `content-encoding` and `content-length` are gone when the body was inflated. */
  headers: HeaderRecord;
  body: Buffer;
}

/** Longest whole exchange when the caller says nothing: a token endpoint that needs more is down. */
export const CALL_TIMEOUT_MS = 10_000;

/** A token answer is a few KB; this leaves room for key sets and discovery documents. */
export const CALL_BODY_BYTES_MAX = 256 * 1024;

/** First allocation for a body of unknown length; it doubles up to the cap. */
const FIRST_BYTES = 4 * 1024;

/** Interim answers per exchange, see stream.ts. */
const INTERIM_MAX = 16;

/** Collects one answer. `done` runs exactly once. */
export class CallExchange implements Dispatcher.DispatchHandler {
  readonly #pair: string;
  readonly #bytesMax: number;
  readonly #head: boolean;
  readonly #onRequestSent: (() => void) | undefined;
  readonly #onAnswerStarted: CallRequest['onAnswerStarted'];
  readonly #done: (error: unknown, response?: CallResponse) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #phase: 'connect' | 'headers' | 'body' | 'done' = 'connect';
  #sent = false;
  #status = 0;
  #headers: HeaderRecord = {};
  #body = Buffer.alloc(0);
  #bytes = 0;
  #interim = 0;

  constructor(pair: string, request: CallRequest, done: (error: unknown, response?: CallResponse) => void) {
    this.#pair = pair;
    this.#bytesMax = request.bodyBytesMax ?? CALL_BODY_BYTES_MAX;
    this.#head = request.method === 'HEAD';
    this.#onRequestSent = request.onRequestSent;
    this.#onAnswerStarted = request.onAnswerStarted;
    this.#done = done;
  }

  /** The deadline is over: which part was late is told by the failure's kind. */
  expire(): void {
    const kinds: Record<string, FailureKind> = {
      connect: 'timeout_connect',
      headers: 'timeout_headers',
      body: 'timeout_body',
    };
    const kind = kinds[this.#phase];
    if (kind !== undefined) this.fail(this.#failure(kind, 'ETIMEDOUT'));
  }

  abort(cause?: unknown): void {
    this.fail(this.#failure('aborted', 'ABORT_ERR', cause));
  }

  fail(error: unknown): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    this.#controller?.abort(error instanceof Error ? error : new Error('aborted'));
    this.#done(error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'done') {
      controller.abort(this.#failure('aborted', 'ABORT_ERR'));
      return;
    }
    try {
      this.#onRequestSent?.();
    } catch (error) {
      // The hook's own error goes to the caller as it is: it says why the call must not be made.
      this.fail(error);
      return;
    }
    this.#sent = true;
    this.#phase = 'headers';
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#phase !== 'headers') return;
    if (status < 200) {
      this.#interim += 1;
      if (this.#interim > INTERIM_MAX) this.fail(this.#failure('protocol', 'HPE_TOO_MANY_INTERIM'));
      return;
    }
    if (!this.#tell('head')) return;
    this.#phase = 'body';
    this.#status = status;
    this.#headers = headers as HeaderRecord;
    if (this.#head || status === 204 || status === 304) return;
    const announced = Number(headers['content-length'] ?? 0);
    if (announced > this.#bytesMax) this.fail(this.#failure('too_large', 'ERR_BODY_TOO_LARGE'));
    else if (announced > 0) this.#body = Buffer.allocUnsafe(announced);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase !== 'body') return;
    if (this.#bytes === 0 && !this.#tell('body')) return;
    const bytes = this.#bytes + chunk.length;
    if (bytes > this.#bytesMax) {
      this.fail(this.#failure('too_large', 'ERR_BODY_TOO_LARGE'));
      return;
    }
    // Copied, not kept: a chunk of one byte would hold its whole read buffer.
    if (bytes > this.#body.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(FIRST_BYTES, bytes, this.#body.length * 2)));
      this.#body.copy(larger, 0, 0, this.#bytes);
      this.#body = larger;
    }
    chunk.copy(this.#body, this.#bytes);
    this.#bytes = bytes;
  }

  onResponseEnd(): void {
    if (this.#phase !== 'body') return;
    this.#phase = 'done';
    this.#done(undefined, { status: this.#status, headers: this.#headers, body: this.#body.subarray(0, this.#bytes) });
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    const phase = this.#phase === 'done' ? 'body' : this.#phase;
    this.fail(toFailure(error, this.#pair, phase, this.#sent));
  }

  /** False when the hook threw: the call has ended with its error. */
  #tell(part: 'head' | 'body'): boolean {
    try {
      this.#onAnswerStarted?.(part);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  #failure(kind: FailureKind, code: string, cause?: unknown): UpstreamFailure {
    return failure(kind, code, this.#pair, { requestSent: this.#sent, cause });
  }
}

/** Headers in undici's flat form: without `Host` (it would also choose the TLS name), with a user agent. */
export function callHeaders(headers: Record<string, string>, userAgent: string): string[] {
  const flat: string[] = [];
  let hasAgent = false;
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    if (key === 'host') continue;
    if (key === 'user-agent') hasAgent = true;
    flat.push(name, value);
  }
  if (!hasAgent) flat.push('user-agent', userAgent);
  return flat;
}
