import { describe, expect, it } from 'vitest';
import { HawserError } from './errors.ts';
import { createTogether } from './together.ts';

describe('statements of one shape', () => {
  it('go at once when alone, gather while others are under way, and answer each its own', async () => {
    const gate = Promise.withResolvers<void>();
    const sent: number[][] = [];
    const ask = createTogether(async (items: readonly number[]) => {
      sent.push([...items]);
      await gate.promise;
      return items.map((item) => item * 10);
    });
    const answers = [1, 2, 3, 4, 5].map(ask);
    expect(sent).toEqual([[1], [2]]);
    gate.resolve();
    expect(await Promise.all(answers)).toEqual([10, 20, 30, 40, 50]);
    expect(sent).toEqual([[1], [2], [3, 4, 5]]);
  });

  it('gather as long as they are told to, and those that come meanwhile go along', async () => {
    let go: (() => void) | undefined;
    let gathered = 0;
    const sent: number[][] = [];
    const ask = createTogether(
      async (items: readonly number[]) => {
        sent.push([...items]);
        return [...items];
      },
      (later) => {
        gathered += 1;
        go = later;
      },
    );
    const answers = [1, 2, 3].map(ask);
    expect([sent, gathered]).toEqual([[], 1]);
    go?.();
    expect(await Promise.all(answers)).toEqual([1, 2, 3]);
    const late = ask(4);
    go?.();
    expect([await late, gathered]).toEqual([4, 2]);
    expect(sent).toEqual([[1, 2, 3], [4]]);
  });

  it('fail alone: one that cannot be written harms no other', async () => {
    const gate = Promise.withResolvers<void>();
    const ask = createTogether(async (items: readonly number[]) => {
      await gate.promise;
      if (items.includes(4)) throw new Error('four');
      return [...items];
    });
    const answers = [1, 2, 3, 4, 5].map(ask);
    gate.resolve();
    const ends = await Promise.allSettled(answers);
    expect(ends.map((end) => (end.status === 'fulfilled' ? end.value : (end.reason as Error).message))).toEqual([
      1,
      2,
      3,
      'four',
      5,
    ]);
  });

  it('are all told at once that the database is away', async () => {
    const away = new HawserError('database_busy', { status: 503, message: 'Away.', retryable: true });
    let sent = 0;
    const ask = createTogether(async (_items: readonly number[]) => {
      sent += 1;
      await undefined;
      throw away;
    });
    const ends = await Promise.allSettled(Array.from({ length: 500 }, (_, at) => ask(at)));
    expect(new Set(ends.map((end) => (end.status === 'rejected' ? end.reason : undefined)))).toEqual(new Set([away]));
    expect(sent).toBeLessThan(4);
  });
});
