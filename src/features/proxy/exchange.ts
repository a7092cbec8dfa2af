/**
 * One proxied call, from the caller's request to the end of the answer. It is its own sink of the upstream's stream and
 * carries no promise per chunk. Its moves:
 *
 *   collecting ─▶ sending      a small body is at hand, or none is needed
 *   sending ─▶ relaying        the head of the answer goes to the caller; the status is final from here
 *   sending ─▶ holding         the head is here, but somebody has to be asked first (401, single-use, empty error)
 *   holding ─▶ relaying        the answer stands
 *   sending, holding ─▶ waiting ─▶ sending     once more: new credential, or the provider said "later"
 *   sending ─▶ orphaned        the caller left a write whose outcome must still be learned
 *   any ─▶ done
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { UpstreamFailure, type StreamHandle, type StreamSink } from '../../platform/upstream/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import type { LiveConnection } from '../credentials/index.ts';
import { recordCall } from './activity.ts';
import { proxyErrors } from './errors.ts';
import { canInflate, createInflater, type Inflater } from './inflate.ts';
import type { ProxyLimits } from './limits.ts';
import type { ProxyDeps, WriteClaim } from './model.ts';
import type { Dispatchable, Preparer } from './prepare.ts';
import type { Call } from './read-call.ts';
import { writeEnvelope, writeFailure } from './refusal.ts';
import { responseHead } from './response-head.ts';
import { waitAfterAnswer, waitAfterFailure, type Attempt } from './retry.ts';
import type { SingleUseWrites } from './single-use.ts';

export interface ExchangeDeps extends ProxyDeps {
  limits: ProxyLimits;
  preparer: Preparer;
  singleUse: SingleUseWrites;
  /** Exchanges that wait for their caller, or have a deadline. */
  watched: Set<Exchange>;
}

export interface ExchangeInput {
  call: Call;
  live: LiveConnection;
  dispatchable: Dispatchable;
  /** This call uses up the grant of its connection. */
  singleUse: boolean;
  request: IncomingMessage;
  response: ServerResponse;
  /** Headers that the shell has set on the reply so far. */
  ownHeaders: Record<string, unknown>;
}

type Phase = 'collecting' | 'sending' | 'holding' | 'relaying' | 'waiting' | 'orphaned' | 'done';

export class Exchange implements StreamSink {
  readonly #deps: ExchangeDeps;
  readonly #call: Call;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #ownHeaders: Record<string, unknown>;
  readonly #isSingleUse: boolean;
  readonly #startedAtMs: number;
  readonly #attempt: Attempt;
  /** The body is small enough to be at hand before anything is sent. */
  readonly #collects: boolean;
  #live: LiveConnection;
  #dispatchable: Dispatchable;
  #phase: Phase = 'collecting';
  #body: Buffer | null = null;
  #claim: WriteClaim | undefined;
  #refreshed = false;
  #handle: StreamHandle | undefined;
  #status = 0;
  #headers: HeaderRecord = {};
  #held: Buffer[] = [];
  #holdsForBody = false;
  #ended = false;
  #failure: UpstreamFailure | undefined;
  #inflater: Inflater | undefined;
  #hasWritten = false;
  #paused = false;
  #listensForDrain = false;
  #wait: AbortController | undefined;
  #progress = -1;
  #progressAtMs = 0;

  constructor(deps: ExchangeDeps, input: ExchangeInput) {
    this.#deps = deps;
    this.#call = input.call;
    this.#live = input.live;
    this.#dispatchable = input.dispatchable;
    this.#isSingleUse = input.singleUse;
    this.#request = input.request;
    this.#response = input.response;
    this.#ownHeaders = input.ownHeaders;
    this.#startedAtMs = deps.clock.monotonicMs();
    const { limits } = deps;
    const { call } = input;
    const keepMax = call.retries > 0 ? limits.retryReplayBytesMax : limits.replayBytesMax;
    const key = input.live.integration.provider.api.idempotencyHeader;
    this.#collects = call.body?.length !== undefined && call.body.length <= keepMax;
    this.#attempt = {
      call,
      made: 0,
      replayable: !input.singleUse && (call.body === undefined || this.#collects),
      hasIdempotencyKey: key !== undefined && call.headers.has(key.toLowerCase()),
      waitMsMax: limits.retryWaitMsMax,
    };
  }

