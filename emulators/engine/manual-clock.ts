/**
 * @module emulators/engine/manual-clock
 *
 * A clock that a test moves by hand, so that codes expire and limits end without waiting.
 */
import type { Clock } from '../../src/base/clock.ts';

export interface ManualClock extends Clock {
  /** Moves the time; whoever sleeps until then wakes, in order. */
  advance(ms: number): void;
}

interface Sleeper {
  dueMs: number;
  wake(): void;
}

/** A clock that stands still at `startMs` (default: a fixed day in 2026) until it is moved. */
export function createManualClock(startMs: number = Date.UTC(2026, 10, 2, 9, 30, 15)): ManualClock {
  let nowMs = startMs;
  let sleepers: Sleeper[] = [];

  function add(sleeper: Sleeper): () => void {
    sleepers.push(sleeper);
    return () => {
      sleepers = sleepers.filter((each) => each !== sleeper);
    };
  }

  return {
    now: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        signal?.throwIfAborted();
        const remove = add({ dueMs: nowMs + ms, wake: resolve });
        signal?.addEventListener('abort', () => {
          remove();
          reject(signal.reason as Error);
        });
      }),
    every(ms, run) {
      let remove = () => {};
      const arm = () => {
        remove = add({
          dueMs: nowMs + ms,
          wake: () => {
            arm();
            run();
          },
        });
      };
      arm();
      return () => remove();
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = sleepers.filter((each) => each.dueMs <= untilMs).toSorted((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        sleepers = sleepers.filter((each) => each !== next);
        nowMs = Math.max(nowMs, next.dueMs);
        next.wake();
      }
      nowMs = untilMs;
    },
  };
}
