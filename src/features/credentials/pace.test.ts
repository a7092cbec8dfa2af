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

describe('pace', () => {
  it('lets a lone request through at once', async () => {
    const pace = createPace(handClock());
    await pace.enter('lane', { perSecond: 20, running: 1 }, false).turn;
  });

  it('starts at most 20 per second, those that somebody waits for first (fault 22)', async () => {
    const clock = handClock();
    const pace = createPace(clock);
    const limits = { perSecond: 20, running: 1_000 };
    const order: string[] = [];
    const enter = (name: string, urgent: boolean) => {
      const ticket = pace.enter('lane', limits, urgent);
      void ticket.turn.then(() => order.push(name));
      return ticket;
    };
    const later = Array.from({ length: 500 }, (_, index) => enter(`later-${index}`, false));
    const urgent = Array.from({ length: 10 }, (_, index) => enter(`urgent-${index}`, true));
    (later[400] as Ticket).hurry();
    await turns();
    expect(order).toEqual(['later-0']);
    for (let step = 0; step < 20; step += 1) {
      clock.advance(50);
      await turns(1);
    }
    expect(order).toHaveLength(21);
    expect(order.slice(1, 12)).toEqual([...urgent.map((_, index) => `urgent-${index}`), 'later-400']);
    expect(order[12]).toBe('later-1');
  });

  it('keeps to the number running, and goes on when one ends', async () => {
    const pace = createPace(handClock());
    const limits = { perSecond: 1_000_000, running: 2 };
    const clock = handClock();
    const lane = createPace(clock);
    const tickets = Array.from({ length: 4 }, () => lane.enter('lane', limits, true));
    const states = tickets.map(started);
    for (let step = 0; step < 5; step += 1) {
      clock.advance(1);
      await turns(1);
    }
    expect(states.map((state) => state.started)).toEqual([true, true, false, false]);
    (tickets[0] as Ticket).release();
    (tickets[0] as Ticket).release();
    clock.advance(1);
    await turns(2);
    expect(states.map((state) => state.started)).toEqual([true, true, true, false]);
    (tickets[3] as Ticket).release();
    (tickets[1] as Ticket).release();
    await pace.enter('another lane', limits, false).turn;
  });

  it('keeps lanes apart, and refuses what waits at the end', async () => {
    const clock = handClock();
    const pace = createPace(clock);
    const limits = { perSecond: 20, running: 1 };
    await pace.enter('one', limits, true).turn;
    await pace.enter('two', limits, true).turn;
    const waiting = started(pace.enter('one', limits, true));
    const reason = new Error('shutting down');
    pace.end(reason);
    await turns(1);
    expect(waiting).toEqual({ started: false, refused: reason });
  });
});
