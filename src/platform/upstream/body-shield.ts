import type { Readable } from 'node:stream';

type Listener = (...args: unknown[]) => void;

/**
 * Lends a request body to undici without giving it away. When the upstream answers early or fails, undici destroys the
 * body it was given; for an incoming request this would cut the caller's connection before our reply is out. The shield
 * drains the rest instead. It also hears of a caller who leaves while the request still waits for a connection.
 *
 * It has only what undici's HTTP/1 writer touches, and costs nothing per chunk: listeners sit on the source itself.
 */
export class BodyShield {
  readonly #source: Readable;
  readonly #onLost: (cause: Error | undefined) => void;
  #released = false;

  /** `onLost` runs when the source fails or closes before its end. */
  constructor(source: Readable, onLost: (cause: Error | undefined) => void) {
    this.#source = source;
    this.#onLost = onLost;
    source.on('error', this.#onError);
    source.on('close', this.#onClose);
  }

  /** Lets the source go untouched: the request never started and may be tried again with the same body. */
  release(): void {
    this.#released = true;
    this.#source.off('error', this.#onError);
    this.#source.off('close', this.#onClose);
  }

  on(event: string, listener: Listener): this {
    this.#source.on(event, listener);
    return this;
  }

  off(event: string, listener: Listener): this {
    this.#source.off(event, listener);
    return this;
  }

  removeListener(event: string, listener: Listener): this {
    return this.off(event, listener);
  }

  /** Undici knows a stream by this method; it never calls it. */
  pipe(): never {
    throw new TypeError('a shielded body cannot be piped');
  }

  read(size?: number): unknown {
    return this.#released ? null : this.#source.read(size);
  }

  pause(): this {
    this.#source.pause();
    return this;
  }

  resume(): this {
    if (!this.#released) this.#source.resume();
    return this;
  }

  /** What undici calls when it is done with the body in any way. */
  destroy(): this {
    if (!this.#released && !this.#source.destroyed) this.#source.resume();
    return this;
  }

  get destroyed(): boolean {
    return this.#source.destroyed;
  }

  get closed(): boolean {
    return this.#source.closed;
  }

  get errored(): Error | null {
    return this.#source.errored;
  }

  get readableEnded(): boolean {
    return this.#source.readableEnded;
  }

  get _readableState(): unknown {
    return Reflect.get(this.#source, '_readableState');
  }

  readonly #onError = (error: Error): void => this.#onLost(error);

  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.#onLost(undefined);
  };
}
