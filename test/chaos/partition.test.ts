/** A node that is cut off from the database, in one direction or in both, and nobody tells it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Direction } from '../support/relay.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from './campaign.ts';
import { settle } from './judge.ts';
import { createWorld, type Seat, type Subject, type World } from './world.ts';

const DIRECTIONS: readonly Direction[] = ['to server', 'from server', 'both'];
/** The row of the table says 10 s; a machine under load may add to it. */
const FLIP_TIMEOUT_MS = 20_000;
/** How long a caller of a cut-off node is listened to. */
const PATIENCE_MS = 1_000;

let database: TestDatabase;
let world: World;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld({ databaseUrl: database.url, kinds: ['same', 'strict'] });
});

afterAll(async () => {
  await world?.close();
  await database?.drop();
});

interface Cut {
  seat: Seat;
  direction: Direction;
  /** A token that is good and in the node's memory. */
  known: Subject;
  /** Strict; its refresh is at the provider when the link dies. */
  refreshing: Subject;
  call: Promise<unknown>;
}

async function isReady({ node }: Seat): Promise<boolean> {
  return (await fetch(`${node.url}/ready`)).status === 200;
}

/** The status that a caller gets in time, if any. */
async function statusOf({ node }: Seat, subject: Subject): Promise<number | 'none'> {
  const { connection, integration } = subject;
  const url = `${node.url}/connections/${connection.connectionId}?provider_config_key=${integration.uniqueKey}`;
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${world.apiKey}` },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 'none'; // still waiting for the database
  }
}

describe('fault 25: a node without its database', () => {
  it('fault 25: flips its readiness, serves nothing from memory, keeps the answer on disk, and heals', async () => {
    const eventId = await world.lastEventId();
    const survivor = await world.launch('survivor', { startsPerSecond: 500 });
    const gates = new Map<string, PromiseWithResolvers<'answer'>>();
    const cuts: Cut[] = [];
    for (const [at, direction] of DIRECTIONS.entries()) {
      const seat = await world.launch(`cut-${at}`, { startsPerSecond: 500 });
      const [known, refreshing] = [await world.connect('same'), await world.connect('strict')];
      expect((await world.read(seat.node, known)).status).toBe(200);
      await world.endIn([refreshing], -1_000);
      const gate = Promise.withResolvers<'answer'>();
      gates.set(seat.name, gate);
      world.front.onServed = ({ node }) => gates.get(node)?.promise ?? 'answer';
      const before = world.front.pending;
      const call = world.read(seat.node, refreshing);
      await until(() => world.front.pending > before);
      cuts.push({ seat, direction, known, refreshing, call });
    }
    for (const { seat } of cuts) expect(await isReady(seat)).toBe(true);

    for (const { seat, direction } of cuts) seat.relay.stall(direction);
    for (const gate of gates.values()) gate.resolve('answer');
    const endsAtMs = performance.now() + FLIP_TIMEOUT_MS;
    for (const { seat, direction } of cuts) {
      while ((await isReady(seat)) && performance.now() < endsAtMs) await sleep(100);
      expect([direction, await isReady(seat)]).toEqual([direction, false]);
    }
    expect(await isReady(survivor)).toBe(true);
    // The answer is safe although the database has not said no.
    for (const { seat } of cuts) await until(async () => (await world.spooled(seat)) === 1);
    for (const { seat, direction, known } of cuts) {
      expect([503, 'none'], direction).toContain(await statusOf(seat, known));
    }

    for (const { seat } of cuts) seat.relay.restore();
    for (const { seat, direction, known, refreshing, call } of cuts) {
      await until(() => isReady(seat));
      expect([direction, await isReady(seat)]).toEqual([direction, true]);
      await until(async () => (await world.spooled(seat)) === 0);
      await call;
      await world.leasesEnd(seat.name);
      for (const node of [seat.node, survivor.node]) {
        for (const subject of [known, refreshing]) {
          expect([direction, (await settle(world, node, subject)).status]).toEqual([direction, 200]);
        }
      }
      const [first] = refreshing.refreshTokens;
      expect(world.front.served.filter(({ used }) => used === first)).toHaveLength(1);
      expect(await world.statesAfter(refreshing, eventId)).toEqual([]);
    }
  });
});
