import { describe, expect, it } from 'vitest';
import { handClock, turns } from '../../../test/support/evil.ts';
import { createPace, type Ticket } from './pace.ts';

function started(ticket: Ticket) {
  const state = { started: false, refused: undefined as unknown };
  void (async () => {
    try {
      await ticket.turn;
      state.started = true;
    } catch (reason) {
      state.refused = reason;
    }
  })();
  return state;
}

/** The arithmetic of `store-pace.ts` on a hand-driven clock: what the database does for all nodes. */
function sharedStarts(clock: { monotonicMs(): number }, perSecond: number) {
  let nextStartMs = 0;
  return async () => {
    const startMs = Math.max(nextStartMs, clock.monotonicMs());
    nextStartMs = startMs + 1_000 / perSecond;
    return startMs - clock.monotonicMs();
  };
}

describe('pace', () => {
  it('lets a lone request through at once', async () => {
    const pace = createPace(handClock());
    await pace.enter('lane', { running: 1 }, false).turn;
  });

  it('fault 22: starts at most 20 per second, those that somebody waits for first', async () => {
    const clock = handClock();
    const pace = createPace(clock);
    const limits = { running: 1_000, reserve: sharedStarts(clock, 20) };
    const order: string[] = [];
    const enter = (name: string, urgent: boolean) => {
      const ticket = pace.enter('lane', limits, urgent);
      void ticket.turn.then(() => order.push(name));
      return ticket;
    };
    const first = enter('first', false);
    await first.turn;
    const later = Array.from({ length: 500 }, (_, index) => enter(`later-${index}`, false));
    const urgent = Array.from({ length: 10 }, (_, index) => enter(`urgent-${index}`, true));
    (later[400] as Ticket).hurry();
    await turns();
    expect(order).toEqual(['first']);
    for (let step = 0; step < 20; step += 1) {
      clock.advance(50);
      await turns();
    }
    expect(order).toHaveLength(21);
    expect(order.slice(1, 13)).toEqual([...urgent.map((_, index) => `urgent-${index}`), 'later-400', 'later-0']);
  });

  it('fault 22: 2,000 tokens ended at once on two nodes: one start each, 20 in any second of all nodes', async () => {
    const clock = handClock();
    const reserve = sharedStarts(clock, 20);
    const startedAtMs: number[] = [];
    const names = new Set<string>();
    for (const node of ['a', 'b']) {
      const pace = createPace(clock);
      for (let index = 0; index < 1_000; index += 1) {
        const ticket = pace.enter('provider', { running: 20, reserve }, index % 2 === 0);
        void (async () => {
          await ticket.turn;
          startedAtMs.push(clock.monotonicMs());
          names.add(`${node}-${index}`);
          await clock.sleep(120); // the exchange
          ticket.release();
        })();
      }
    }
    for (let elapsedMs = 0; elapsedMs < 110_000; elapsedMs += 10) {
      await turns(1);
      clock.advance(10);
    }
    expect(startedAtMs).toHaveLength(2_000);
    expect(names.size).toBe(2_000);
    // Any 21 starts in a row take at least a second, whichever node made them.
    const spans = startedAtMs.slice(20).map((atMs, index) => atMs - (startedAtMs[index] as number));
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(1_000);
    expect((startedAtMs.at(-1) as number) - (startedAtMs[0] as number)).toBeLessThan(101_000);
  });

  it('keeps to the number running, and goes on when one ends', async () => {
    const lane = createPace(handClock());
    const limits = { running: 2 };
    const tickets = Array.from({ length: 4 }, () => lane.enter('lane', limits, true));
    const states = tickets.map(started);
    await turns(5);
    expect(states.map((state) => state.started)).toEqual([true, true, false, false]);
    (tickets[0] as Ticket).release();
    (tickets[0] as Ticket).release();
    await turns(2);
    expect(states.map((state) => state.started)).toEqual([true, true, true, false]);
    (tickets[3] as Ticket).release();
    (tickets[1] as Ticket).release();
    await lane.enter('another lane', limits, false).turn;
  });

  it('keeps lanes apart, and refuses what waits at the end', async () => {
    const clock = handClock();
    const pace = createPace(clock);
    const limits = { running: 1 };
    await pace.enter('one', limits, true).turn;
    await pace.enter('two', limits, true).turn;
    const waiting = started(pace.enter('one', limits, true));
    const reason = new Error('shutting down');
    pace.end(reason);
    await turns(1);
    expect(waiting).toEqual({ started: false, refused: reason });
  });

  it('refuses what waits when the database is away, and serves who comes later', async () => {
    const pace = createPace(handClock());
    const away = new Error('no database');
    let isAway = true;
    const limits = { running: 1, reserve: () => (isAway ? Promise.reject(away) : Promise.resolve(0)) };
    const states = [pace.enter('one', limits, true), pace.enter('one', limits, false)].map(started);
    await turns(2);
    expect(states).toEqual([
      { started: false, refused: away },
      { started: false, refused: away },
    ]);
    isAway = false;
    await pace.enter('one', limits, false).turn;
  });
});
