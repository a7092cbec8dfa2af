/**
 * One kept connection to an origin. It carries one exchange at a time and is used again only when both ends surely agree
 * that the last one is over: whatever else comes or stays unsaid closes it.
 */
import type { Socket } from 'node:net';
import { atTurnEnd, type TurnEnd } from '../turn.ts';
import { AnswerError, AnswerReader, type AnswerEvents } from './answer.ts';
import { failure, toFailure } from './failure.ts';
import type { HeaderRecord, StreamExchange } from './stream.ts';

/** Idle time that is safe with a server that names none. */
const IDLE_MS = 4_000;

/** A kept connection is used no later than this after its last answer, whatever the server promises. */
const IDLE_MAX_MS = 60_000;

/** Taken off the time that a server names: a request must not meet its end on the way. */
const IDLE_MARGIN_MS = 2_000;

export interface LineOwner {
  /** Milliseconds of the monotonic clock. */
  nowMs(): number;
  /** The line is free again. */
  onFree(line: Line): void;
  /** The line is closed. */
  onClosed(line: Line): void;
}

export class Line implements AnswerEvents, TurnEnd {
  readonly #socket: Socket;
  readonly #owner: LineOwner;
  readonly #pair: string;
  readonly #reader: AnswerReader;
  #exchange: StreamExchange | undefined;
  #idleMs = IDLE_MS;
  #closed = false;
  /** Monotonic; meaningful while it is free. */
  usableUntilMs = 0;

  constructor(socket: Socket, pair: string, owner: LineOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#pair = pair;
    this.#reader = new AnswerReader(this);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** False once the connection is going away. */
  get isOpen(): boolean {
    return !this.#closed && this.#socket.writable && this.#socket.readable;
  }

  /** Sends the request of an exchange. */
  carry(exchange: StreamExchange): void {
    this.#exchange = exchange;
    this.#reader.expect(exchange.isHead);
    const { body } = exchange;
    const head = exchange.onLine(this);
    this.#socket.cork();
    atTurnEnd(this);
    if (Buffer.isBuffer(body) && body.length > 0) {
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
    } else {
      this.#socket.write(head, 'latin1');
      if (body !== null && !Buffer.isBuffer(body)) body.send(this.#socket);
    }
  }

  onTurnEnd(): void {
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes the connection. The exchange hears no more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exchange = undefined;
    this.#reader.stop();
    this.#socket.destroy();
    this.#owner.onClosed(this);
  }

  /** The same, and the exchange fails as aborted. */
  destroy(): void {
    this.#exchange?.abort();
    this.close();
  }

  onInterim(): void {
    this.#exchange?.onInterim();
  }

  onHead(status: number, headers: HeaderRecord, reason: string, bodyBytes: number | undefined): void {
    this.#idleMs = idleMsOf(headers['keep-alive']);
    this.#exchange?.onHead(status, headers, reason, bodyBytes);
  }

  onBody(chunk: Buffer): void {
    this.#exchange?.onBody(chunk);
  }

  onComplete(trailers: HeaderRecord, reusable: boolean): void {
    const exchange = this.#exchange as StreamExchange;
    this.#exchange = undefined;
    if (!reusable || !exchange.hasSentAll) this.close();
    else {
      // The sink may have paused on the last piece.
      if (this.#socket.isPaused()) this.#socket.resume();
      this.usableUntilMs = this.#owner.nowMs() + this.#idleMs;
      this.#owner.onFree(this);
    }
    exchange.onComplete(trailers);
  }

  readonly #onData = (chunk: Buffer): void => {
    // Bytes that nobody asked for.
    if (this.#exchange === undefined) {
      this.close();
      return;
    }
    try {
      this.#reader.read(chunk);
    } catch (error) {
      this.#fail(error);
    }
  };

  readonly #onEnd = (): void => {
    const exchange = this.#exchange;
    if (exchange !== undefined && !this.#reader.end()) exchange.fail(this.#cutShort(exchange));
    this.close();
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => {
    const exchange = this.#exchange;
    exchange?.fail(this.#cutShort(exchange));
    this.close();
  };

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    exchange?.fail(
      error instanceof AnswerError
        ? failure(error.code === 'HPE_INVALID' ? 'protocol' : 'too_large', error.code, this.#pair, {
            requestSent: true,
            cause: error,
          })
        : toFailure(error, this.#pair, exchange.phase, true),
    );
    this.close();
  }

  #cutShort(exchange: StreamExchange) {
    return toFailure(Object.assign(new Error('closed'), { code: 'ECONNRESET' }), this.#pair, exchange.phase, true);
  }
}

/** From `Keep-Alive: timeout=5`, less a margin. Source: RFC 2068 19.7.1.1. */
function idleMsOf(keepAlive: string | string[] | undefined): number {
  if (keepAlive === undefined) return IDLE_MS;
  const seconds = /(?:^|[,\s])timeout=(\d{1,9})/i.exec(String(keepAlive))?.[1];
  if (seconds === undefined) return IDLE_MS;
  return Math.min(IDLE_MAX_MS, Math.max(0, Number(seconds) * 1000 - IDLE_MARGIN_MS));
}
