/**
 * The tries of one proxied call: what each is sent with, whether there is another one, and when. Another one goes out with
 * a new credential at once, or when the provider's wait is over and the integration has a place for a repetition.
 */
import { errorText } from '../../base/log.ts';
import type { UpstreamFailure } from '../../platform/upstream/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import type { LiveConnection } from '../credentials/index.ts';
import type { ExchangeDeps } from './exchange-input.ts';
import type { Dispatchable } from './prepare.ts';
import type { Call } from './read-call.ts';
import { hasIdempotencyKey, waitAfterAnswer, waitAfterFailure, type Attempt } from './retry.ts';
import type { Repetition } from './retry-gate.ts';

export class Tries implements Attempt {
  readonly call: Call;
  readonly replayable: boolean;
  readonly hasIdempotencyKey: boolean;
  readonly waitMsMax: number;
  made = 0;
  /** What the present try is sent with. */
  live: LiveConnection;
  dispatchable: Dispatchable;
  readonly #deps: ExchangeDeps;
  #isRenewed = false;
  #isOver = false;
  #wait: AbortController | undefined;
  #repetition: Repetition | undefined;

  constructor(deps: ExchangeDeps, call: Call, live: LiveConnection, dispatchable: Dispatchable, replayable: boolean) {
    this.call = call;
    this.replayable = replayable;
    this.hasIdempotencyKey = hasIdempotencyKey(call, live);
    this.waitMsMax = deps.limits.retryWaitMsMax;
    this.live = live;
    this.dispatchable = dispatchable;
    this.#deps = deps;
  }

  // — a refused credential —

  /** True when a 401 of the present try may be answered by {@link renew} and one more try. */
  get canRenew(): boolean {
    return this.replayable && !this.#isRenewed && this.dispatchable.usesCredential;
  }

  /** Has the refused credential renewed, once in a call. True: the next try is sent with the new one. */
  async renew(): Promise<boolean> {
    try {
      const fresh = await this.#deps.credentials.afterUnauthorized(this.live);
      if (fresh === undefined || this.#isOver) return false;
      this.#use(fresh);
      this.#isRenewed = true;
      return true;
    } catch (error) {
      this.warn('a refused credential could not be renewed', error);
      return false;
    }
  }

  /** Tells the refresh protocol about a 401 that this call cannot repeat; the next call has the new credential. */
  reportUnauthorized(): void {
    if (!this.dispatchable.usesCredential) return;
    this.#deps.credentials
      .afterUnauthorized(this.live)
      .catch((error: unknown) => this.warn('a refused credential could not be renewed', error));
  }

  // — once more —

  /** Milliseconds until the next try. Undefined: the answer is final. */
  waitAfterAnswer(status: number, headers: HeaderRecord): number | undefined {
    const spec = this.live.integration.provider.api.retry;
    return waitAfterAnswer(this, { status, headers, spec, nowMs: this.#deps.clock.now() });
  }

  /** The same when there was no answer. */
  waitAfterFailure(failure: UpstreamFailure): number | undefined {
    return waitAfterFailure(this, failure);
  }

  /**
   * Resolves when the next try may go out, with the credential of that moment, or soon after {@link end}.
   * `refused`: as for {@link settle}. Errors: those of the credential and of preparing the call.
   */
  async again(waitMs: number, refused: boolean): Promise<void> {
    const { clock, credentials, retryGate } = this.#deps;
    this.made += 1;
    this.settle(refused);
    this.#repetition = undefined;
    const { signal } = (this.#wait = new AbortController());
    try {
      await clock.sleep(waitMs, signal);
      this.#repetition = await retryGate.enter(this.live.integration, signal);
    } catch {
      return; // The caller left; the exchange has ended.
    }
    if (this.#isOver) {
      this.#repetition.end();
      return;
    }
    const { environmentId } = this.live.connection;
    const { integrationKey, connectionId } = this.call;
    const live =
      credentials.peek(environmentId, integrationKey, connectionId) ??
      (await credentials.live(environmentId, integrationKey, connectionId));
    if (!this.#isOver && live !== this.live) this.#use(live);
  }

  /** Gives the place among the repetitions back. `refused`: the provider said "later" again, or nothing. */
  settle(refused: boolean): void {
    this.#repetition?.end(refused);
  }

  /** There is no further try; a wait for one is over. */
  end(): void {
    this.#isOver = true;
    this.#wait?.abort();
    this.#repetition?.end();
  }

  #use(live: LiveConnection): void {
    this.dispatchable = this.#deps.preparer.prepare(this.call, live);
    this.live = live;
  }

  warn(message: string, error: unknown): void {
    const { connection, integration } = this.live;
    this.#deps.log.warn(message, {
      error: errorText(error),
      connection: connection.id,
      integration: integration.uniqueKey,
    });
  }
}
