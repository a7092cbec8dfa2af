/**
 * @module emulators/engine/clock
 *
 * The engine's default clock. Emulators may not import `src/platform`, so this file is the one listed exception to
 * "the machine's clock is read in the platform only".
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/base/clock.ts';

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal });
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** The same clock with its wall time moved by `skewMs()`; durations are not touched. */
export function skewedClock(clock: Clock, skewMs: () => number): Clock {
  return {
    now: () => clock.now() + skewMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    every: (ms, run) => clock.every(ms, run),
  };
}
