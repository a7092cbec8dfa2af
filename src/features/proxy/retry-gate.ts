/**
 * Repetitions share what a provider lets through. A provider that refuses many calls at once tells all of them to come
 * back at the same moment; they go one behind the other instead, fewer at a time the more it refuses.
 * Source: threats and faults, fault 13. First tries never wait here.
 */
import type { Clock } from '../../base/clock.ts';
import { Recent } from '../../base/recent.ts';

/** Repetitions of one integration at the same time while none of them was refused. */
export const REPETITIONS_MAX = 32;
/** Nobody waits longer for a place: then the call goes out all the same. */
export const PLACE_WAIT_MS_MAX = 60_000;
/** What was learned about a provider so long ago says nothing any more. */
const FORGET_AFTER_MS = 600_000;
const INTEGRATIONS_MAX = 1_000;

/** A place among the repetitions of an integration. */
export interface Repetition {
  /** `refused`: the provider said "later" again, or nothing. Left out: nobody knows. Only the first word counts. */
  end(refused?: boolean): void;
}

export interface RetryGate {
  /** Waits for a place. Rejects when `signal` aborts. */
  enter(integration: { environmentId: number; id: number }, signal?: AbortSignal): Promise<Repetition>;
}

interface Lane {
  max: number;
  running: number;
  /** Counts up with each fall, so that calls refused together make it fall once. */
  round: number;
  usedAtMs: number;
  waiting: Set<() => void>;
}

export function createRetryGate(clock: Clock): RetryGate {
  const lanes = new Recent<string, Lane>(INTEGRATIONS_MAX);

  function laneOf(key: string): Lane {
    const nowMs = clock.monotonicMs();
    let lane = lanes.get(key);
    if (lane === undefined || (lane.running === 0 && nowMs - lane.usedAtMs > FORGET_AFTER_MS)) {
      lane = { max: REPETITIONS_MAX, running: 0, round: 0, usedAtMs: nowMs, waiting: new Set() };
      lanes.set(key, lane);
    }
    lane.usedAtMs = nowMs;
    return lane;
  }

  /** Resolves when it is its turn, or when it has waited long enough. */
  async function turn(lane: Lane, signal: AbortSignal | undefined): Promise<void> {
    const called = new AbortController();
    const call = (): void => called.abort();
    lane.waiting.add(call);
    const ended = signal === undefined ? called.signal : AbortSignal.any([called.signal, signal]);
    await clock.sleep(PLACE_WAIT_MS_MAX, ended).catch(() => undefined); // called, or the caller has left
    lane.waiting.delete(call);
    if (signal?.aborted === true && !called.signal.aborted) signal.throwIfAborted();
    if (!called.signal.aborted) lane.running += 1;
  }

  function callNext(lane: Lane): void {
    for (const call of lane.waiting) {
      if (lane.running >= lane.max) return;
      // The place is taken here, not when the caller wakes up: nobody comes in between.
      lane.waiting.delete(call);
      lane.running += 1;
      call();
    }
  }

  return {
    async enter({ environmentId, id }, signal) {
      const lane = laneOf(`${environmentId}:${id}`);
      if (lane.running < lane.max && lane.waiting.size === 0) lane.running += 1;
      else await turn(lane, signal);
      const { round } = lane;
      let isOver = false;
      return {
        end(refused) {
          if (isOver) return;
          isOver = true;
          lane.running -= 1;
          if (refused === false) lane.max = Math.min(REPETITIONS_MAX, lane.max + 1);
          else if (refused === true && round === lane.round) {
            lane.max = Math.max(1, Math.floor(lane.max / 2));
            lane.round += 1;
          }
          callNext(lane);
        },
      };
    },
  };
}
