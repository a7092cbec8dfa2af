/**
 * @module emulators/engine/manual-clock
 *
 * A clock that a test moves by hand, so that codes expire and limits end without waiting.
 */
import type { Clock } from '../../src/base/clock.ts';

export interface ManualClock extends Clock {
  /** Moves the time. Sleepers wake in order; what repeats runs once, however long the step was. */
  advance(ms: number): void;
}

interface Sleeper {
  dueMs: number;
  wake(): void;
}

interface Repeater {
  dueMs: number;
  everyMs: number;
  run(): void;
}

/** A clock that stands still at `startMs` (default: a fixed day in 2026) until it is moved. */
export function createManualClock(startMs: number = Date.UTC(2026, 10, 2, 9, 30, 15)): ManualClock {
  let nowMs = startMs;
  const sleepers = new Set<Sleeper>();
  const repeaters = new Set<Repeater>();

  return {
    now: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        signal?.throwIfAborted();
        const sleeper = { dueMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      }),
    every(ms, run) {
      const repeater = { dueMs: nowMs + ms, everyMs: ms, run };
      repeaters.add(repeater);
      return () => repeaters.delete(repeater);
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      const due = [...sleepers].filter((each) => each.dueMs <= untilMs).toSorted((a, b) => a.dueMs - b.dueMs);
      for (const sleeper of due) {
        sleepers.delete(sleeper);
        nowMs = Math.max(nowMs, sleeper.dueMs);
        sleeper.wake();
      }
      nowMs = untilMs;
      for (const repeater of repeaters) {
        if (repeater.dueMs > nowMs) continue;
        repeater.dueMs = nowMs + repeater.everyMs;
        repeater.run();
      }
    },
  };
}
