/** What goes out while the database is full up or has no connection left: our own trouble is nobody else's. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../../src/features/connections/index.ts';
import { TROUBLE_FIRST_MS, TROUBLE_MAX_MS } from '../../src/features/outbound/limits.ts';
import { useStage, type Stage } from '../../src/features/outbound/outbound.test-support.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { capturingLog } from '../support/build.ts';

const EVENTS = 20;
/** More than two nodes have under way. */
const MANY = 100;
/** Being sent or stored by one node for one endpoint: 8 and 32. */
const UNDER_WAY_MAX = 40;
/** Longer than a lease. */
const LATER_MS = 3_600_000;
/** Other work may have the machine. */
const PATIENT = { timeout: 20_000, interval: 20 };

let stage: Stage;
let connection: Connection;
let stopping: (() => Promise<void>)[] = [];

useStage((made, its) => {
  stage = made;
  connection = its;
});
beforeAll(() =>
  stage.core.db.query(`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`),
);
afterEach(async () => {
  for (const stop of stopping) await stop();
  stopping = [];
  for (const table of ['delivery', 'delivery_attempt']) {
    await stage.core.db.query(`DROP TRIGGER IF EXISTS disk_full ON ${table}`);
  }
});

/** A node that looks all the time, and waits in no time for a database that is in trouble. */
function startNode(nodeId: string, node: Partial<Stage['core']['node']> = {}) {
  const pausesMs: number[] = [];
  const logged: string[] = [];
  const outbound = stage.newOutbound({
    ...node,
    nodeId,
    limits: { pollMs: 20 },
    log: capturingLog(logged),
    clock: {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + stage.shiftMs,
      sleep(ms, signal) {
        const isPause = ms >= TROUBLE_FIRST_MS && ms <= TROUBLE_MAX_MS;
        if (isPause) pausesMs.push(ms);
        return systemClock.sleep(isPause ? 2 : ms, signal);
      },
    },
  });
  stopping.push(outbound.start());
  return { pausesMs, logged };
}

const ids = () => stage.sink.got.map(({ headers }) => headers['webhook-id'] as string);
const add = async () =>
  (await stage.outbound.endpoints.add(stage.environmentId, { url: `${stage.sink.url}/` })).endpoint.id;

async function expectAllDelivered(endpointId: string, events = EVENTS): Promise<void> {
  await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: events });
  expect(new Set(ids()).size).toBe(events);
  const well = { state: 'enabled', failures: 0, failingSince: undefined, openUntil: undefined };
  expect(await stage.outbound.endpoints.get(stage.environmentId, endpointId)).toMatchObject(well);
}

describe('while the disk of the database is full', () => {
  it.each([
    ['make deliveries', 'INSERT ON delivery'],
    ['take them', 'UPDATE ON delivery'],
  ])('fault 18: so that nobody can %s, nothing is sent, and all of it once there is room', async (_, what) => {
    const endpointId = await add();
    await stage.core.db.query(`CREATE TRIGGER disk_full BEFORE ${what} FOR EACH ROW EXECUTE FUNCTION disk_full()`);
    await stage.tellMany(connection, EVENTS);
    const { logged } = startNode('node-a');
    await expect.poll(() => logged.join(), PATIENT).toContain('no space left');
    stage.shiftMs += LATER_MS;
    await stage.core.db.query('DROP TRIGGER disk_full ON delivery');
    await expectAllDelivered(endpointId);
    expect(ids()).toHaveLength(EVENTS);
    // One line, however often it has looked.
    expect(logged.filter((line) => line.includes('no space left'))).toHaveLength(1);
  });

  it('fault 18: so that no result can be stored, a node sends once what is under way, and nothing again', async () => {
    const endpointId = await add();
    await stage.core.db.query(
      'CREATE TRIGGER disk_full BEFORE INSERT ON delivery_attempt FOR EACH ROW EXECUTE FUNCTION disk_full()',
    );
    await stage.tellMany(connection, MANY);
    const nodes = [startNode('node-a')];
    // Each hour the leases end; a node that sent again then would put its deliveries aside as those that end nodes.
    for (let hour = 1; hour <= 7; hour += 1) {
      await expect.poll(() => Math.min(...nodes.map(({ pausesMs }) => pausesMs.length)), PATIENT).toBeGreaterThan(2 * hour); // prettier-ignore
      stage.shiftMs += LATER_MS;
      if (hour === 4) nodes.push(startNode('node-b', await stage.core.startNode()));
      if (hour === 3) expect(new Set(ids()).size).toBe(ids().length);
    }
    expect(ids().length).toBeLessThanOrEqual(nodes.length * UNDER_WAY_MAX);
    for (const id of ids()) expect(ids().filter((each) => each === id).length).toBeLessThanOrEqual(nodes.length);
    expect(nodes[0]?.pausesMs.slice(0, 7)).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000]);
    await stage.core.db.query('DROP TRIGGER disk_full ON delivery_attempt');
    await expectAllDelivered(endpointId, MANY);
    // One node may store first and take what the other is about to store: its lease has ended long ago.
    expect(ids().length).toBeLessThanOrEqual(MANY + nodes.length * UNDER_WAY_MAX);
    for (const { logged } of nodes) {
      expect(logged.filter((line) => line.includes('no space left'))).toHaveLength(1);
      expect(logged.join()).toContain('results of deliveries are stored again');
    }
  });
});

it('fault 19: a pool of 2 that others hold under load: what was sent is stored later, and nothing is sent again', async () => {
  const endpointId = await add();
  const node = await stage.core.startNode({ poolSize: 2 });
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  stage.sink.answer = async () => {
    asked.resolve();
    await held.promise;
    return { status: 200 };
  };
  await stage.tellMany(connection, EVENTS);
  const { logged } = startNode('small', node);
  await asked.promise;
  const release = Promise.withResolvers<void>();
  let holding = 0;
  const holders = [1, 2].map(() =>
    node.db.transaction(async (tx) => {
      await tx.query('SELECT 1');
      if ((holding += 1) === 2) held.resolve();
      await release.promise;
    }),
  );
  await expect.poll(() => logged.join(), PATIENT).toContain('results of deliveries wait for the database');
  stage.shiftMs += LATER_MS;
  release.resolve();
  await Promise.all(holders);
  await expectAllDelivered(endpointId);
  expect(ids()).toHaveLength(EVENTS);
});
