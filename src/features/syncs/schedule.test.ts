/** Schedules against a real database; runs are only noted. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts';
import type { Connection } from '../connections/index.ts';
import { createFunctions, NO_DEFINITION, type FunctionInput, type Functions } from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { RunRequest } from '../runs/index.ts';
import { createSyncs, type Syncs } from './index.ts';
import type { SyncsDeps } from './model.ts';
import { removeLeft, removeOrphans } from './schedule.ts';

let database: TestDatabase;
let environmentId: number;
let integration: Integration;
let functions: Functions;
let syncs: Syncs;
/** A second node on the same database. */
let other: Syncs;
let queued: RunRequest[];
let cancelled: object[];
let emptied: string[];
/** Checkpoints. */
let cleared: object[];
/** Lanes with a run that has not ended. */
let active: Set<string>;
let count = 0;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 8 });
});
afterAll(() => database?.drop());

beforeEach(async () => {
  count += 1;
  // A sweep looks at every environment; those of other tests are not its matter here.
  await database.db.query('UPDATE sync SET due_at = NULL');
  queued = [];
  cancelled = [];
  emptied = [];
  cleared = [];
  active = new Set();
  environmentId = await insert("INSERT INTO environment (name) VALUES ('s' || $1) RETURNING id", count);
  const id = await insert(
    "INSERT INTO integration (environment_id, unique_key, provider) VALUES ($1, 'crm', 'p') RETURNING id",
    environmentId,
  );
  integration = { environmentId, id, uniqueKey: 'crm' } as Integration;
  functions = await createFunctions({
    db: database.db,
    log: silentLog,
    integrations: { byKey: () => Promise.resolve(integration) },
  });
  syncs = createSyncs(deps());
  other = createSyncs({ ...deps(), functions: { ...functions, onChange: () => undefined } });
});

async function insert(text: string, ...values: unknown[]): Promise<number> {
  const rows = await database.db.query<{ id: number }>(text, values);
  return rows[0]?.id as number;
}

function deps(): SyncsDeps {
  return {
    db: database.db,
    clock: systemClock,
    log: silentLog,
    functions,
    integrations: {},
    connections: { byId: (_environment: number, id: number) => Promise.resolve({ id, connectionId: `c${id}` }) },
    records: {
      counts: () => Promise.resolve({}),
      empty: (_environment: number, _connection: number, models: string[]) => {
        emptied.push(...models);
        return Promise.resolve();
      },
      emptyConnection: (_environment: number, connection: number) => {
        emptied.push(`all of ${connection}`);
        return Promise.resolve();
      },
    },
    runs: {
      register: () => undefined,
      enqueue: (_tx: Sql, request: RunRequest) => {
        if (request.unlessActive === true && active.has(request.lane)) return Promise.resolve(undefined);
        queued.push(request);
        return Promise.resolve({});
      },
      cancel: (_tx: Sql, filter: object) => {
        cancelled.push(filter);
        return Promise.resolve(0);
      },
      list: () => Promise.resolve([]),
      checkpoints: {
        get: () => Promise.resolve(undefined),
        clear: async (_tx: Sql, place: object) => void cleared.push(place),
      },
    },
  } as unknown as SyncsDeps;
}

function people(more: { definition?: object; name?: string } = {}): FunctionInput {
  return {
    integrationKey: 'crm',
    kind: 'sync',
    name: more.name ?? 'people',
    code: { js: `exports.default = { exec() {} } // ${JSON.stringify(more)}`, ts: '// people' },
    definition: {
      ...NO_DEFINITION,
      models: ['Person'],
      runs: 'every hour',
      autoStart: true,
      jsonSchema: { definitions: {} },
      ...more.definition,
    },
  };
}

async function deploy(...list: FunctionInput[]): Promise<void> {
  await functions.deploy(environmentId, { functions: list, scope: { mode: 'all' }, source: 'repo' });
}

async function connect(name: string, state = 'active'): Promise<Connection> {
  const id = await insert(
    'INSERT INTO connection (environment_id, integration_id, connection_id, state) VALUES ($1, $2, $3, $4) RETURNING id',
    environmentId,
    integration.id,
    name,
    state,
  );
  return { environmentId, id, integrationId: integration.id, connectionId: name } as Connection;
}

const target = (connection?: Connection) => ({ environmentId, integration, connection });
const status = (connection?: Connection) => syncs.status(target(connection), []);

async function makeDue(): Promise<void> {
  await database.db.query(
    "UPDATE sync SET due_at = now() - interval '1 second' WHERE environment_id = $1 AND due_at IS NOT NULL",
    [environmentId],
  );
}

