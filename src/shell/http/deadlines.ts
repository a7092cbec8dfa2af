import type { Clock } from '../../base/clock.ts';
import { WATCH_INTERVAL_MS } from './limits.ts';

/** Many deadlines, one timer. */
export interface Deadlines {
  /** Calls `late` once after `ms`, unless the returned function is called before. */
  in(ms: number, late: () => void): () => void;
  stop(): void;
}

export function createDeadlines(clock: Clock): Deadlines {
  const open = new Set<{ atMs: number; late: () => void }>();
  const stop = clock.every(WATCH_INTERVAL_MS, () => {
    if (open.size === 0) return;
    const nowMs = clock.monotonicMs();
    for (const one of open) {
      if (one.atMs > nowMs) continue;
      open.delete(one);
      one.late();
    }
  });
  return {
    in(ms, late) {
      const one = { atMs: clock.monotonicMs() + ms, late };
      open.add(one);
      return () => void open.delete(one);
    },
    stop,
  };
}
