/**
 * Kept connections by origin. A request takes the one that was free last, opens a new one below the limit, or waits for
 * its turn. A connection that could not be made fails one request, the oldest that waits.
 */
import type { Connector } from './connector.ts';
import type { Target } from './egress.ts';
import { failure, toFailure } from './failure.ts';
import { Line, type LineOwner } from './line.ts';
import type { StreamExchange } from './stream.ts';

type Place = Pick<Target, 'protocol' | 'pair'>;

class Origin implements LineOwner {
  readonly #lines: Lines;
  readonly #place: Place;
  readonly #free: Line[] = [];
  readonly #open = new Set<Line>();
  readonly #waiting: StreamExchange[] = [];
  /** Connections being made. */
  #opening = 0;

  constructor(lines: Lines, place: Place) {
    this.#lines = lines;
    this.#place = place;
  }

  take(exchange: StreamExchange): void {
    const line = this.#takeFree();
    if (line !== undefined) line.carry(exchange);
    else {
      this.#waiting.push(exchange);
      this.#openMore();
    }
  }

  #takeFree(): Line | undefined {
    for (let line = this.#free.pop(); line !== undefined; line = this.#free.pop()) {
      if (line.isOpen && line.usableUntilMs > this.nowMs()) return line;
      line.close();
    }
    return undefined;
  }

  #openMore(): void {
    const { linesMax, connector } = this.#lines;
    if (this.#opening >= this.#waiting.length || this.#opening + this.#open.size >= linesMax) return;
    this.#opening += 1;
    const { protocol, pair } = this.#place;
    connector.connect({ protocol, hostname: pair, port: '' }, (error, socket) => {
      this.#opening -= 1;
      if (socket === null) {
        this.#next()?.fail(toFailure(error, this.#pair, 'connect', false));
        this.#openMore();
        this.#lines.settle();
        return;
      }
      const line = new Line(socket, this.#pair, this);
      this.#open.add(line);
      if (this.#lines.isDestroyed) line.close();
      // It may have been closed between the handshake and now.
      else if (line.isOpen) {
        line.usableUntilMs = Infinity;
        this.onFree(line);
      } else {
        this.#next()?.fail(failure('reset', 'ECONNRESET', this.#pair));
        line.close();
      }
    });
  }

  get #pair(): string {
    return this.#place.pair;
  }

  /** The oldest request that still wants to be sent. */
  #next(): StreamExchange | undefined {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.isWaiting) return next;
    }
    return undefined;
  }

  nowMs(): number {
    return this.#lines.nowMs();
  }

  onFree(line: Line): void {
    const next = this.#waiting.length === 0 ? undefined : this.#next();
    if (next !== undefined) line.carry(next);
    else if (this.#lines.isClosing) line.close();
    else this.#free.push(line);
  }

  onClosed(line: Line): void {
    this.#open.delete(line);
    const at = this.#free.lastIndexOf(line);
    if (at !== -1) this.#free.splice(at, 1);
    if (this.#waiting.length > 0 && !this.#lines.isDestroyed) {
      // Requests that were given up need no connection.
      while (this.#waiting[0]?.isWaiting === false) this.#waiting.shift();
      this.#openMore();
    }
    this.#lines.settle();
  }

  get isEmpty(): boolean {
    return this.#opening + this.#open.size + this.#waiting.length === 0;
  }

  closeIdle(nowMs: number): void {
    for (const line of this.#free.slice()) if (line.usableUntilMs <= nowMs || !line.isOpen) line.close();
  }

  destroy(): void {
    for (const exchange of this.#waiting.splice(0)) exchange.abort();
    for (const line of this.#open) line.destroy();
  }
}

export class Lines {
  readonly connector: Connector;
  readonly linesMax: number;
  readonly nowMs: () => number;
  readonly #origins = new Map<string, Origin>();
  readonly #ended = Promise.withResolvers<void>();
  isClosing = false;
  isDestroyed = false;

  /** `linesMax`: connections to one origin. */
  constructor(options: { connector: Connector; linesMax: number; nowMs: () => number }) {
    this.connector = options.connector;
    this.linesMax = options.linesMax;
    this.nowMs = options.nowMs;
  }

  take(place: Place, exchange: StreamExchange): void {
    const key = keyOf(place);
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = new Origin(this, place);
      this.#origins.set(key, origin);
    }
    origin.take(exchange);
  }

  /** Closes the connections that were free for too long, and forgets origins that are not called any more. */
  sweep(): void {
    const nowMs = this.nowMs();
    for (const [key, origin] of this.#origins) {
      origin.closeIdle(nowMs);
      if (origin.isEmpty) this.#origins.delete(key);
    }
  }

  /** Something has ended: it may have been the last. */
  settle(): void {
    if (!this.isClosing) return;
    for (const origin of this.#origins.values()) if (!origin.isEmpty) return;
    this.#ended.resolve();
  }

  /** Lets running exchanges finish; resolves when the last connection is closed. */
  async close(): Promise<void> {
    this.isClosing = true;
    for (const origin of this.#origins.values()) origin.closeIdle(Infinity);
    this.settle();
    await this.#ended.promise;
  }

  /** Ends everything at once; exchanges fail as aborted. */
  async destroy(): Promise<void> {
    this.isClosing = true;
    this.isDestroyed = true;
    for (const origin of this.#origins.values()) origin.destroy();
    this.settle();
    await this.#ended.promise;
  }
}

function keyOf({ protocol, pair }: Place): string {
  return protocol + pair;
}
