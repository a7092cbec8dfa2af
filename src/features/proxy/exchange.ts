/**
 * One proxied call, from the caller's request to the end of the answer. It is its own sink of the upstream's stream and
 * carries no promise per chunk. Its moves:
 *
 *   collecting ─▶ sending      a small body is at hand, or none is needed
 *   sending ─▶ relaying        the answer stands: it goes to the caller, and its status is final from here
 *   sending ─▶ holding         the head is here, but somebody has to be asked first (401, single-use)
 *   holding ─▶ relaying        the answer stands
 *   sending, holding ─▶ waiting ─▶ sending     once more: new credential, or the provider said "later"
 *   sending ─▶ orphaned        the caller left a write whose outcome must still be learned
 *   any ─▶ done
 *
 * This file decides when to move. What a try is sent with and when there is another one: `tries.ts`. What the caller gets
 * of the answer: `answer.ts`. What the caller sends: `caller-body.ts`.
 */
import { HawserError } from '../../base/errors.ts';
import type { StreamHandle, StreamSink, UpstreamFailure } from '../../platform/upstream/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import { Answer, type AnswerEvents } from './answer.ts';
import { planBody } from './body-plan.ts';
import { CallerBody } from './caller-body.ts';
import { egressRefusal } from './egress-refusal.ts';
import { proxyErrors } from './errors.ts';
import type { ExchangeDeps, ExchangeInput, Watched } from './exchange-input.ts';
import type { WriteClaim } from './model.ts';
import { Reply } from './reply.ts';
import { saysLater } from './retry.ts';
import { Tries } from './tries.ts';
import { tryRequest } from './try-request.ts';

type Phase = 'collecting' | 'sending' | 'holding' | 'relaying' | 'waiting' | 'orphaned' | 'done';

export class Exchange implements StreamSink, AnswerEvents, Watched {
  readonly #deps: ExchangeDeps;
  readonly #body: CallerBody;
  readonly #tries: Tries;
  readonly #reply: Reply;
  readonly #answer: Answer;
  readonly #isSingleUse: boolean;
  readonly #startedAtMs: number;
  #phase: Phase = 'collecting';
  #claim: WriteClaim | undefined;
  #handle: StreamHandle | undefined;

