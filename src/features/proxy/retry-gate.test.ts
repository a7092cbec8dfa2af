import { describe, expect, it } from 'vitest';
import { handClock, until } from '../../../test/support/evil.ts';
import { createRetryGate, PLACE_WAIT_MS_MAX, REPETITIONS_MAX, type Repetition } from './retry-gate.ts';

const integration = { environmentId: 1, id: 7 };

/** Asks for `count` places; `inside` grows as they are given. */
function crowd(count: number, clock = handClock()) {
  const gate = createRetryGate(clock);
  const inside: Repetition[] = [];
  const leave = Array.from({ length: count }, () => {
    const gone = new AbortController();
    gate.enter(integration, gone.signal).then(
      (one) => inside.push(one),
      () => undefined, // it left
    );
    return gone;
  });
  const has = (wanted: number): Promise<void> => until(() => inside.length === wanted, `${wanted} places`);
  return { gate, clock, inside, leave, has };
}

/** All that can happen without time passing has happened. */
const settled = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe('fault 13: the repetitions of an integration', () => {
  it('fault 13: go a few at a time, and each that ends calls the next', async () => {
    const { inside, has } = crowd(REPETITIONS_MAX + 10);
    await has(REPETITIONS_MAX);
    await settled();
    expect(inside).toHaveLength(REPETITIONS_MAX);
    inside[0]?.end(false);
    inside[0]?.end(false);
    await has(REPETITIONS_MAX + 1);
    await settled();
    expect(inside).toHaveLength(REPETITIONS_MAX + 1);
  });

  it('fault 13: become fewer the more often they are refused, and more again', async () => {
    const { inside, has } = crowd(200);
    let round: Repetition[] = [];
    const next = async (size: number): Promise<void> => {
      const before = inside.length;
      await has(before + size);
      await settled();
      expect(inside.length - before).toBe(size);
      round = inside.slice(before);
    };
    await next(REPETITIONS_MAX);
    for (const size of [16, 8, 4, 2, 1, 1]) {
      // All of a round are refused together: that is one fall.
      const ended = Promise.resolve().then(() => round.forEach((one) => one.end(true)));
      await Promise.all([ended, next(size)]);
    }
    round[0]?.end(false);
    await next(2);
    round.forEach((one) => one.end(false));
    await next(4);
    // Nobody knows how these ended: nothing is learned.
    round.forEach((one) => one.end());
    await next(4);
  });

  it('fault 13: of another integration, and those a good while later, know nothing of it', async () => {
    const { gate, clock, inside, has } = crowd(REPETITIONS_MAX);
    await has(REPETITIONS_MAX);
    const other = { environmentId: 1, id: 8 };
    (await gate.enter(other)).end(true);
    inside.forEach((one) => one.end(true));
    const places = async (of: typeof other): Promise<number> => {
      let given = 0;
      const gone = new AbortController();
      for (let index = 0; index < REPETITIONS_MAX; index += 1) {
        gate.enter(of, gone.signal).then(
          (one) => {
            given += 1;
            if (gone.signal.aborted) one.end();
            else gone.signal.addEventListener('abort', () => one.end());
          },
          () => undefined, // it left
        );
      }
      await settled();
      const places = given;
      gone.abort();
      await settled();
      return places;
    };
    expect(await places(integration)).toBe(REPETITIONS_MAX / 2);
    expect(await places({ environmentId: 2, id: 7 })).toBe(REPETITIONS_MAX);
    clock.advance(600_001);
    expect(await places(integration)).toBe(REPETITIONS_MAX);
  });

  it('who leaves the line is passed over', async () => {
    const { inside, leave, has } = crowd(REPETITIONS_MAX + 3);
    await has(REPETITIONS_MAX);
    leave[REPETITIONS_MAX]?.abort();
    await settled();
    inside[0]?.end(false);
    await has(REPETITIONS_MAX + 1);
    inside[1]?.end(false);
    await has(REPETITIONS_MAX + 2);
  });

  it('nobody waits longer than a minute: then the call goes out all the same', async () => {
    const { gate, clock, inside, has } = crowd(REPETITIONS_MAX + 1);
    await has(REPETITIONS_MAX);
    clock.advance(PLACE_WAIT_MS_MAX);
    await has(REPETITIONS_MAX + 1);
    // Its place is one too many: the next waits until two have ended.
    let hasNext = false;
    void gate.enter(integration).then(() => (hasNext = true));
    inside[0]?.end(false);
    await settled();
    expect(hasNext).toBe(false);
    inside[1]?.end(false);
    await until(() => hasNext, 'the next one');
  });
});
