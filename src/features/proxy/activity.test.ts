import { describe, expect, it } from 'vitest';
import { handClock } from '../../../test/support/evil.ts';
import type { ActivityEntry } from '../activity/index.ts';
import type { Connection } from '../connections/index.ts';
import { createCallLog, type DoneCall } from './activity.ts';
import { EQUAL_LINES_MAX, EQUAL_WINDOW_MS } from './limits.ts';

function start() {
  const clock = handClock();
  const entries: ActivityEntry[] = [];
  const log = createCallLog({ activity: { record: (entry) => void entries.push(entry) }, clock });
  const call = (over: Partial<DoneCall> = {}): void =>
    log.record({
      connection: { environmentId: 1, id: 7 } as Connection,
      integration: 'one',
      method: 'GET',
      path: '/things',
      status: 200,
      durationMs: 10,
      retries: 0,
      code: undefined,
      ...over,
    });
  return { clock, entries, log, call };
}

describe('the activity of calls', () => {
  it('has a line per call, and one for all equal ones when they are many', () => {
    const { clock, entries, call } = start();
    for (let i = 0; i < EQUAL_LINES_MAX + 90; i++) call({ durationMs: i < EQUAL_LINES_MAX ? 1000 : 20 });
    call({ path: '/other' });
    expect(entries).toHaveLength(EQUAL_LINES_MAX + 1);
    clock.advance(EQUAL_WINDOW_MS);
    expect(entries.slice(EQUAL_LINES_MAX + 1)).toEqual([
      {
        environmentId: 1,
        kind: 'call',
        ok: true,
        connectionId: 7,
        integration: 'one',
        summary: 'GET /things → 200, 90 more',
        detail: { status: 200, durationMs: 20, retries: 0, calls: 90 },
      },
    ]);
    call();
    clock.advance(EQUAL_WINDOW_MS);
    expect(entries.at(-1)?.summary).toBe('GET /things → 200');
  });

  it('never counts failures and repetitions together', () => {
    const { entries, call } = start();
    for (let i = 0; i < 50; i++) {
      call({ status: 404 });
      call({ status: 0, code: 'ECONNREFUSED' });
      call({ retries: 1 });
    }
    expect(entries).toHaveLength(150);
  });

  it('loses no count when it ends, or when the paths are many', () => {
    const { entries, log, call } = start();
    for (let i = 0; i < 5_000; i++) {
      call({ path: `/things/${i % 1_500}` });
      call();
    }
    log.close();
    const told = entries.reduce((sum, { detail }) => sum + Number(detail?.['calls'] ?? 1), 0);
    expect(told).toBe(10_000);
  });
});
