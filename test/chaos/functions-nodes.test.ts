/** Several nodes that share the work of functions: slots, nodes that stop or pause, connections that go, wrong clocks. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createFunctionsWorld, flowOf, ITEMS, PAY, until, type FunctionsWorld } from './functions-world.ts';
import type { ChaosNode } from './process.ts';
import { chanceFrom } from './seeded.ts';

/** Enough for three nodes; CI asks for more. */
const DUE = Number(process.env['DUE_SYNCS'] ?? 150);

let database: TestDatabase;
let world: FunctionsWorld;

/** A world for each group: the runs of one are not another one's matter. */
function withWorld(): void {
  beforeAll(async () => {
    database = await createTestDatabase();
    world = await createFunctionsWorld({ databaseUrl: database.url });
  });

  afterAll(async () => {
    await world?.close();
    await database?.drop();
  });
}

async function stop(...nodes: ChaosNode[]): Promise<void> {
  for (const node of nodes) node.signal('SIGTERM');
  await Promise.all(nodes.map(({ exited }) => exited));
}

const ended = async (): Promise<boolean> => (await world.open()) === 0;

/** What is stored is what the provider lists. */
async function expectListed(node: ChaosNode, connectionId: string): Promise<void> {
  expect(Object.fromEntries(await world.records(node, connectionId))).toEqual(Object.fromEntries(world.provider.items));
}

describe(`three nodes and ${DUE} due syncs`, () => {
  withWorld();

  const TICK = flowOf({
    name: 'tick',
    models: ['Tick'],
    js: "exports.default = { type: 'sync', exec: (nango) => nango.batchSave([{ id: nango.connectionId }], 'Tick') };",
  });

  it(
    'fault 20: each runs once per slot, and those of a node that is killed are taken over',
    { timeout: 240_000 },
    async () => {
      const nodes = await Promise.all([world.launch(), world.launch(), world.launch()]);
      const [first, second, third] = nodes as [ChaosNode, ChaosNode, ChaosNode];
      expect((await world.deploy(first, [TICK])).status).toBe(200);
      await world.db.query('UPDATE sync_plan SET auto_start = false');
      await world.connectMany(DUE);
      await world.db.query("UPDATE sync SET state = 'started', due_at = clock_timestamp()");

      const seen = new Set<string | null>();
      await until(async () => {
        for (const { leaseOwner } of await world.runs("r.state = 'running'")) seen.add(leaseOwner);
        return [first, second, third].every(({ name }) => seen.has(name));
      });
      expect([...seen]).toEqual(expect.arrayContaining(nodes.map(({ name }) => name)));
      // In the middle of a write: it holds one for certain.
      second.tell({ do: 'arm', point: 'S2', nth: 1, signal: 'SIGKILL' });
      await second.exited;
      await until(async () => {
        await world.leasesEnd(second.name);
        return ended();
      });

      const runs = await world.runs("r.kind = 'sync'");
      expect(runs).toHaveLength(DUE);
      expect(new Set(runs.map(({ connectionId }) => connectionId)).size).toBe(DUE);
      expect(runs.filter(({ state }) => state !== 'succeeded')).toEqual([]);
      expect(runs.some(({ lost }) => lost > 0)).toBe(true);
      // Nobody has tried one twice, but for those that were taken over.
      expect(runs.filter(({ attempts, lost }) => attempts !== 1 + lost)).toEqual([]);
      const records = await world.db.query<{ count: number }>('SELECT count(*) AS count FROM record');
      expect(Number(records[0]?.count)).toBe(DUE);
      await stop(first, third);
    },
  );
});

