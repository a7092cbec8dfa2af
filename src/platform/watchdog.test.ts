import { describe, expect, it } from 'vitest';
import type { Clock } from '../base/clock.ts';
import { silentLog, type LogFields } from '../base/log.ts';
import { systemClock } from './clock.ts';
import { watchEventLoop } from './watchdog.ts';

function remember() {
  const lines: (LogFields | undefined)[] = [];
  return { lines, log: { ...silentLog, warn: (_message: string, fields?: LogFields) => void lines.push(fields) } };
}

describe('the watchdog of the event loop', () => {
  it('fault 28: tells of more than 200 ms, the worst of a second once', () => {
    const { lines, log } = remember();
    let nowMs = 0;
    let tick = (): void => {};
    let stopped = false;
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => nowMs,
      every(_ms, run) {
        tick = run;
        return () => (stopped = true);
      },
    };
    const stop = watchEventLoop({ log, clock });
    const after = (ms: number): void => {
      nowMs += ms;
      tick();
    };
    after(100);
    after(300);
    expect(lines).toEqual([]);
    after(301);
    expect(lines).toEqual([{ blockedMs: 201, heapMiB: expect.any(Number) }]);
    after(500);
    after(350);
    expect(lines).toHaveLength(1);
    after(150);
    expect(lines.slice(1)).toEqual([{ blockedMs: 400, heapMiB: expect.any(Number) }]);
    after(2_100);
    expect(lines.slice(2)).toEqual([{ blockedMs: 2_000, heapMiB: expect.any(Number) }]);
    stop();
    expect(stopped).toBe(true);
  });

  it('fault 28: sees a real block', async () => {
    const { lines, log } = remember();
    const stop = watchEventLoop({ log, clock: systemClock });
    const endsAtMs = performance.now() + 500;
    while (performance.now() < endsAtMs);
    while (lines.length === 0) await systemClock.sleep(20);
    stop();
    expect(lines[0]?.['blockedMs']).toBeGreaterThan(200);
  });
});
