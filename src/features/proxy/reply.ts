/** The caller's side of an exchange: what is written to it, how fast it reads, and how it is told that all went wrong. */
import type { ServerResponse } from 'node:http';
import { HawserError } from '../../base/errors.ts';
import { atTurnEnd, type TurnEnd } from '../../platform/turn.ts';
import type { HeaderRecord } from '../../protocols/http.ts';
import { canInflate, createInflater, type Inflater } from './inflate.ts';
import type { ProxyLimits } from './limits.ts';
import type { Call } from './read-call.ts';
import { responseHead } from './response-head.ts';

export interface ReplyEvents {
  /** The caller does not keep up. */
  onPause(): void;
  /** The caller reads again after {@link Reply.write} was false. */
  onDrain(): void;
  /** The whole answer is written. */
  onWritten(): void;
  /** The rest of the answer does not come, or cannot be inflated. */
  onDamaged(code: string): void;
}

/** Statuses after which the rest of the caller's body is not wanted. */
const closing: ReadonlySet<number> = new Set([408, 413]);

/** A body of this size goes out in one piece with its head: copying it is cheaper than a second buffer. */
const ONE_PIECE_BYTES_MAX = 8 * 1024;

export class Reply implements TurnEnd {
  readonly #response: ServerResponse;
  readonly #call: Call;
  readonly #own: Record<string, unknown>;
  readonly #limits: ProxyLimits;
  readonly #events: ReplyEvents;
  #inflater: Inflater | undefined;
  /** The head, and perhaps the first piece and the end behind it, wait for the end of the turn. */
  #held: 'nothing' | 'head' | 'piece' | 'whole' = 'nothing';
  #piece: Buffer | undefined;
  #listensForDrain = false;
  #paused = false;

  /** `own`: headers that the shell has set so far. */
  constructor(
    response: ServerResponse,
    call: Call,
    own: Record<string, unknown>,
    limits: ProxyLimits,
    events: ReplyEvents,
  ) {
    this.#response = response;
    this.#call = call;
    this.#own = own;
    this.#limits = limits;
    this.#events = events;
  }

  /** True while the caller does not read what it was sent. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Sends the head of the provider's answer. Throws what Node throws for a head that no server may write. */
  open(status: number, headers: HeaderRecord): void {
    const encoding = headers['content-encoding'];
    const inflates = this.#call.decompress && this.#call.method !== 'HEAD' && canInflate(encoding);
    this.#response.writeHead(status, this.#head(status, headers, inflates));
    if (inflates) this.#inflater = this.#openInflater(encoding);
    this.#held = 'head';
    atTurnEnd(this);
  }

  /** A head whose body is slow to come does not wait for it longer than this turn (event streams). */
  onTurnEnd(): void {
    const held = this.#held;
    const piece = this.#piece;
    this.#held = 'nothing';
    this.#piece = undefined;
    if (this.#response.destroyed) return;
    switch (held) {
      case 'nothing':
        return;
      case 'head':
        this.#response.flushHeaders();
        return;
      case 'piece':
        this.#pass(piece as Buffer);
        return;
      case 'whole':
        if (piece === undefined) this.#response.end();
        else if (piece.length > ONE_PIECE_BYTES_MAX) this.#response.end(piece);
        else this.#response.end(piece.toString('latin1'), 'latin1');
        this.#events.onWritten();
        return;
    }
  }

  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    return this.#inflater === undefined ? this.#write(chunk) : this.#inflater.write(chunk);
  }

  #write(chunk: Buffer): boolean {
    if (this.#held === 'head') {
      this.#held = 'piece';
      this.#piece = chunk;
      return true;
    }
    if (this.#held === 'piece') this.onTurnEnd();
    return this.#pass(chunk);
  }

  #pass(chunk: Buffer): boolean {
    if (this.#response.write(chunk)) return true;
    this.#paused = true;
    this.#events.onPause();
    if (!this.#listensForDrain) {
      this.#listensForDrain = true;
      this.#response.on('drain', this.#onDrain);
    }
    return false;
  }

  readonly #onDrain = (): void => {
    this.#paused = false;
    if (this.#inflater === undefined) this.#events.onDrain();
    else this.#inflater.resume();
  };

  #openInflater(encoding: string): Inflater {
    const inflater = createInflater(encoding, this.#limits, {
      onData: (chunk) => {
        if (!this.#write(chunk)) inflater.pause();
      },
      onEnd: () => this.#end(),
      onDrain: () => this.#events.onDrain(),
      onError: (code) => this.#events.onDamaged(code),
    });
    return inflater;
  }

  /** The provider's answer is complete. */
  end(): void {
    if (this.#inflater === undefined) this.#end();
    else this.#inflater.end();
  }

  #end(): void {
    if (this.#held !== 'nothing') {
      this.#held = 'whole';
      return;
    }
    this.#response.end();
    this.#events.onWritten();
  }

  /** The answer stops in the middle: the caller must not take it for a whole one. */
  cut(): void {
    // What has come of it is told.
    this.onTurnEnd();
    const { socket, req } = this.#response;
    // Before HTTP/1.1 the end of the connection is the end of the body: only a reset says that it broke.
    if (req.httpVersionMinor === 0 && socket !== null && 'resetAndDestroy' in socket) socket.resetAndDestroy();
    this.#response.destroy();
  }

  /** Nothing more is written. */
  close(): void {
    this.#inflater?.destroy();
  }

  /** The error envelope (wire contract A.4). Resolves to the status written. */
  refuse(error: unknown): number {
    const known = error instanceof HawserError;
    const status = known ? error.status : 500;
    const body = known
      ? { code: error.code, message: error.message, errors: error.errors, payload: error.payload }
      : { code: 'server_error', message: 'Something failed on our side.' };
    this.#json(status, this.#head(status, {}, false), { error: body });
    return status;
  }

  /** The body of a call without an answer of the provider, or with an empty one (wire contract B.11). */
  fail(failure: { message: string; code: string; status: number }, headers: HeaderRecord = {}): void {
    const { message, code, status } = failure;
    this.#json(status, this.#head(status, headers, true), { message, code, status, method: this.#call.method });
  }

  #head(status: number, headers: HeaderRecord, inflated: boolean): string[] {
    return responseHead(status, headers, { own: this.#own, inflated, toBrowser: this.#call.fromBrowser });
  }

  #json(status: number, head: string[], value: unknown): void {
    const body = Buffer.from(JSON.stringify(value));
    const kept: string[] = [];
    for (let i = 0; i < head.length; i += 2) {
      const name = head[i] as string;
      if (name !== 'content-type' && name !== 'content-length') kept.push(name, head[i + 1] as string);
    }
    kept.push('content-type', 'application/json; charset=utf-8', 'content-length', String(body.length));
    if (closing.has(status)) kept.push('connection', 'close');
    this.#response.writeHead(status, kept);
    this.#response.end(body);
  }
}
