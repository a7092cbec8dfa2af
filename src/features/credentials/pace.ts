/**
 * Limits token requests per provider after a restart or an outage, when thousands of tokens end at once (fault 22).
 * Callers who wait for a token go before refreshes that nobody waits for. The rate is kept by all nodes together
 * (`store-pace.ts`), the number running by each.
 */
import type { Clock } from '../../base/clock.ts';

export interface PaceLimits {
  /** At the same time in this process. */
  running: number;
  /** Takes the lane's next start among all nodes; resolves to the milliseconds until then. Absent: no rate. */
  reserve?: () => Promise<number>;
}

export interface Ticket {
  /** Moves a waiting ticket ahead of those that nobody waits for. */
  hurry(): void;
  /** Resolves when it may start; rejects when the pace is ended first, or with the error of `reserve`. */
  readonly turn: Promise<void>;
  /** Gives the place to the next. Safe to call twice, and before the turn came. */
  release(): void;
}

interface Waiting {
  start(): void;
  refuse(reason: unknown): void;
}

class Lane {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #urgent: Waiting[] = [];
  readonly #later: Waiting[] = [];
  #running = 0;
  #pumping = false;

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
    void this.#pump();
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
        void this.#pump();
      },
    };
  }

  /** Refuses everything that has not started. */
  end(reason: unknown): void {
    for (const waiting of [...this.#urgent.splice(0), ...this.#later.splice(0)]) waiting.refuse(reason);
  }

  get #startable(): boolean {
    return this.#running < this.#limits.running && this.#urgent.length + this.#later.length > 0;
  }

  /** One start is reserved at a time, so that who goes first is decided when it goes. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#startable) {
        const waitMs = (await this.#limits.reserve?.()) ?? 0;
        if (waitMs > 0) await this.#clock.sleep(waitMs);
        // Whoever waited may have left meanwhile; their start is lost, a twentieth of a second.
        (this.#urgent.shift() ?? this.#later.shift())?.start();
      }
    } catch (error) {
      // Nobody may start without the database: the claim would fail next.
      this.end(error);
    } finally {
      this.#pumping = false;
    }
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
    end(reason: unknown): void {
      for (const lane of lanes.values()) lane.end(reason);
    },
  };
}

export type Pace = ReturnType<typeof createPace>;
