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
import type { IncomingMessage } from 'node:http';
import { HawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { UpstreamFailure, type StreamHandle, type StreamSink } from '../../platform/upstream/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import type { LiveConnection } from '../credentials/index.ts';
import { planBody, type BodyPlan } from './body-plan.ts';
import { collectBody, countBody, StallMeter } from './caller-body.ts';
import { proxyErrors } from './errors.ts';
import type { ExchangeDeps, ExchangeInput } from './exchange-input.ts';
import type { WriteClaim } from './model.ts';
import type { Dispatchable } from './prepare.ts';
import type { Call } from './read-call.ts';
import { RefusalTap } from './refusal-tap.ts';
import { Reply, type ReplyEvents } from './reply.ts';
import { saysLater, waitAfterAnswer, waitAfterFailure, type Attempt } from './retry.ts';
import type { Repetition } from './retry-gate.ts';
import { signedHeaders } from './signed-headers.ts';

type Phase = 'collecting' | 'sending' | 'holding' | 'relaying' | 'waiting' | 'orphaned' | 'done';

export class Exchange implements StreamSink, ReplyEvents {
  readonly #deps: ExchangeDeps;
  readonly #call: Call;
  readonly #request: IncomingMessage;
  readonly #reply: Reply;
  readonly #isSingleUse: boolean;
  readonly #startedAtMs: number;
  readonly #attempt: Attempt;
  readonly #plan: BodyPlan;
  readonly #stall = new StallMeter();
  #live: LiveConnection;
  #dispatchable: Dispatchable;
  #phase: Phase = 'collecting';
  #body: Buffer | null = null;
  #claim: WriteClaim | undefined;
  #refreshed = false;
  #handle: StreamHandle | undefined;
  #wait: AbortController | undefined;
  #repetition: Repetition | undefined;
  // The answer so far.
  #status = 0;
  #headers: HeaderRecord = {};
  #held: Buffer[] = [];
  #holdsForBody = false;
  #ended = false;
  /** For providers that refuse a credential with a good status. */
  #tap: RefusalTap | undefined;
  #failure: UpstreamFailure | undefined;

  constructor(deps: ExchangeDeps, input: ExchangeInput) {
    const { call, live } = input;
    const { limits } = deps;
    const idempotencyHeader = live.integration.provider.api.idempotencyHeader?.toLowerCase();
    this.#deps = deps;
    this.#call = call;
    this.#live = live;
    this.#dispatchable = input.dispatchable;
    this.#isSingleUse = input.singleUse;
    this.#request = input.request;
    this.#reply = new Reply(input.response, call, input.ownHeaders, limits, this);
    this.#startedAtMs = deps.clock.monotonicMs();
    this.#plan = planBody(call, input.dispatchable, limits);
    this.#attempt = {
      call,
      made: 0,
      replayable: !input.singleUse && (call.body === undefined || this.#plan.collects),
      hasIdempotencyKey: idempotencyHeader !== undefined && call.headers.has(idempotencyHeader),
      waitMsMax: limits.retryWaitMsMax,
    };
    input.response.on('close', this.#onClose);
  }

  /** Starts the call. Nothing is thrown: every end is told to the caller. */
  start(): void {
    if (this.#plan.isUnsignable) {
      const bytes = this.#deps.limits.signedBodyBytesMax;
      const message = `This provider wants the body signed: send its length, and at most ${bytes} bytes.`;
      this.#refuse(proxyErrors.fail('request_too_large', { message }));
      return;
    }
    if (this.#call.body !== undefined) this.#deps.watched.add(this);
    if (!this.#plan.collects) this.#begin();
    else {
      collectBody(this.#request, (body) => {
        this.#body = body;
        if (this.#phase === 'collecting') this.#begin();
      });
    }
  }

  #begin(): void {
    if (this.#isSingleUse) void this.#claimAndDispatch();
    else this.#dispatch();
  }

  async #claimAndDispatch(): Promise<void> {
    try {
      const claim = await this.#deps.singleUse.claim(this.#live);
      if (this.#phase === 'done') {
        await claim.failed(false);
        return;
      }
      this.#claim = claim;
      this.#deps.watched.add(this);
      this.#dispatch();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #dispatch(): void {
    const { limits, upstream } = this.#deps;
    const { target, signer } = this.#dispatchable;
    let { headers } = this.#dispatchable;
    const streamed = this.#call.body !== undefined && !this.#plan.collects;
    if (streamed) {
      const length = this.#call.body?.length;
      if (length !== undefined) headers = [...headers, ['content-length', String(length)]];
      else countBody(this.#request, limits.requestBytesMax, () => this.#onTooLarge());
    }
    if (signer !== undefined) {
      const { method } = this.#call;
      const nowMs = this.#deps.clock.now();
      headers = [...headers, ...signedHeaders(signer, { method, target, headers, body: this.#body, streamed, nowMs })];
    }
    this.#phase = 'sending';
    this.#held = [];
    this.#holdsForBody = false;
    this.#ended = false;
    this.#failure = undefined;
    try {
      this.#handle = upstream.stream(
        {
          method: this.#call.method,
          url: target.base,
          requestTarget: target.requestTarget,
          headers,
          body: streamed ? this.#request : this.#body,
          headersTimeoutMs: limits.headersTimeoutMs,
          bodyIdleTimeoutMs: limits.bodyIdleTimeoutMs,
          bodyBytesMax: limits.responseBytesMax,
          tls: this.#dispatchable.tls,
        },
        this,
      );
    } catch (error) {
      void this.#claim?.failed(true);
      this.#refuse(error);
    }
  }

  #onTooLarge(): void {
    // After an early answer the rest of the body is only drained: no longer.
    if (this.#phase === 'done') this.#request.destroy();
    else this.#giveUp(proxyErrors.fail('request_too_large'));
  }

  // — what the upstream says —

  onHeaders(status: number, headers: HeaderRecord): boolean {
    this.#status = status;
    this.#headers = headers;
    if (this.#phase === 'orphaned') {
      void this.#claim?.answered(status).then(() => this.#finish('client_closed'));
      return false;
    }
    if (this.#phase !== 'sending') return false;
    if (this.#claim !== undefined) {
      this.#phase = 'holding';
      if (status === 401) this.#reportUnauthorized();
      void this.#claim.answered(status).then(() => this.#release());
      return true;
    }
    if (status === 401 && this.#dispatchable.usesCredential) {
      if (this.#attempt.replayable && !this.#refreshed) {
        this.#phase = 'holding';
        void this.#renewAndRepeat();
        return true;
      }
      this.#reportUnauthorized();
    }
    const waitMs = this.#waitAfterAnswer();
    if (waitMs !== undefined) {
      this.#repeatAfter(waitMs);
      return false;
    }
    this.#passHead();
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#phase === 'relaying') {
      this.#tap?.push(chunk);
      return this.#reply.write(chunk);
    }
    if (this.#phase !== 'holding') return true;
    this.#held.push(chunk);
    if (this.#holdsForBody) this.#relay();
    return false;
  }

  onEnd(): void {
    if (this.#phase === 'relaying') this.#endReply();
    else if (this.#phase === 'holding') {
      this.#ended = true;
      if (this.#holdsForBody) this.#answerEmptyError();
    }
  }

  onError(failure: UpstreamFailure): void {
    switch (this.#phase) {
      case 'sending':
        if (this.#claim === undefined) this.#onNoAnswer(failure);
        else {
          this.#phase = 'holding';
          void this.#claim.failed(failure.requestSent).then(() => this.#fail(failure));
        }
        return;
      case 'orphaned':
        void this.#claim?.failed(failure.requestSent).then(() => this.#finish('client_closed'));
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

  #waitAfterAnswer(): number | undefined {
    return waitAfterAnswer(this.#attempt, {
      status: this.#status,
      headers: this.#headers,
      spec: this.#live.integration.provider.api.retry,
      nowMs: this.#deps.clock.now(),
    });
  }

  #onNoAnswer(failure: UpstreamFailure): void {
    const waitMs = waitAfterFailure(this.#attempt, failure);
    if (waitMs === undefined) this.#fail(failure);
    else this.#repeatAfter(waitMs);
  }

  // — what the caller gets —

  /** The held answer stands. */
  #release(): void {
    if (this.#phase !== 'holding') return;
    if (this.#failure !== undefined && this.#held.length === 0) this.#fail(this.#failure);
    else this.#passHead();
  }

  /** Passes the head on, unless it may be an error without a body: that one gets a body of ours (B.11). */
  #passHead(): void {
    const mayBeEmpty = this.#status >= 400 && this.#call.method !== 'HEAD' && this.#held.length === 0;
    if (!mayBeEmpty || Number(this.#headers['content-length']) > 0) this.#relay();
    else if (this.#ended) this.#answerEmptyError();
    else {
      this.#phase = 'holding';
      this.#holdsForBody = true;
    }
  }

  #relay(): void {
    try {
      this.#reply.open(this.#status, this.#headers);
    } catch (cause) {
      // A status that no server may write, such as 999.
      const message = 'The answer of the provider is not valid HTTP.';
      this.#fail(new UpstreamFailure('protocol', 'ERR_HTTP_INVALID_HEAD', message, { cause }));
      this.#abandon();
      return;
    }
    this.#phase = 'relaying';
    this.#repetition?.end(saysLater(this.#status));
    const { refusal } = this.#live.integration.provider.api;
    if (refusal !== undefined && this.#dispatchable.usesCredential) this.#tap = new RefusalTap(refusal, this.#headers);
    const held = this.#held;
    let flowing = held.length > 0;
    this.#held = [];
    for (const chunk of held) {
      this.#tap?.push(chunk);
      flowing = this.#reply.write(chunk) && flowing;
    }
    if (this.#failure !== undefined) this.#cut(this.#failure.code);
    else if (this.#ended) this.#endReply();
    else if (flowing) queueMicrotask(this.#resume);
  }

  #endReply(): void {
    if (this.#tap?.saysUnauthorized(this.#status)) this.#reportUnauthorized();
    this.#reply.end();
  }

  /** Later than the callback that may be running: the upstream pauses when that one returns. */
  readonly #resume = (): void => this.#handle?.resume();

  onPause(): void {
    this.#deps.watched.add(this);
  }

  onDrain(): void {
    this.#handle?.resume();
  }

  onWritten(): void {
    this.#finish();
  }

  onDamaged(code: string): void {
    if (this.#phase === 'relaying') this.#cut(code);
  }

  #answerEmptyError(): void {
    const status = this.#status;
    this.#repetition?.end(saysLater(status));
    const code = status >= 500 ? 'ERR_BAD_RESPONSE' : 'ERR_BAD_REQUEST';
    this.#reply.fail({ message: `The provider answered ${status} without a body.`, code, status }, this.#headers);
    this.#finish();
  }

  // — once more —

  async #renewAndRepeat(): Promise<void> {
    let fresh: LiveConnection | undefined;
    try {
      fresh = await this.#deps.credentials.afterUnauthorized(this.#live);
      if (fresh !== undefined && this.#phase === 'holding') this.#use(fresh);
    } catch (error) {
      fresh = undefined;
      this.#warn('a refused credential could not be renewed', error);
    }
    if (this.#phase !== 'holding') return;
    const waitMs = fresh === undefined ? this.#waitAfterAnswer() : 0;
    if (waitMs === undefined) {
      this.#release();
      return;
    }
    this.#phase = 'waiting';
    this.#abandon();
    if (fresh === undefined) this.#repeatAfter(waitMs);
    else {
      this.#refreshed = true;
      this.#dispatch();
    }
  }

  /** Tells the refresh protocol about a 401 that this call cannot repeat; the next call has the new credential. */
  #reportUnauthorized(): void {
    if (!this.#dispatchable.usesCredential) return;
    this.#deps.credentials
      .afterUnauthorized(this.#live)
      .catch((error: unknown) => this.#warn('a refused credential could not be renewed', error));
  }

  #repeatAfter(waitMs: number): void {
    this.#phase = 'waiting';
    this.#attempt.made += 1;
    this.#repetition?.end(true);
    this.#repetition = undefined;
    const { signal } = (this.#wait = new AbortController());
    const { clock, retryGate } = this.#deps;
    const enter = (): Promise<Repetition> => retryGate.enter(this.#live.integration, signal);
    clock
      .sleep(waitMs, signal)
      .then(enter)
      .then(
        (repetition) => {
          this.#repetition = repetition;
          if (this.#phase === 'waiting') void this.#repeat();
          else repetition.end();
        },
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
      if (live !== this.#live) this.#use(live);
      this.#dispatch();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #use(live: LiveConnection): void {
    this.#dispatchable = this.#deps.preparer.prepare(this.#call, live);
    this.#live = live;
  }

  // — the ends —

  readonly #onClose = (): void => {
    if (this.#phase === 'sending' && this.#claim !== undefined) {
      this.#phase = 'orphaned';
      return;
    }
    this.#deps.watched.delete(this);
    if (this.#phase === 'done' || this.#phase === 'orphaned') return;
    this.#wait?.abort();
    this.#finish('client_closed');
    this.#abandon();
  };

  /** Closes the present upstream exchange; its last words are not heard. */
  #abandon(): void {
    const handle = this.#handle;
    this.#handle = undefined;
    handle?.abort();
  }

  /** There is no usable answer. */
  #fail(failure: UpstreamFailure): void {
    if (this.#phase === 'done') return;
    if (failure.kind === 'egress_refused') {
      const code = this.#call.baseUrlOverride === undefined ? 'egress_refused' : 'base_url_override_not_allowed';
      const message = failure.cause instanceof HawserError ? failure.cause.message : failure.message;
      this.#refuse(proxyErrors.fail(code, { message, cause: failure }));
      return;
    }
    this.#status = 500;
    this.#repetition?.end(true);
    this.#reply.fail({ message: failure.message, code: failure.code, status: 500 });
    this.#finish(failure.code);
  }

  /** The caller's side broke a limit on its way in. */
  #giveUp(error: HawserError): void {
    if (this.#phase === 'done') return;
    void this.#claim?.failed(this.#phase === 'sending');
    this.#refuse(error);
    this.#abandon();
  }

  #refuse(error: unknown): void {
    if (this.#phase === 'done') return;
    if (!(error instanceof HawserError)) this.#warn('a proxied call failed inside', error);
    this.#status = this.#reply.refuse(error);
    this.#finish(error instanceof HawserError ? error.code : 'server_error');
  }

  #cut(code: string): void {
    this.#finish(code);
    this.#abandon();
    this.#reply.cut();
  }

  #finish(code?: string): void {
    if (this.#phase === 'done') return;
    // Stays watched until the caller has read what is buffered for it: the response then closes.
    if (this.#phase === 'orphaned') this.#deps.watched.delete(this);
    this.#phase = 'done';
    this.#repetition?.end();
    this.#reply.close();
    const { connection, integration } = this.#live;
    const { clock, connections, callLog } = this.#deps;
    if (code === undefined && this.#status < 400) connections.touchGoodCall(connection.environmentId, connection.id);
    callLog.record({
      connection,
      integration: integration.uniqueKey,
      method: this.#call.method,
      path: this.#dispatchable.target.path,
      status: this.#status,
      durationMs: clock.monotonicMs() - this.#startedAtMs,
      retries: this.#attempt.made,
      code,
    });
  }

  // — watched now and then —

  /** Ends a call whose caller neither sends nor reads any more, and a single-use write past its deadline. */
  check(nowMs: number): void {
    const { limits } = this.#deps;
    const isOpenWrite = this.#claim !== undefined && (this.#phase === 'sending' || this.#phase === 'orphaned');
    if (isOpenWrite && nowMs - this.#startedAtMs > limits.singleUseWriteMsMax) {
      this.#handle?.abort(new Error('the write took too long'));
      return;
    }
    if (this.#stall.silenceMs(this.#request, this.#waitsForCaller(), nowMs) < limits.callerIdleTimeoutMs) return;
    if (this.#phase === 'relaying') this.#cut('client_stalled');
    else if (this.#phase === 'done') this.#reply.cut();
    else this.#giveUp(proxyErrors.fail('request_timeout'));
  }

  #waitsForCaller(): boolean {
    if (this.#phase === 'relaying') return this.#reply.paused;
    if (this.#phase === 'done') return true;
    const sends = this.#phase === 'sending' || this.#phase === 'collecting';
    return sends && this.#call.body !== undefined && !this.#request.readableEnded && !this.#request.isPaused();
  }

  #warn(message: string, error: unknown): void {
    const { connection, integration } = this.#live;
    this.#deps.log.warn(message, {
      error: errorText(error),
      connection: connection.id,
      integration: integration.uniqueKey,
    });
  }
}