describe('where syncs come from', () => {
  it('a connection brings one per deployed sync, due at once, and paused when it does not start by itself', async () => {
    await deploy(people(), people({ name: 'by-hand', definition: { autoStart: false } }));
    await connect('a');
    const found = await status();
    expect(found.map(({ name, sync }) => [name, sync.state, sync.dueAt !== undefined]).toSorted()).toEqual([
      ['by-hand', 'paused', false],
      ['people', 'started', true],
    ]);
    expect(await syncs.sweep()).toBe(1);
    expect(queued).toMatchObject([{ kind: 'sync', trigger: 'schedule', fn: { name: 'people' } }]);
  });

  it('a deploy brings them to the connections there are', async () => {
    const connection = await connect('a');
    await deploy(people());
    expect((await status(connection)).map(({ name }) => name)).toEqual(['people']);
  });

  it('a deploy over many connections spreads their first runs', async () => {
    for (let index = 0; index < 60; index += 1) await connect(`c${index}`);
    await deploy(people());
    const times = new Set((await status()).map(({ sync }) => sync.dueAt?.getTime()));
    expect(times.size).toBeGreaterThan(10);
  });

  it('another frequency moves them, but not those set for one connection', async () => {
    await deploy(people());
    const [own, common] = [await connect('own'), await connect('common')];
    await syncs.setPeriod({ ...target(own), connection: own }, { name: 'people', variant: 'base' }, 60_000);
    await deploy(people({ definition: { runs: 'every 2 hours' } }));
    expect((await status(own))[0]?.sync.periodMs).toBe(60_000);
    expect((await status(common))[0]?.sync.periodMs).toBe(7_200_000);
    await syncs.setPeriod({ ...target(own), connection: own }, { name: 'people', variant: 'base' }, undefined);
    expect((await status(own))[0]?.sync.periodMs).toBe(7_200_000);
  });

  it('a deleted function takes them along and cancels their runs', async () => {
    await deploy(people());
    const connection = await connect('a');
    await deploy();
    expect(await status(connection)).toEqual([]);
    expect(cancelled).toMatchObject([{ environmentId }]);
    const later = await connect('b');
    const rows = 'SELECT connection_id, due_at FROM sync WHERE environment_id = $1';
    expect(later.id).not.toBe(connection.id);
    expect(await database.db.query(rows, [environmentId])).toEqual([{ connection_id: connection.id, due_at: null }]);
    expect(await removeLeft(deps())).toBe(1);
    expect(emptied).toEqual(['Person']);
    expect(cleared).toMatchObject([{ connectionId: connection.id, kind: 'sync', name: 'people', variant: 'base' }]);
    expect(await database.db.query(rows, [environmentId])).toEqual([]);
    expect(await removeLeft(deps())).toBe(0);
  });

  it('a deleted function leaves the records that another one writes, and what is deployed again keeps its place', async () => {
    await deploy(people({ definition: { models: ['Person', 'Team'] } }));
    await connect('a');
    await deploy();
    await deploy(people());
    expect(await removeLeft(deps())).toBe(1);
    expect(emptied).toEqual(['Team']);
    expect(cleared).toEqual([]);
    await deploy();
    const meanwhile = {
      ...deps(),
      records: {
        empty: async (
          _environment: number,
          _connection: number,
          models: string[],
          inTransaction: (tx: Sql) => Promise<void>,
        ) => {
          await deploy(people());
          await database.db.transaction(inTransaction);
          emptied.push(...models);
        },
      },
    } as unknown as SyncsDeps;
    await expect(removeLeft(meanwhile)).rejects.toThrow('deployed again');
    expect(await removeLeft(deps())).toBe(1);
    expect(emptied).toEqual(['Team']);
  });

  it('a deleted connection runs nothing, and loses its records', async () => {
    await deploy(people());
    const connection = await connect('a');
    await database.db.query('UPDATE connection SET deleted_at = now() WHERE id = $1', [connection.id]);
    await makeDue();
    expect(await syncs.sweep()).toBe(0);
    const stop = syncs.startSchedules();
    await stop();
    expect(await removeOrphans(deps())).toBe(1);
    expect(emptied).toEqual([`all of ${connection.id}`]);
    expect(await removeOrphans(deps())).toBe(0);
  });
});

