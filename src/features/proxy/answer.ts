/**
 * The provider's answer on its way to the caller.
 *
 *   held ─▶ open        it stands: the head goes to the caller, each chunk behind it as it comes
 *   held ─▶ awaited     it stands, but may be an error without a body: that one gets a body of ours (B.11)
 *   awaited ─▶ open     there is a body
 */
import { UpstreamFailure } from '../../platform/upstream/index.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import { RefusalTap } from './refusal-tap.ts';
import type { Reply, ReplyEvents } from './reply.ts';
import { saysLater } from './retry.ts';
import type { Tries } from './tries.ts';

export interface AnswerEvents extends ReplyEvents {
  /** There is nothing that the caller could be given. */
  onUnusable(failure: UpstreamFailure): void;
}

const noHeaders: HeaderRecord = {};

export class Answer {
  /** Of the last try that was answered; 0 while none was. */
  status = 0;
  headers: HeaderRecord = noHeaders;
  readonly #reply: Reply;
  readonly #tries: Tries;
  readonly #events: AnswerEvents;
  #state: 'held' | 'awaited' | 'open' = 'held';
  #held: Buffer[] | undefined;
  #ended = false;
  #failure: UpstreamFailure | undefined;
  /** For providers that refuse a credential with a good status. */
  #tap: RefusalTap | undefined;

  constructor(reply: Reply, tries: Tries, events: AnswerEvents) {
    this.#reply = reply;
    this.#tries = tries;
    this.#events = events;
  }

  /** The head of the present try's answer. What came of an earlier one is forgotten. */
  begin(status: number, headers: HeaderRecord): void {
    this.status = status;
    this.headers = headers;
    this.#held = undefined;
    this.#ended = false;
    this.#failure = undefined;
  }

  /** False: wait for `onDrain`. */
  push(chunk: Buffer): boolean {
    if (this.#state === 'open') {
      this.#tap?.push(chunk);
      return this.#reply.write(chunk);
    }
    (this.#held ??= []).push(chunk);
    if (this.#state === 'awaited') this.#open();
    return false;
  }

  end(): void {
    if (this.#state === 'open') {
      this.#endReply();
      return;
    }
    this.#ended = true;
    if (this.#state === 'awaited') this.#replaceEmpty();
  }

  /** Its body broke off. */
  fail(failure: UpstreamFailure): void {
    if (this.#state === 'open') this.#events.onDamaged(failure.code);
    else if (this.#state === 'awaited') this.#events.onUnusable(failure);
    else this.#failure = failure;
  }

  /** It stands: no other try follows. */
  pass(): void {
    if (this.#held !== undefined) this.#open();
    else if (this.#failure !== undefined) this.#events.onUnusable(this.#failure);
    else if (!this.#mayBeEmpty()) this.#open();
    else if (this.#ended) this.#replaceEmpty();
    else this.#state = 'awaited';
  }

  #mayBeEmpty(): boolean {
    const hasBody = Number(this.headers['content-length']) > 0;
    return this.status >= 400 && this.#tries.call.method !== 'HEAD' && !hasBody;
  }

  #open(): void {
    try {
      this.#reply.open(this.status, this.headers);
    } catch (cause) {
      // A status that no server may write, such as 999.
      const message = 'The answer of the provider is not valid HTTP.';
      this.#events.onUnusable(new UpstreamFailure('protocol', 'ERR_HTTP_INVALID_HEAD', message, { cause }));
      return;
    }
    this.#state = 'open';
    this.#tries.settle(saysLater(this.status));
    const { live, dispatchable } = this.#tries;
    const { refusal } = live.integration.provider.api;
    if (refusal !== undefined && dispatchable.usesCredential) this.#tap = new RefusalTap(refusal, this.headers);
    const flowing = this.#held !== undefined && this.#passHeld(this.#held);
    if (this.#failure !== undefined) this.#events.onDamaged(this.#failure.code);
    else if (this.#ended) this.#endReply();
    // Later than the callback that may be running: the upstream pauses when that one returns.
    else if (flowing) queueMicrotask(() => this.#events.onDrain());
  }

  /** False: wait for `onDrain`. */
  #passHeld(held: Buffer[]): boolean {
    let flowing = true;
    this.#held = undefined;
    for (const chunk of held) {
      this.#tap?.push(chunk);
      flowing = this.#reply.write(chunk) && flowing;
    }
    return flowing;
  }

  #endReply(): void {
    if (this.#tap?.saysUnauthorized(this.status)) this.#tries.reportUnauthorized();
    this.#reply.end();
  }

  #replaceEmpty(): void {
    const { status, headers } = this;
    this.#tries.settle(saysLater(status));
    const code = status >= 500 ? 'ERR_BAD_RESPONSE' : 'ERR_BAD_REQUEST';
    this.#reply.fail({ message: `The provider answered ${status} without a body.`, code, status }, headers);
    this.#events.onWritten();
  }
}