  constructor(deps: ExchangeDeps, input: ExchangeInput) {
    const { call, live, dispatchable, singleUse, response } = input;
    const plan = planBody(call, dispatchable, deps.limits);
    const replayable = !singleUse && (call.body === undefined || plan.collects);
    this.#deps = deps;
    this.#body = new CallerBody(input.request, call.body, plan);
    this.#tries = new Tries(deps, call, live, dispatchable, replayable);
    this.#reply = new Reply(response, call, input.ownHeaders, deps.limits, this);
    this.#answer = new Answer(this.#reply, this.#tries, this);
    this.#isSingleUse = singleUse;
    this.#startedAtMs = deps.clock.monotonicMs();
    response.on('close', this.#onClose);
  }

  /** Starts the call. Nothing is thrown: every end is told to the caller. */
  start(): void {
    const { plan } = this.#body;
    if (plan.isUnsignable) {
      const bytes = this.#deps.limits.signedBodyBytesMax;
      const message = `This provider wants the body signed: send its length, and at most ${bytes} bytes.`;
      this.#refuse(proxyErrors.fail('request_too_large', { message }));
      return;
    }
    if (this.#tries.call.body !== undefined) this.#deps.watched.add(this);
    if (!plan.collects) this.#begin();
    else {
      this.#body.collect(() => {
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
      const claim = await this.#deps.singleUse.claim(this.#tries.live);
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
    const { clock, limits, upstream } = this.#deps;
    const { call, dispatchable } = this.#tries;
    if (this.#body.isStreamed && this.#body.length === undefined) {
      this.#body.count(limits.requestBytesMax, () => this.#onTooLarge());
    }
    this.#phase = 'sending';
    try {
      const request = tryRequest(call.method, dispatchable, this.#body, limits, clock);
      this.#handle = upstream.stream(request, this);
    } catch (error) {
      void this.#claim?.failed(true);
      this.#refuse(error);
    }
  }

  #onTooLarge(): void {
    // After an early answer the rest of the body is only drained: no longer.
    if (this.#phase === 'done') this.#body.request.destroy();
    else this.#giveUp(proxyErrors.fail('request_too_large'));
  }

  // — what the upstream says —

  onHeaders(status: number, headers: HeaderRecord): boolean {
    this.#answer.begin(status, headers);
    if (this.#phase === 'orphaned') {
      void this.#claim?.answered(status).then(() => this.#finish('client_closed'));
      return false;
    }
    if (this.#phase !== 'sending') return false;
    if (this.#claim !== undefined) {
      this.#phase = 'holding';
      if (status === 401) this.#tries.reportUnauthorized();
      void this.#claim.answered(status).then(() => this.#release());
      return true;
    }
    if (status === 401 && this.#tries.canRenew) {
      this.#phase = 'holding';
      void this.#renewAndRepeat();
      return true;
    }
    if (status === 401) this.#tries.reportUnauthorized();
    const waitMs = this.#tries.waitAfterAnswer(status, headers);
    if (waitMs !== undefined) {
      void this.#repeatAfter(waitMs, saysLater(status));
      return false;
    }
    this.#relay();
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#phase === 'relaying' || this.#phase === 'holding' ? this.#answer.push(chunk) : true;
  }

  onEnd(): void {
    if (this.#phase === 'relaying' || this.#phase === 'holding') this.#answer.end();
  }

  onError(failure: UpstreamFailure): void {
    if (this.#phase === 'sending') this.#onNoAnswer(failure);
    else if (this.#phase === 'holding' || this.#phase === 'relaying') this.#answer.fail(failure);
    else if (this.#phase === 'orphaned') {
      void this.#claim?.failed(failure.requestSent).then(() => this.#finish('client_closed'));
    }
  }

  #onNoAnswer(failure: UpstreamFailure): void {
    if (this.#claim !== undefined) {
      this.#phase = 'holding';
      void this.#claim.failed(failure.requestSent).then(() => this.#fail(failure));
      return;
    }
    const waitMs = this.#tries.waitAfterFailure(failure);
    if (waitMs === undefined) this.#fail(failure);
    else void this.#repeatAfter(waitMs, true);
  }

  // — the answer stands, or there is another try —

  #release(): void {
    if (this.#phase === 'holding') this.#relay();
  }

  #relay(): void {
    this.#phase = 'relaying';
    this.#answer.pass();
  }

  async #renewAndRepeat(): Promise<void> {
    const isRenewed = await this.#tries.renew();
    if (this.#phase !== 'holding') return;
    const { status, headers } = this.#answer;
    const waitMs = isRenewed ? 0 : this.#tries.waitAfterAnswer(status, headers);
    if (waitMs === undefined) {
      this.#relay();
      return;
    }
    this.#phase = 'waiting';
    this.#abandon();
    if (isRenewed) this.#dispatch();
    else await this.#repeatAfter(waitMs, saysLater(status));
  }

  async #repeatAfter(waitMs: number, refused: boolean): Promise<void> {
    this.#phase = 'waiting';
    try {
      await this.#tries.again(waitMs, refused);
      if (this.#phase === 'waiting') this.#dispatch();
    } catch (error) {
      this.#refuse(error);
    }
  }

  // — what the caller's side says —

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

  onUnusable(failure: UpstreamFailure): void {
    this.#fail(failure);
    this.#abandon();
  }

  // — the ends —

  readonly #onClose = (): void => {
    if (this.#phase === 'sending' && this.#claim !== undefined) {
      this.#phase = 'orphaned';
      return;
    }
    this.#deps.watched.delete(this);
    if (this.#phase === 'done' || this.#phase === 'orphaned') return;
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
    const refusal = egressRefusal(failure, this.#tries.call);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return;
    }
    this.#tries.settle(true);
    this.#reply.fail({ message: failure.message, code: failure.code, status: 500 });
    this.#finish(failure.code, 500);
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
    if (!(error instanceof HawserError)) this.#tries.warn('a proxied call failed inside', error);
    const status = this.#reply.refuse(error);
    this.#finish(error instanceof HawserError ? error.code : 'server_error', status);
  }

  #cut(code: string): void {
    this.#finish(code);
    this.#abandon();
    this.#reply.cut();
  }

  #finish(code?: string, status = this.#answer.status): void {
    if (this.#phase === 'done') return;
    // Stays watched until the caller has read what is buffered for it: the response then closes.
    if (this.#phase === 'orphaned') this.#deps.watched.delete(this);
    this.#phase = 'done';
    this.#tries.end();
    this.#reply.close();
    const { call, dispatchable, live, made } = this.#tries;
    const { connection, integration } = live;
    const { clock, connections, callLog } = this.#deps;
    if (code === undefined && status < 400) connections.touchGoodCall(connection.environmentId, connection.id);
    callLog.record({
      connection,
      integration: integration.uniqueKey,
      method: call.method,
      path: dispatchable.target.path,
      status,
      durationMs: clock.monotonicMs() - this.#startedAtMs,
      retries: made,
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
    if (this.#body.silenceMs(this.#waitsForCaller(), nowMs) < limits.callerIdleTimeoutMs) return;
    if (this.#phase === 'relaying') this.#cut('client_stalled');
    else if (this.#phase === 'done') this.#reply.cut();
    else this.#giveUp(proxyErrors.fail('request_timeout'));
  }

  #waitsForCaller(): boolean {
    if (this.#phase === 'relaying') return this.#reply.paused;
    if (this.#phase === 'done') return true;
    return (this.#phase === 'sending' || this.#phase === 'collecting') && this.#body.isAwaited;
  }
}
