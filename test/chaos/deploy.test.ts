/** Deploys, and processes that end by themselves: what callers notice of it is nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from './campaign.ts';
import { settle } from './judge.ts';
import { STRICT_KINDS } from './providers.ts';
import { chanceFrom } from './seeded.ts';
import { createWorld, type Seat, type Subject, type World } from './world.ts';

/** CI asks for more. */
const ROUNDS = Number(process.env['RESTART_ROUNDS'] ?? 2);
const CALLERS = 6;

let database: TestDatabase;
let world: World;
let seats: Seat[];
let subjects: Subject[];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld({ databaseUrl: database.url });
  subjects = [];
  for (const kind of world.providers.keys()) subjects.push(await world.connect(kind), await world.connect(kind));
  seats = await Promise.all(['node-a', 'node-b'].map((name) => world.launch(name, { startsPerSecond: 500 })));
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

/** What stands before the nodes in a deployment: takes turns, and goes on to the next when one does not take the call. */
function roundRobin() {
  let turn = 0;
  return async (subject: Subject) => {
    turn += 1;
    const order = [seats[turn % 2] as Seat, seats[(turn + 1) % 2] as Seat];
    let answer = await world.read((order[0] as Seat).node, subject);
    // 0: connection refused; 503: says itself that it takes no new work.
    if (answer.status === 0 || answer.status === 503) answer = await world.read((order[1] as Seat).node, subject);
    return answer;
  };
}

describe('fault 12: deploys', () => {
  it(`fault 12: ${ROUNDS} rolling restarts of two nodes under load: no failed call, no lost refresh`, async () => {
    const chance = chanceFrom(12);
    const call = roundRobin();
    const eventId = await world.lastEventId();
    const failed: string[] = [];
    let calls = 0;
    let over = false;
    const caller = async (): Promise<void> => {
      while (!over) {
        const subject = chance.pick(subjects);
        const answer = await call(subject);
        calls += 1;
        if (answer.status !== 200) failed.push(`${subject.kind}: ${answer.status} ${answer.cause}`);
        await sleep(chance.whole(5, 40));
      }
    };
    // Tokens end all the time, while the old one is still good and when it is not.
    const time = (async () => {
      while (!over) {
        const ms = chance.pick([-1_000, 60_000]);
        await world.endIn([chance.pick(subjects)], ms).catch(() => {}); // a node has gone
        await sleep(20);
      }
    })();
    const callers = Array.from({ length: CALLERS }, caller);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const seat of seats) {
        const before = calls;
        await until(() => calls > before + 30);
        seat.node.signal('SIGTERM');
        expect(await seat.node.exited).toBe(0);
        expect(await world.spooled(seat)).toBe(0);
        await world.launch(seat.name, { startsPerSecond: 500 });
      }
    }
    over = true;
    await Promise.all([...callers, time]);
    expect(failed).toEqual([]);
    expect(calls).toBeGreaterThan(ROUNDS * 60);
    expect(world.front.served.length).toBeGreaterThan(ROUNDS * 2);
    const used = new Map<string, number>();
    for (const { kind, used: token } of world.front.served) {
      if (STRICT_KINDS.some((strict) => strict === kind)) used.set(token, (used.get(token) ?? 0) + 1);
    }
    expect([...used.values()].filter((times) => times > 1)).toEqual([]);
    for (const subject of subjects) {
      expect((await settle(world, (seats[0] as Seat).node, subject)).status).toBe(200);
      expect(await world.statesAfter(subject, eventId)).toEqual([]);
    }
  });
});

describe('fault 28: a heap that is full', () => {
  it('fault 28: ends the process; what it was about to do is done by the other node, once', async () => {
    const eventId = await world.lastEventId();
    const small = await world.launch('small', { startsPerSecond: 500, execArgv: ['--max-old-space-size=96'] });
    await world.endIn(subjects, -1_000);
    const from = world.front.served.length;
    // The answers come when the heap is full already.
    const gate = Promise.withResolvers<'answer'>();
    world.front.onServed = (entry) => (entry.node === 'small' ? gate.promise : 'answer');
    const calls = subjects.map((subject) => world.read(small.node, subject));
    await until(() => world.front.pending >= 3);
    small.node.tell({ do: 'eat memory' });
    expect(['SIGABRT', 'SIGTRAP', 134, 133]).toContain(await small.node.exited);
    expect(small.node.log).toContain('heap out of memory');
    gate.resolve('answer');
    world.front.onServed = undefined;
    await Promise.all(calls);
    await until(() => world.front.pending === 0);
    await world.leasesEnd('small');
    const survivor = (seats[0] as Seat).node;
    for (const subject of subjects) {
      const final = await settle(world, survivor, subject);
      const told = await world.statesAfter(subject, eventId);
      const asked = world.front.served
        .slice(from)
        .filter(({ node, kind }) => node === 'small' && kind === subject.kind);
      // As after a kill: only an answer that was on the wire may be lost, and then with one event and a reason.
      if (final.status === 200) expect([subject.kind, told]).toEqual([subject.kind, []]);
      else {
        expect(STRICT_KINDS).toContain(subject.kind);
        expect(asked.length).toBeGreaterThan(0);
        expect(told).toEqual([{ state: 'needs_reauth', reason: 'lost_rotation' }]);
      }
    }
  });
});
