/** What one node has taken for one endpoint: some of it under way, some waiting for its turn, some being stored. */
import type { SigningKeys } from './headers.ts';
import type { ClaimedDelivery, DueEndpoint } from './store-queue.ts';

/** Taken ahead of their turn, so that a statement brings many. */
const AHEAD_MAX = 64;
/** No more than this of bodies is taken ahead for one endpoint. */
const AHEAD_BYTES_MAX = 1024 * 1024;
/** Answered and not yet stored: what a kill would send twice. */
export const UNSTORED_MAX = 32;

export interface Waiting extends ClaimedDelivery {
  /** Monotonic: after it the lease is too near its end to begin. */
  beginByMs: number;
}

export class Lane {
  endpoint: DueEndpoint;
  keys: SigningKeys;
  readonly queue: Waiting[] = [];
  running = 0;
  unstored = 0;
  /** Tries in a row that were not taken. */
  misses = 0;
  /** Rises when the endpoint is changed, removed or disabled: what was begun with an older number is not sent. */
  version = 0;
  #bytesEach = AHEAD_BYTES_MAX;

  constructor(endpoint: DueEndpoint, keys: SigningKeys) {
    this.endpoint = endpoint;
    this.keys = keys;
  }

  get isEmpty(): boolean {
    return this.queue.length + this.running + this.unstored === 0;
  }

  /** How many to take now, when `most` may be under way at a time. */
  roomFor(most: number): number {
    if (most <= 1) return Math.max(0, most - this.running - this.unstored - this.queue.length);
    if (this.queue.length >= most) return 0;
    const ahead = Math.min(AHEAD_MAX, Math.max(most, Math.floor(AHEAD_BYTES_MAX / this.#bytesEach)));
    return ahead - this.queue.length;
  }

  add(claimed: readonly ClaimedDelivery[], beginByMs: number): void {
    const bytes = claimed.reduce((sum, { sealed }) => sum + (sealed?.length ?? 0), 0);
    if (claimed.length > 0) this.#bytesEach = Math.max(1, bytes / claimed.length);
    for (const one of claimed) this.queue.push({ ...one, beginByMs });
  }

  /** The next one whose turn it is. */
  next(most: number): Waiting | undefined {
    return this.running >= most || this.unstored >= UNSTORED_MAX ? undefined : this.queue.shift();
  }

  /** Takes out what has waited for too long to be begun under its lease. */
  takeLate(nowMs: number): Waiting[] {
    const inTime = this.queue.findIndex(({ beginByMs }) => nowMs <= beginByMs);
    return this.queue.splice(0, inTime < 0 ? this.queue.length : inTime);
  }
}