describe('one sync and a node that is not well', () => {
  let node: ChaosNode;

  withWorld();

  beforeEach(() => {
    world.provider.gate = undefined;
    world.provider.onPage = undefined;
  });

  beforeAll(async () => {
    node = await world.launch();
    expect((await world.deploy(node, [ITEMS(), PAY()])).status).toBe(200);
  });

  it('fault 24: a node that slept beyond its lease writes, deletes and remembers nothing more', async () => {
    await stop(node);
    // Hears of nothing by itself: only the fence can hold it back.
    const slow = { leaseMs: 1_500, beatMs: 60_000, sweepMs: 60_000 };
    const sleeper = await world.launch({ runLimits: slow });
    sleeper.tell({ do: 'arm', point: 'S1', nth: 1, signal: 'SIGSTOP' });
    await world.connect(sleeper, 'ada');
    expect(await sleeper.reached()).toBe('S1');
    world.provider.change(chanceFrom(24));
    node = await world.launch();
    await until(ended);
    await expectListed(node, 'ada');
    const before = await world.runs("r.kind = 'sync' AND c.connection_id = 'ada'");
    expect(before).toMatchObject([{ state: 'succeeded', attempts: 2, lost: 1 }]);

    sleeper.signal('SIGCONT');
    sleeper.tell({ do: 'arm', point: 'S2', nth: 1, signal: 'SIGCONT' });
    // It tries to write the old page.
    expect(await sleeper.reached()).toBe('S2');
    expect((await world.pay(sleeper, 'ada', 'after-sleep')).status).toBe(200);
    await stop(sleeper);
    await expectListed(node, 'ada');
    expect(await world.checkpoint(node, 'ada')).toBeUndefined();
    expect(await world.runs("r.kind = 'sync' AND c.connection_id = 'ada'")).toEqual(before);
  });

  it('fault 24: a node alone that slept beyond its lease ends its own work', async () => {
    await stop(node);
    node = await world.launch({ runLimits: { leaseMs: 1_500, beatMs: 300 } });
    node.tell({ do: 'arm', point: 'S1', nth: 2, signal: 'SIGSTOP' });
    await world.connect(node, 'barbara');
    expect(await node.reached()).toBe('S1');
    await until(async () => (await world.runs('r.lease_until < clock_timestamp()')).length === 1);
    node.signal('SIGCONT');
    await until(ended);
    // It goes on, or takes its own run over: whichever of its timers comes first.
    expect(await world.runs("c.connection_id = 'barbara'")).toMatchObject([{ state: 'succeeded' }]);
    await expectListed(node, 'barbara');
    await stop(node);
    node = await world.launch();
  });

  it('fault 9: what a stopped node was about to do is done by another one', async () => {
    const leaving = await world.launch();
    await world.connect(node, 'grace');
    await until(ended);
    world.provider.change(chanceFrom(9));
    const gate = Promise.withResolvers<undefined>();
    world.provider.gate = gate.promise;
    await world.trigger(leaving, 'grace');
    await until(async () => (await world.runs("r.state = 'running'")).length === 1);
    const [run] = await world.runs("r.state = 'running'");
    const holder = run?.leaseOwner === leaving.name ? leaving : node;
    // It waits some seconds for the run, hands it back, and is gone.
    await stop(holder);
    world.provider.gate = undefined;
    gate.resolve(undefined);
    await until(ended);
    if (holder === node) node = leaving;
    await expectListed(node, 'grace');
    expect(await world.runs('r.uuid = $1', run?.uuid)).toMatchObject([{ state: 'succeeded', attempts: 2 }]);
  });

  it('fault 26: nothing is written for a connection after its deletion, wherever its sync is', async () => {
    for (const step of [0, 1, 2]) {
      const name = `leaver-${step}`;
      const gate = Promise.withResolvers<undefined>();
      world.provider.onPage = (page) => {
        if (page === step - 1) world.provider.gate = gate.promise;
        return undefined;
      };
      if (step === 0) world.provider.gate = gate.promise;
      await world.connect(node, name);
      const place = 'SELECT id FROM connection WHERE connection_id = $1';
      const [row] = await world.db.query<{ id: number }>(place, [name]);
      const records = async (): Promise<number> => {
        const rows = await world.db.query<{ count: number }>(
          'SELECT count(*) AS count FROM record r JOIN record_model m ON m.id = r.model_id WHERE m.connection_id = $1',
          [row?.id],
        );
        return Number(rows[0]?.count);
      };
      await until(async () => (step === 0 ? !(await ended()) : (await records()) === step * 20));
      const gone = await world.call(node, 'DELETE', `/connections/${name}?provider_config_key=shop`);
      expect(gone.status).toBe(200);
      const atDelete = await records();
      world.provider.gate = undefined;
      gate.resolve(undefined);
      let most = 0;
      await until(async () => {
        most = Math.max(most, await records());
        return (await ended()) && (await records()) === 0;
      });
      expect(most).toBeLessThanOrEqual(atDelete);
      expect([await ended(), await records()]).toEqual([true, 0]);
      const [run] = await world.runs('r.connection_id = $1', row?.id);
      expect(['cancelled', 'failed', undefined]).toContain(run?.state);
    }
  });

  it.each([
    [
      'cut off before its length',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"items":[],"isLast":true}',
    ],
    [
      'cut off in a chunk',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"items":[],"isLast":true}',
    ],
    ['without an answer', ''],
  ])('fault 14: a page %s never becomes a short sync', async (_title, raw) => {
    await world.connect(node, 'edsger');
    await until(ended);
    // Its hourly slot would be another run, and a run that is asked for while one is active is that one.
    await world.db.query("UPDATE sync SET due_at = due_at + interval '1 day'");
    await until(ended);
    const before = await world.records(node, 'edsger');
    world.provider.change(chanceFrom(14));
    world.provider.onPage = (page) => (page === 1 ? Buffer.from(raw) : undefined);
    await world.trigger(node, 'edsger');
    await until(ended);
    const [run] = (await world.runs("r.kind = 'sync' AND r.trigger = 'api' AND c.connection_id = 'edsger'")).slice(-1);
    expect(run).toMatchObject({ state: 'failed', errorCode: 'script_network_error' });
    // The first page is in; nothing was deleted for want of the second.
    const after = await world.records(node, 'edsger');
    expect([...before.keys()].filter((id) => !after.has(id))).toEqual([]);
    world.provider.onPage = undefined;
    await world.trigger(node, 'edsger');
    await until(ended);
    await expectListed(node, 'edsger');
  });

  it('fault 15: nodes whose clocks are a day off take nothing from others and run nothing early or late', async () => {
    const offset = 24 * 3_600_000;
    const [early, late] = await Promise.all([
      world.launch({ clockOffsetMs: offset }),
      world.launch({ clockOffsetMs: -offset }),
    ]);
    const count = (await world.runs()).length;
    // An hour's schedule is not due for any of them; what is asked for runs once, wherever.
    const gate = Promise.withResolvers<undefined>();
    world.provider.gate = gate.promise;
    await world.trigger(node, 'ada');
    await until(async () => (await world.runs("r.state = 'running'")).length === 1);
    const pays = [early, late].map((each) => world.pay(each, 'ada', `clock-${each.name}`));
    // Each has looked for lost runs and due syncs several times meanwhile.
    await Promise.all([early, late].map((each) => world.call(each, 'GET', '/runs')));
    gate.resolve(undefined);
    world.provider.gate = undefined;
    expect((await Promise.all(pays)).map(({ status }) => status)).toEqual([200, 200]);
    await until(ended);
    const runs = (await world.runs()).slice(count);
    expect(runs.map(({ kind, state, lost }) => [kind, state, lost]).toSorted()).toEqual([
      ['action', 'succeeded', 0],
      ['action', 'succeeded', 0],
      ['sync', 'succeeded', 0],
    ]);
    await expectListed(node, 'ada');
    await stop(early, late);
  });
});