describe('slots', () => {
  it('fault 20: two nodes that look at once queue each slot once', async () => {
    await deploy(people());
    for (let index = 0; index < 1_000; index += 1) await connect(`c${index}`);
    await makeDue();
    await Promise.all([syncs.sweep(), other.sweep(), syncs.sweep(), other.sweep()]);
    while ((await syncs.sweep()) > 0);
    expect(queued).toHaveLength(1_000);
    expect(new Set(queued.map((run) => run.lane)).size).toBe(1_000);
  });

  it('are whole periods from the start; missed ones pass', async () => {
    await deploy(people());
    const connection = await connect('a');
    await database.db.query(
      "UPDATE sync SET phase_at = now() - interval '3.5 hours', due_at = now() - interval '2.5 hours' WHERE environment_id = $1",
      [environmentId],
    );
    expect(await syncs.sweep()).toBe(1);
    const next = (await status(connection))[0]?.sync.dueAt?.getTime() as number;
    const inMinutes = (next - Date.now()) / 60_000;
    expect(inMinutes).toBeGreaterThan(28);
    expect(inMinutes).toBeLessThan(32);
  });

  it('pass while the sync still runs, and while the connection cannot make calls', async () => {
    await deploy(people());
    const connection = await connect('a');
    expect(await syncs.sweep()).toBe(1);
    active.add(queued[0]?.lane as string);
    await makeDue();
    expect(await syncs.sweep()).toBe(0);
    active.clear();
    await database.db.query("UPDATE connection SET state = 'needs_reauth' WHERE id = $1", [connection.id]);
    await makeDue();
    expect(await syncs.sweep()).toBe(0);
    // Works again: runs at once.
    await database.db.query("UPDATE connection SET state = 'active' WHERE id = $1", [connection.id]);
    expect(await syncs.sweep()).toBe(1);
  });
});

describe('control', () => {
  it('pause stops the schedule and cancels; start makes it due', async () => {
    await deploy(people());
    const connection = await connect('a');
    await syncs.pause(target(connection), [{ name: 'people', variant: 'base' }]);
    expect((await status(connection))[0]).toMatchObject({ status: 'PAUSED', sync: { dueAt: undefined } });
    expect(cancelled).toHaveLength(1);
    await syncs.start(target(connection), []);
    expect(await syncs.sweep()).toBe(1);
    await expect(syncs.start(target(), [{ name: 'nobody', variant: 'base' }])).rejects.toMatchObject({
      code: 'no_syncs_found',
    });
  });

  it('a trigger queues one more run, a reset forgets where it stopped', async () => {
    await deploy(people());
    const connection = await connect('a');
    await database.db.query('UPDATE sync SET last_success_at = now() WHERE environment_id = $1', [environmentId]);
    await syncs.trigger(target(connection), [], { reset: false, emptyCache: false });
    expect(queued).toMatchObject([{ trigger: 'api', unlessActive: true }]);
    expect((await status(connection))[0]?.sync.lastSuccessAt).toBeDefined();
    await syncs.trigger(target(connection), [{ name: 'people', variant: 'base' }], { reset: true, emptyCache: true });
    expect(queued).toHaveLength(2);
    expect(cancelled).toHaveLength(1);
    expect((await status(connection))[0]?.sync).toMatchObject({ lastSuccessAt: undefined, emptyFirst: true });
  });

  it('variants have a schedule and models of their own', async () => {
    await deploy(people());
    const connection = await connect('a');
    const aim = { ...target(connection), connection };
    const big = { name: 'people', variant: 'big' };
    await syncs.createVariant(aim, big);
    await expect(syncs.createVariant(aim, big)).rejects.toMatchObject({ code: 'sync_variant_already_exists' });
    await expect(syncs.createVariant(aim, { ...big, variant: 'base' })).rejects.toMatchObject({
      code: 'invalid_variant',
    });
    expect((await status(connection)).map(({ models }) => models)).toEqual([['Person'], ['Person::big']]);
    const broken = { ...deps(), records: { empty: () => Promise.reject(new Error('the database went away')) } };
    const halfWay = createSyncs({ ...broken, functions: { ...functions, onChange: () => undefined } } as never);
    await expect(halfWay.deleteVariant(aim, big)).rejects.toThrow('went away');
    expect((await status(connection))[1]?.sync).toMatchObject({ variant: 'big', state: 'paused' });
    await syncs.deleteVariant(aim, big);
    expect(emptied).toEqual(['Person::big']);
    await expect(syncs.deleteVariant(aim, big)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('a sync of one connection has 100 variants at most', async () => {
    await deploy(people());
    const connection = await connect('a');
    const aim = { ...target(connection), connection };
    for (let index = 0; index < 100; index += 1)
      await syncs.createVariant(aim, { name: 'people', variant: `v${index}` });
    await expect(syncs.createVariant(aim, { name: 'people', variant: 'more' })).rejects.toMatchObject({
      code: 'resource_capped',
    });
  });
});