  /** Starts the call. Nothing is thrown: every end is told to the caller. */
  start(): void {
    const { body } = this.#call;
    this.#response.on('close', this.#onClose);
    if (body === undefined) this.#begin();
    else {
      this.#watch();
      if (this.#collects) this.#collect();
      else this.#begin();
    }
  }

  // — the request —

  #collect(): void {
    const chunks: Buffer[] = [];
    this.#request.on('data', (chunk: Buffer) => chunks.push(chunk));
    this.#request.on('end', () => {
      if (this.#phase !== 'collecting') return;
      this.#body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      this.#begin();
    });
  }

  #begin(): void {
    if (!this.#isSingleUse) {
      this.#dispatch();
      return;
    }
    this.#deps.singleUse.claim(this.#live).then(
      (claim) => {
        this.#claim = claim;
        // The caller left before anything was sent.
        if (this.#phase === 'done') void claim.refused();
        else {
          this.#watch();
          this.#dispatch();
        }
      },
      (error: unknown) => this.#refuse(error),
    );
  }

  #dispatch(): void {
    const { limits, upstream } = this.#deps;
    const { target, headers } = this.#dispatchable;
    const streamed = this.#call.body !== undefined && !this.#collects;
    if (streamed && this.#call.body?.length === undefined) this.#countBody();
    this.#phase = 'sending';
    this.#handle = upstream.stream(
      {
        method: this.#call.method,
        url: target.url,
        requestTarget: target.requestTarget,
        headers: streamed && this.#call.body?.length !== undefined ? [...headers, this.#lengthHeader()] : headers,
        body: streamed ? this.#request : this.#body,
        headersTimeoutMs: limits.headersTimeoutMs,
        bodyIdleTimeoutMs: limits.bodyIdleTimeoutMs,
        bodyBytesMax: limits.responseBytesMax,
      },
      this,
    );
  }

  #lengthHeader(): [string, string] {
    return ['content-length', String(this.#call.body?.length)];
  }

  /** The length is unknown until the end, so the bytes are counted as they pass. */
  #countBody(): void {
    const max = this.#deps.limits.requestBytesMax;
    let bytes = 0;
    // Paused first: a listener alone would start the flow before the upstream listens.
    this.#request.pause();
    this.#request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > max && this.#phase === 'sending') this.#giveUp(proxyErrors.fail('request_too_large'));
    });
  }

  // — the answer —

  onHeaders(status: number, headers: HeaderRecord): boolean {
    this.#status = status;
    this.#headers = headers;
    if (this.#phase === 'orphaned') {
      void this.#settleByStatus(status).then(() => this.#finish('client_closed'));
      return false;
    }
    if (this.#phase !== 'sending') return false;
    if (this.#claim !== undefined) {
      this.#hold();
      this.#reportUnauthorized(status);
      void this.#settleByStatus(status).then(() => this.#release());
      return true;
    }
    if (status === 401 && this.#dispatchable.usesCredential) {
      if (this.#attempt.replayable && !this.#refreshed) {
        this.#hold();
        void this.#askForCredential();
        return true;
      }
      this.#reportUnauthorized(status);
    }
    const waitMs = waitAfterAnswer(this.#attempt, {
      status,
      headers,
      spec: this.#live.integration.provider.api.retry,
      nowMs: this.#deps.clock.now(),
    });
    if (waitMs !== undefined) {
      this.#repeatAfter(waitMs);
      return false;
    }
    this.#passHead();
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#phase === 'holding') {
      this.#held.push(chunk);
      if (this.#holdsForBody) this.#relay();
      return false;
    }
    return this.#phase === 'relaying' ? this.#pass(chunk) : true;
  }

  onEnd(): void {
    if (this.#phase === 'holding') {
      this.#ended = true;
      if (this.#holdsForBody) this.#answerEmptyError();
    } else if (this.#phase === 'relaying') this.#passEnd();
  }

  onError(failure: UpstreamFailure): void {
    switch (this.#phase) {
      case 'sending':
        if (this.#claim !== undefined) {
          this.#phase = 'holding';
          void this.#settleByFailure(failure).then(() => this.#fail(failure));
          return;
        }
        this.#onNoAnswer(failure);
        return;
      case 'orphaned':
        void this.#settleByFailure(failure).then(() => this.#finish('client_closed'));
        return;
      case 'holding':
        this.#failure = failure;
        if (this.#holdsForBody) this.#fail(failure);
        return;
      case 'relaying':
        this.#cut(failure.code);
        return;
      case 'collecting':
      case 'waiting':
      case 'done':
        return;
    }
  }

  #onNoAnswer(failure: UpstreamFailure): void {
    const waitMs = waitAfterFailure(this.#attempt, failure);
    if (waitMs === undefined) this.#fail(failure);
    else this.#repeatAfter(waitMs);
  }

  #hold(): void {
    this.#phase = 'holding';
    this.#held = [];
    this.#holdsForBody = false;
    this.#ended = false;
    this.#failure = undefined;
  }

  /** The answer stands as it is held. */
  #release(): void {
    if (this.#phase !== 'holding') return;
    if (this.#failure !== undefined && this.#held.length === 0) this.#fail(this.#failure);
    else this.#passHead();
  }

  /** Passes the head on, at once unless an error without a body is possible: that one gets a body of ours (B.11). */
  #passHead(): void {
    const mayBeEmpty = this.#status >= 400 && this.#call.method !== 'HEAD' && this.#held.length === 0;
    if (!mayBeEmpty || Number(this.#headers['content-length']) > 0) {
      this.#relay();
    } else if (this.#ended) {
      this.#answerEmptyError();
    } else {
      this.#phase = 'holding';
      this.#holdsForBody = true;
      this.#handle?.resume();
    }
  }

  #relay(): void {
    const encoding = this.#headers['content-encoding'];
    const inflates = this.#call.decompress && this.#call.method !== 'HEAD' && canInflate(encoding);
    try {
      this.#response.writeHead(
        this.#status,
        responseHead(this.#status, this.#headers, {
          own: this.#ownHeaders,
          inflated: inflates,
          toBrowser: this.#call.fromBrowser,
        }),
      );
    } catch (cause) {
      // A status that no server may write, such as 999.
      this.#abandon();
      this.#fail(
        new UpstreamFailure('protocol', 'ERR_HTTP_INVALID_HEAD', 'The answer of the provider is not valid HTTP.', {
          cause,
        }),
      );
      return;
    }
    this.#phase = 'relaying';
    if (inflates) this.#inflater = this.#openInflater(encoding);
    const held = this.#held;
    this.#held = [];
    let flowing = true;
    for (const chunk of held) flowing = this.#pass(chunk) && flowing;
    if (this.#failure !== undefined) this.#cut(this.#failure.code);
    else if (this.#ended) this.#passEnd();
    else if (held.length === 0) queueMicrotask(this.#flushHead);
    else if (flowing) queueMicrotask(this.#resume);
  }

  /** A head whose body is slow to come must not wait for it (event streams). */
  readonly #flushHead = (): void => {
    if (this.#phase === 'relaying' && !this.#hasWritten) this.#response.flushHeaders();
  };

  /** Later than the callback that may be running: it pauses the upstream when it returns. */
  readonly #resume = (): void => this.#handle?.resume();

  #pass(chunk: Buffer): boolean {
    if (this.#inflater !== undefined) return this.#inflater.write(chunk);
    return this.#write(chunk);
  }

  #write(chunk: Buffer): boolean {
    this.#hasWritten = true;
    if (this.#response.write(chunk)) return true;
    this.#paused = true;
    this.#watch();
    if (!this.#listensForDrain) {
      this.#listensForDrain = true;
      this.#response.on('drain', this.#onDrain);
    }
    return false;
  }

  readonly #onDrain = (): void => {
    this.#paused = false;
    if (this.#inflater === undefined) this.#handle?.resume();
    else this.#inflater.resume();
  };

  #openInflater(encoding: string): Inflater {
    const inflater = createInflater(encoding, this.#deps.limits, {
      onData: (chunk) => {
        if (this.#phase === 'relaying' && !this.#write(chunk)) inflater.pause();
      },
      onEnd: () => this.#endResponse(),
      onDrain: () => this.#handle?.resume(),
      onError: (code) => {
        if (this.#phase === 'relaying') this.#cut(code);
      },
    });
    return inflater;
  }

  #passEnd(): void {
    if (this.#inflater === undefined) this.#endResponse();
    else this.#inflater.end();
  }

  #endResponse(): void {
    if (this.#phase !== 'relaying') return;
    this.#response.end();
    this.#finish();
  }

  #answerEmptyError(): void {
    const status = this.#status;
    const code = status >= 500 ? 'ERR_BAD_RESPONSE' : 'ERR_BAD_REQUEST';
    const message = `The provider answered ${status} without a body.`;
    const head = responseHead(status, this.#headers, {
      own: this.#ownHeaders,
      inflated: true,
      toBrowser: this.#call.fromBrowser,
    });
    writeFailure(this.#response, head, { message, code, status, method: this.#call.method });
    this.#finish(code);
  }

  // — once more —

  async #askForCredential(): Promise<void> {
    let fresh: LiveConnection | undefined;
    try {
      fresh = await this.#deps.credentials.afterUnauthorized(this.#live);
    } catch (error) {
      this.#deps.log.warn('a refused credential could not be refreshed', this.#logFields(error));
    }
    if (this.#phase !== 'holding') return;
    if (fresh === undefined || !this.#useCredential(fresh)) {
      this.#release();
      return;
    }
    this.#refreshed = true;
    this.#phase = 'waiting';
    this.#abandon();
    this.#dispatch();
  }

  /** Tells the refresh protocol about a 401 that this call cannot repeat; the next call has the new credential. */
  #reportUnauthorized(status: number): void {
    if (status !== 401 || !this.#dispatchable.usesCredential) return;
    this.#deps.credentials.afterUnauthorized(this.#live).catch((error: unknown) => {
      this.#deps.log.warn('a refused credential could not be refreshed', this.#logFields(error));
    });
  }

  /** False: with this connection the call can no longer be made. */
  #useCredential(live: LiveConnection): boolean {
    try {
      this.#dispatchable = this.#deps.preparer.prepare(this.#call, live);
      this.#live = live;
      return true;
    } catch (error) {
      this.#deps.log.warn('a repeated call could not be prepared', this.#logFields(error));
      return false;
    }
  }

  #repeatAfter(waitMs: number): void {
    this.#phase = 'waiting';
    this.#attempt.made += 1;
    this.#wait = new AbortController();
    this.#deps.clock.sleep(waitMs, this.#wait.signal).then(
      () => void this.#repeat(),
      () => {
        // The caller left; the exchange has ended.
      },
    );
  }

  async #repeat(): Promise<void> {
    const { credentials } = this.#deps;
    const { environmentId } = this.#live.connection;
    const { integrationKey, connectionId } = this.#call;
    try {
      const live =
        credentials.peek(environmentId, integrationKey, connectionId) ??
        (await credentials.live(environmentId, integrationKey, connectionId));
      if (this.#phase !== 'waiting') return;
      if (live !== this.#live) {
        this.#dispatchable = this.#deps.preparer.prepare(this.#call, live);
        this.#live = live;
      }
      this.#dispatch();
    } catch (error) {
      this.#refuse(error);
    }
  }

  // — single use —

  #settleByStatus(status: number): Promise<void> {
    const claim = this.#takeClaim();
    if (claim === undefined) return Promise.resolve();
    if (status >= 200 && status < 300) return claim.used();
    // 4xx: refused. Anything else may hide a write that went through.
    return status >= 400 && status < 500 && status !== 408 ? claim.refused() : claim.unknown();
  }

  #settleByFailure(failure: UpstreamFailure): Promise<void> {
    const claim = this.#takeClaim();
    if (claim === undefined) return Promise.resolve();
    return failure.requestSent ? claim.unknown() : claim.refused();
  }

  #takeClaim(): WriteClaim | undefined {
    const claim = this.#claim;
    this.#claim = undefined;
    return claim;
  }

  // — the ends —

  readonly #onClose = (): void => {
    switch (this.#phase) {
      case 'done':
      case 'orphaned':
        return;
      case 'sending':
        if (this.#claim !== undefined) {
          this.#phase = 'orphaned';
          return;
        }
        break;
      case 'waiting':
        this.#wait?.abort();
        break;
      case 'collecting':
      case 'holding':
      case 'relaying':
        break;
    }
    const phase = this.#phase;
    this.#finish('client_closed');
    if (phase !== 'waiting' && phase !== 'collecting') this.#abandon();
  };

  /** Closes the present upstream exchange; the phase makes its last words unheard. */
  #abandon(): void {
    const handle = this.#handle;
    this.#handle = undefined;
    handle?.abort();
  }

  /** No usable answer. */
  #fail(failure: UpstreamFailure): void {
    if (this.#phase === 'done') return;
    if (failure.kind === 'egress_refused') {
      const code = this.#call.baseUrlOverride === undefined ? 'egress_refused' : 'base_url_override_not_allowed';
      const message = failure.cause instanceof HawserError ? failure.cause.message : failure.message;
      this.#refuse(proxyErrors.fail(code, { message, cause: failure }));
      return;
    }
    const { method } = this.#call;
    const head = responseHead(500, {}, { own: this.#ownHeaders, inflated: false, toBrowser: false });
    writeFailure(this.#response, head, { message: failure.message, code: failure.code, status: 500, method });
    this.#status = 500;
    this.#finish(failure.code);
  }

  /** The caller's side broke a limit while the upstream was being called. */
  #giveUp(error: HawserError): void {
    const sent = this.#phase === 'sending';
    const claim = this.#takeClaim();
    this.#refuse(error);
    if (claim !== undefined) void (sent ? claim.unknown() : claim.refused());
    this.#abandon();
  }

  #refuse(error: unknown): void {
    if (this.#phase === 'done') return;
    if (!(error instanceof HawserError)) this.#deps.log.error('a proxied call failed inside', this.#logFields(error));
    const head = responseHead(500, {}, { own: this.#ownHeaders, inflated: false, toBrowser: false });
    this.#status = writeEnvelope(this.#response, head, error);
    this.#finish(error instanceof HawserError ? error.code : 'server_error');
  }

  /** The answer stops in the middle: the caller must not take it for a whole one. */
  #cut(code: string): void {
    const { socket, req } = this.#response;
    this.#finish(code);
    this.#abandon();
    // Before HTTP/1.1 the end of the connection is the end of the body: only a reset says that it broke.
    if (req.httpVersionMinor === 0 && socket !== null && 'resetAndDestroy' in socket) socket.resetAndDestroy();
    this.#response.destroy();
  }

  #finish(code?: string): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    this.#deps.watched.delete(this);
    this.#inflater?.destroy();
    const { connection, integration } = this.#live;
    const { clock, connections, activity } = this.#deps;
    if (code === undefined && this.#status < 400) connections.touchGoodCall(connection.environmentId, connection.id);
    recordCall(activity, {
      connection,
      integration: integration.uniqueKey,
      method: this.#call.method,
      path: this.#dispatchable.target.url.pathname,
      status: this.#status,
      durationMs: clock.monotonicMs() - this.#startedAtMs,
      retries: this.#attempt.made,
      code,
    });
  }

  // — stalled callers —

  #watch(): void {
    if (this.#deps.watched.has(this)) return;
    this.#progress = -1;
    this.#deps.watched.add(this);
  }

  /** Called now and then: ends a call whose caller neither sends nor reads any more, and a write past its deadline. */
  check(nowMs: number): void {
    const { limits } = this.#deps;
    if (this.#claim !== undefined && nowMs - this.#startedAtMs > limits.singleUseWriteMsMax) {
      // The sink hears of it and settles the claim.
      this.#handle?.abort(new Error('the write took too long'));
      return;
    }
    const socket = this.#request.socket;
    const progress = socket.bytesRead + socket.bytesWritten - socket.writableLength;
    if (!this.#waitsForCaller() || progress !== this.#progress) {
      this.#progress = progress;
      this.#progressAtMs = nowMs;
    } else if (nowMs - this.#progressAtMs >= limits.callerIdleTimeoutMs) {
      if (this.#phase === 'relaying') this.#cut('client_stalled');
      else this.#giveUp(proxyErrors.fail('request_timeout'));
    }
  }

  #waitsForCaller(): boolean {
    if (this.#phase === 'relaying') return this.#paused;
    const sends = this.#phase === 'sending' || this.#phase === 'collecting';
    return sends && this.#call.body !== undefined && !this.#request.readableEnded && !this.#request.isPaused();
  }

  #logFields(error: unknown) {
    return {
      error: errorText(error),
      connection: this.#live.connection.id,
      integration: this.#live.integration.uniqueKey,
    };
  }
}
