import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';

/** Everybody who waits on this node waits this long; beyond it people notice. */
const BLOCKED_MS = 200;
const TICK_MS = 100;
/** A loop that is blocked again and again is told once in this time, with the worst of it. */
const TELL_EVERY_MS = 1_000;

export interface WatchdogDeps {
  log: Log;
  clock: Clock;
}

/**
 * Writes a warning when the event loop stood still for more than 200 ms, at most one a second. Returns what stops it.
 * A machine that slept and a process that was paused look the same.
 */
export function watchEventLoop({ log, clock }: WatchdogDeps): () => void {
  let tickedAtMs = clock.monotonicMs();
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let worstMs = 0;
  return clock.every(TICK_MS, () => {
    const nowMs = clock.monotonicMs();
    worstMs = Math.max(worstMs, nowMs - tickedAtMs - TICK_MS);
    tickedAtMs = nowMs;
    if (worstMs <= BLOCKED_MS || nowMs - toldAtMs < TELL_EVERY_MS) return;
    const heapMiB = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
    log.warn('the event loop stood still; every caller waited', { blockedMs: Math.round(worstMs), heapMiB });
    toldAtMs = nowMs;
    worstMs = 0;
  });
}
