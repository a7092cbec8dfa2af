/**
 * Limits token requests per provider after a restart or an outage, when thousands of tokens end at once (fault 22).
 * Callers who wait for a token go before refreshes that nobody waits for. The limit is per node.
 */
import type { Clock } from '../../base/clock.ts';

export interface PaceLimits {
  /** Starts per second. */
  perSecond: number;
  /** Exchanges at the same time. */
  running: number;
}

export interface Ticket {
  /** Moves a waiting ticket ahead of those that nobody waits for. */
  hurry(): void;
  /** Resolves when it may start; rejects when the pace is ended first. */
  readonly turn: Promise<void>;
  /** Gives the place to the next. Safe to call twice, and before the turn came. */
  release(): void;
}

interface Waiting {
  start(): void;
  refuse(reason: Error): void;
}

class Lane {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #urgent: Waiting[] = [];
  readonly #later: Waiting[] = [];
  #running = 0;
  #nextStartMs = 0;
  #waking = false;

  constructor(clock: Clock, limits: PaceLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#urgent.length === 0 && this.#later.length === 0;
  }

  enter(urgent: boolean): Ticket {
    const { promise: turn, resolve, reject } = Promise.withResolvers<void>();
    let state: 'waiting' | 'running' | 'over' = 'waiting';
    const waiting: Waiting = {
      start: () => {
        state = 'running';
        this.#running += 1;
        resolve();
      },
      refuse: (reason) => {
        state = 'over';
        reject(reason);
      },
    };
    (urgent ? this.#urgent : this.#later).push(waiting);
    this.#pump();
    return {
      turn,
      hurry: () => {
        const at = this.#later.indexOf(waiting);
        if (at < 0) return;
        this.#later.splice(at, 1);
        this.#urgent.push(waiting);
      },
      release: () => {
        if (state === 'over') return;
        if (state === 'running') this.#running -= 1;
        else for (const queue of [this.#urgent, this.#later]) remove(queue, waiting);
        state = 'over';
        this.#pump();
      },
    };
  }

  /** Refuses everything that has not started. */
  end(reason: Error): void {
    for (const waiting of [...this.#urgent.splice(0), ...this.#later.splice(0)]) waiting.refuse(reason);
  }

  #pump(): void {
    while (this.#running < this.#limits.running) {
      const queue = this.#urgent.length > 0 ? this.#urgent : this.#later;
      if (queue.length === 0) return;
      const waitMs = this.#nextStartMs - this.#clock.monotonicMs();
      if (waitMs > 0) {
        this.#wake(waitMs);
        return;
      }
      this.#nextStartMs = this.#clock.monotonicMs() + 1_000 / this.#limits.perSecond;
      (queue.shift() as Waiting).start();
    }
  }

  async #pumpLater(waitMs: number): Promise<void> {
    await this.#clock.sleep(waitMs);
    this.#waking = false;
    this.#pump();
  }

  #wake(waitMs: number): void {
    if (this.#waking) return;
    this.#waking = true;
    void this.#pumpLater(waitMs);
  }
}

function remove(queue: Waiting[], waiting: Waiting): void {
  const at = queue.indexOf(waiting);
  if (at >= 0) queue.splice(at, 1);
}

/** Lanes by name; idle ones are forgotten. */
export function createPace(clock: Clock) {
  const lanes = new Map<string, Lane>();
  return {
    enter(name: string, limits: PaceLimits, urgent: boolean): Ticket {
      let lane = lanes.get(name);
      if (lane === undefined) {
        for (const [other, each] of lanes) if (each.idle) lanes.delete(other);
        lane = new Lane(clock, limits);
        lanes.set(name, lane);
      }
      return lane.enter(urgent);
    },
    /** For shutdown: refuses everything that has not started. */
    end(reason: Error): void {
      for (const lane of lanes.values()) lane.end(reason);
    },
  };
}

export type Pace = ReturnType<typeof createPace>;
