/** Syncs with runs and records as they are: what one run leaves to the next. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aConnectionNowhere, buildCore, type Core } from '../../../test/support/build.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Connection } from '../connections/index.ts';
import type { FunctionDefinition } from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createRecords, type Records } from '../records/index.ts';
import { createRuns, runErrors, type RunContext, type Runs } from '../runs/index.ts';
import { runsDeps, Scripts, type Script, type ScriptedCall } from '../runs/runs.test-support.ts';
import { syncHooks } from './hooks.ts';
import { createSyncs, type Syncs } from './index.ts';

const soon = { timeout: 15_000, interval: 20 };

let core: Core;
let integration: Integration;
let connection: Connection;
let scripts: Scripts;
let runs: Runs;
let records: Records;
let syncs: Syncs;
let stop: () => Promise<void>;

beforeAll(async () => {
  core = await buildCore();
  ({ integration, connection } = await aConnectionNowhere(core, 'acme'));
});
afterAll(() => core?.close());

beforeEach(async () => {
  scripts = new Scripts();
  const { db, environments } = core.node;
  runs = await createRuns(runsDeps(core.node, scripts, { limits: { pollMs: 50, stopWaitMs: 100 } }));
  records = createRecords({ db, vault: environments.vault, clock: systemClock, log: silentLog });
  syncs = createSyncs({ ...core.node, ...common(), functions: { ...scripts.functions, onChange: () => undefined } });
  stop = () => Promise.resolve();
});
afterEach(async () => {
  await stop();
  await core.db.query('DELETE FROM run');
  await core.db.query('DELETE FROM sync');
});

const common = () => ({ db: core.node.db, clock: systemClock, log: silentLog, records, runs });
const target = () => ({ environmentId: integration.environmentId, integration, connection });
const place = (model: string) => ({ ...target(), connectionId: connection.id, model });

/** Adds a sync of the connection; resolves to its row id. */
async function aSync(name: string, script: Script, definition: Partial<FunctionDefinition> = {}): Promise<number> {
  const fn = scripts.add(integration, 'sync', name, script, { models: ['Thing'], ...definition });
  const [row] = await core.db.query<{ id: number }>(
    `INSERT INTO sync (environment_id, function_id, connection_id, state, period_ms)
     VALUES ($1, $2, $3, 'started', 60000) RETURNING id`,
    [integration.environmentId, fn.id, connection.id],
  );
  return row?.id as number;
}

async function due(): Promise<number> {
  await core.db.query('UPDATE sync SET due_at = clock_timestamp()');
  return syncs.sweep();
}

async function states(): Promise<string[]> {
  const rows = await core.db.query<{ state: string }>('SELECT state FROM run ORDER BY id');
  return rows.map((row) => row.state);
}

const trigger = (mode = { reset: false, emptyCache: false }) => syncs.trigger(target(), [], mode);

describe('a sync', () => {
  it('passes slots and calls while a run of it waits or runs, and takes the next one', async () => {
    const open = Promise.withResolvers<void>();
    await aSync('slow', async () => open.promise);
    expect(await due()).toBe(1);
    expect(await due()).toBe(0);
    await trigger();
    expect(await states()).toEqual(['queued']);
    stop = runs.start();
    await expect.poll(states, soon).toEqual(['running']);
    expect(await due()).toBe(0);
    open.resolve();
    await expect.poll(states, soon).toEqual(['succeeded']);
    expect(await due()).toBe(1);
    await expect.poll(states, soon).toEqual(['succeeded', 'succeeded']);
  });

  it('that is started again runs at once, although the paused run has not ended yet', async () => {
    const open = Promise.withResolvers<void>();
    await aSync('paused', async () => open.promise);
    await due();
    stop = runs.start();
    await expect.poll(states, soon).toEqual(['running']);
    await syncs.pause(target(), []);
    await syncs.start(target(), []);
    expect(await syncs.sweep()).toBe(1);
    open.resolve();
    await expect.poll(states, soon).toEqual([expect.any(String), 'succeeded']);
  });

  it('with trackDeletes deletes what a run that lists everything did not see, and an incremental one keeps it', async () => {
    let seen = ['a', 'b'];
    const save = async ({ host }: ScriptedCall) => {
      await host('batchSave', [seen.map((id) => ({ id })), 'Thing']);
    };
    await aSync('all', save, { trackDeletes: true, syncType: 'full' });
    stop = runs.start();
    await due();
    await expect.poll(states, soon).toEqual(['succeeded']);
    seen = ['a'];
    await due();
    await expect.poll(states, soon).toEqual(['succeeded', 'succeeded']);
    const { records: all } = await records.list({ ...place('Thing'), limit: 10 });
    expect(all.map(({ id, _nango_metadata: { last_action } }) => [id, last_action])).toEqual([
      ['a', 'ADDED'],
      ['b', 'DELETED'],
    ]);
    await core.db.query('DELETE FROM sync');
    seen = ['n1', 'n2'];
    await aSync('news', async (call) => save(call), { trackDeletes: true, syncType: 'incremental', models: ['Thing'] });
    await due();
    await expect.poll(async () => (await states())[2], soon).toBe('succeeded');
    seen = ['n3'];
    await due();
    await expect.poll(async () => (await states())[3], soon).toBe('succeeded');
    const counts = await records.counts(undefined, integration.environmentId, connection.id, ['Thing']);
    expect(counts).toEqual({ Thing: 3 });
  });

  it('that is reset begins anew, even if the run under way ends well before it hears of it', async () => {
    const since: (string | undefined)[] = [];
    let open = Promise.withResolvers<void>();
    open.resolve();
    await aSync('resets', async ({ context }) => {
      since.push(context.lastSyncDate);
      await open.promise;
    });
    stop = runs.start();
    await due();
    await expect.poll(states, soon).toEqual(['succeeded']);
    open = Promise.withResolvers();
    await due();
    await expect.poll(() => since.length, soon).toBe(2);
    await trigger({ reset: true, emptyCache: false });
    open.resolve();
    await expect.poll(states, soon).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(since).toEqual([undefined, expect.any(String), undefined]);
  });

  it("that begins with an empty cache empties nothing once its run is somebody else's (fault 24)", async () => {
    const syncId = await aSync('empties', async () => null);
    await core.db.query('UPDATE sync SET empty_first = true');
    const list = [{ id: 'of the other node' }];
    await records.write({ ...place('Emptied'), action: 'save', records: list, syncId, generation: 1 });
    const context = {
      run: { environmentId: integration.environmentId, syncId, id: 1, connectionId: connection.id },
      fn: { definition: { models: ['Emptied'] } },
      fence: () => Promise.reject(runErrors.fail('run_superseded')),
    } as unknown as RunContext;
    const { prepare } = syncHooks({ ...core.node, ...common() });
    await expect(prepare(context)).rejects.toMatchObject({ code: 'run_superseded' });
    expect(await records.counts(undefined, integration.environmentId, connection.id, ['Emptied'])).toEqual({
      Emptied: 1,
    });
  });
});
