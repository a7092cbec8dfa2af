import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface BodyEvents {
  /** The source failed or closed before its end, also while it still waits for a connection. */
  onLost(cause: Error | undefined): void;
  /** It is longer or shorter than announced. */
  onMismatch(): void;
}

/**
 * A request body that is passed on as it comes, with back-pressure. It belongs to the caller and is never destroyed: when
 * the upstream answers early or fails, the rest is drained, since cutting it would cut the caller's connection before our
 * reply is out.
 */
export class RequestBody {
  readonly #source: Readable;
  readonly #events: BodyEvents;
  readonly #bytesMax: number | undefined;
  #socket: Socket | undefined;
  #bytes = 0;
  #state: 'waiting' | 'sending' | 'sent' | 'stopped' = 'waiting';

  /** `bytes`: its announced length; undefined: it is sent in chunks. */
  constructor(source: Readable, bytes: number | undefined, events: BodyEvents) {
    this.#source = source;
    this.#bytesMax = bytes;
    this.#events = events;
    source.on('error', this.#onError);
    source.on('close', this.#onClose);
  }

  /** The announced length. */
  get announcedBytes(): number | undefined {
    return this.#bytesMax;
  }

  /** All of it is written. */
  get isSent(): boolean {
    return this.#state === 'sent';
  }

  /** Bytes passed on so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** It is the caller that is waited for, not the upstream. */
  get waitsForSource(): boolean {
    return this.#state === 'sending' && !this.#source.isPaused();
  }

  /** Writes the body behind a head that is written already. */
  send(socket: Socket): void {
    this.#socket = socket;
    this.#state = 'sending';
    if (this.#source.readableEnded) {
      this.#onEnd();
      return;
    }
    this.#source.on('data', this.#onData);
    this.#source.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    this.#source.resume();
  }

  /** Lets the source go untouched: the request never started and may be tried again with the same body. */
  release(): void {
    this.#state = 'stopped';
    this.#source.off('error', this.#onError);
    this.#source.off('close', this.#onClose);
  }

  /** Sends no more; what still comes is read and dropped. */
  stop(): void {
    if (this.#state !== 'sending') return;
    this.#state = 'stopped';
    this.#letGo();
    if (!this.#source.destroyed) this.#source.resume();
  }

  #letGo(): void {
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#socket?.off('drain', this.#onDrain);
  }

  readonly #onData = (chunk: Buffer | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (bytes.length === 0) return;
    this.#bytes += bytes.length;
    if (this.#bytesMax !== undefined && this.#bytes > this.#bytesMax) {
      this.#events.onMismatch();
      return;
    }
    if (!this.#write(bytes)) this.#source.pause();
  };

  #write(bytes: Buffer): boolean {
    const socket = this.#socket as Socket;
    if (this.#bytesMax !== undefined) return socket.write(bytes);
    socket.cork();
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
    socket.write(bytes);
    const goesOn = socket.write('\r\n', 'latin1');
    socket.uncork();
    return goesOn;
  }

  readonly #onEnd = (): void => {
    if (this.#state !== 'sending') return;
    if (this.#bytesMax !== undefined && this.#bytes < this.#bytesMax) {
      this.#events.onMismatch();
      return;
    }
    this.#state = 'sent';
    this.#letGo();
    if (this.#bytesMax === undefined) this.#socket?.write('0\r\n\r\n', 'latin1');
  };

  readonly #onDrain = (): void => {
    if (this.#state === 'sending') this.#source.resume();
  };

  readonly #onError = (error: Error): void => this.#events.onLost(error);

  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.#events.onLost(undefined);
  };
}
