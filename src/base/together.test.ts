import { describe, expect, it } from 'vitest';
import { HawserError } from './errors.ts';
import { createTogether } from './together.ts';

/** Nobody is so slow here that those behind would go beside it. */
const patient = { clock: { sleep: () => new Promise<void>(() => {}) } };

describe('statements of one shape', () => {
  it('go at once when alone, gather while others are under way, and answer each its own', async () => {
    const gate = Promise.withResolvers<void>();
    const sent: number[][] = [];
    const ask = createTogether(async (items: readonly number[]) => {
      sent.push([...items]);
      await gate.promise;
      return items.map((item) => item * 10);
    }, patient);
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
      {
        ...patient,
        gather: (later) => {
          gathered += 1;
          go = later;
        },
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
    }, patient);
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
    }, patient);
    const ends = await Promise.allSettled(Array.from({ length: 500 }, (_, at) => ask(at)));
    expect(new Set(ends.map((end) => (end.status === 'rejected' ? end.reason : undefined)))).toEqual(new Set([away]));
    expect(sent).toBeLessThan(4);
  });

  it('fault 19: wait a moment only for others that hang, and then go beside them', async () => {
    const sleeps: (() => void)[] = [];
    const clock = { sleep: () => new Promise<void>((resolve) => sleeps.push(resolve)) };
    const sent: number[][] = [];
    const ask = createTogether(
      (items: readonly number[]) => {
        sent.push([...items]);
        return items[0] === undefined || items[0] < 3 ? new Promise<number[]>(() => {}) : Promise.resolve([...items]);
      },
      { clock },
    );
    void ask(1);
    void ask(2);
    const answers = Promise.all([ask(3), ask(4)]);
    expect([sent, sleeps.length]).toEqual([[[1], [2]], 1]);
    sleeps.shift()?.();
    expect(await answers).toEqual([3, 4]);
    expect(sent).toEqual([[1], [2], [3, 4]]);
    const late = ask(5);
    expect(sleeps).toHaveLength(1);
    sleeps.shift()?.();
    expect(await late).toBe(5);
  });

  it('fault 19: nobody goes beside statements that come back', async () => {
    const sleeps: (() => void)[] = [];
    const clock = { sleep: () => new Promise<void>((resolve) => sleeps.push(resolve)) };
    const gates: (() => void)[] = [];
    let flying = 0;
    let most = 0;
    const ask = createTogether(
      async (items: readonly number[]) => {
        most = Math.max(most, (flying += 1));
        await new Promise<void>((resolve) => gates.push(resolve));
        flying -= 1;
        return [...items];
      },
      { clock },
    );
    const answers: Promise<number>[] = [];
    for (let at = 0; at < 20; at += 1) {
      answers.push(ask(at));
      if (at % 4 !== 3) continue;
      gates.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
      // A moment is over, and who waits now is not who waited at its beginning.
      sleeps.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (gates.length > 0) {
      gates.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(most).toBe(2);
  });
});
