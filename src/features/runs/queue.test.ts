/** The queue of runs: lanes, leases, and how runs end, on two nodes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aConnectionNowhere, buildCore, type Core, type CoreNode } from '../../../test/support/build.ts';
import { HawserError } from '../../base/errors.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Connection } from '../connections/index.ts';
import type { DeployedFunction } from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createRuns, type Run, type RunRequest, type Runs } from './index.ts';
import { failWith, runsDeps, Scripts } from './runs.test-support.ts';

/** Short enough to see a takeover, long enough for a loaded machine. */
const FAST = { leaseMs: 2_000, beatMs: 300, pollMs: 200, sweepMs: 300, stopWaitMs: 100 };

let core: Core;
let otherNode: CoreNode;
let connection: Connection;
let integration: Integration;
let scripts: Scripts;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  core = await buildCore();
  otherNode = await core.startNode();
  ({ integration, connection } = await aConnectionNowhere(core, 'acme'));
});

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await core.db.query('DELETE FROM run');
});

afterAll(async () => {
  await core.close();
});

async function node(
  options: { on?: CoreNode; slots?: number; limits?: object; functions?: Scripts['functions'] } = {},
): Promise<Runs> {
  return createRuns(
    runsDeps(options.on ?? core.node, scripts, {
      limits: { ...FAST, slots: options.slots ?? 8, ...options.limits },
      ...(options.functions && { functions: options.functions }),
    }),
  );
}

function start(...nodes: Runs[]): void {
  for (const one of nodes) stops.push(one.start());
}

function request(fn: DeployedFunction, more: Partial<RunRequest> = {}): RunRequest {
  const { environmentId } = integration;
  return { environmentId, kind: 'sync', trigger: 'schedule', fn, connection, lane: 'one', ...more };
}

function enqueue(runs: Runs, ...requests: RunRequest[]): Promise<Run[]> {
  return core.db.transaction(async (tx) => {
    const made: Run[] = [];
    for (const one of requests) made.push((await runs.enqueue(tx, one)) as Run);
    return made;
  });
}

async function states(): Promise<Record<string, number>> {
  const rows = await core.db.query<{ state: string; n: number }>(
    'SELECT state, count(*)::int AS n FROM run GROUP BY 1',
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.n]));
}

const soon = { timeout: 15_000, interval: 50 };

describe('lanes', () => {
  it('have one running run on all nodes together, in order', async () => {
    scripts = new Scripts();
    const now = new Map<string, number>();
    const order = new Map<string, number[]>();
    let most = 0;
    const fn = scripts.add(integration, 'sync', 'count', async ({ input }) => {
      const { lane, n } = input as { lane: string; n: number };
      now.set(lane, (now.get(lane) ?? 0) + 1);
      most = Math.max(most, now.get(lane) as number);
      order.set(lane, [...(order.get(lane) ?? []), n]);
      await systemClock.sleep(2);
      now.set(lane, (now.get(lane) as number) - 1);
      return null;
    });
    const [first, second] = [await node(), await node({ on: otherNode })];
    start(first, second);
    const requests: RunRequest[] = [];
    for (let n = 0; n < 12; n++) {
      for (const lane of ['a', 'b', 'c', 'd', 'e']) requests.push(request(fn, { lane, input: { lane, n } }));
    }
    await enqueue(first, ...requests);
    await expect.poll(states, soon).toEqual({ succeeded: 60 });
    expect(most).toBe(1);
    for (const lane of order.values()) expect(lane).toEqual([...lane].sort((a, b) => a - b));
  });

  it('have their turn one after the other: a full lane does not hold the others up', async () => {
    scripts = new Scripts();
    const done: string[] = [];
    const fn = scripts.add(integration, 'sync', 'note', async ({ input }) => void done.push(input as string));
    const runs = await node({ slots: 1 });
    const many = Array.from({ length: 40 }, () => request(fn, { lane: 'full', input: 'full' }));
    await enqueue(runs, ...many, request(fn, { lane: 'zz', input: 'zz' }), request(fn, { lane: 'aa', input: 'aa' }));
    start(runs);
    await expect.poll(states, soon).toEqual({ succeeded: 42 });
    expect(done.indexOf('zz')).toBeLessThan(5);
    expect(done.indexOf('aa')).toBeLessThan(5);
  });

  it('of one environment never take all slots: those of another one find theirs', async () => {
    scripts = new Scripts();
    const { id: environmentId } = await core.node.environments.create({ name: 'other', isProduction: false });
    const endless = scripts.add(integration, 'sync', 'endless', ({ signal }) => systemClock.sleep(60_000, signal));
    const short = scripts.add({ ...integration, environmentId }, 'sync', 'short', async () => null);
    const runs = await node({ slots: 4 });
    start(runs);
    await enqueue(runs, ...[1, 2, 3, 4, 5].map((n) => request(endless, { lane: `${n}` })));
    await expect.poll(states, soon).toEqual({ running: 3, queued: 2 });
    // Its connection is not there: it fails as soon as it has its turn.
    await enqueue(runs, request(short, { environmentId, connection: { id: 0 } }));
    await expect.poll(states, soon).toEqual({ running: 3, queued: 2, failed: 1 });
  });

  it('give a slot to one run, whoever asks (fault 20)', async () => {
    scripts = new Scripts();
    const fn = scripts.add(integration, 'sync', 'slot', async () => null);
    const [first, second] = [await node(), await node({ on: otherNode })];
    const slotAt = new Date('2026-01-01T00:00:00Z');
    const ask = (runs: Runs, db: CoreNode['db'], n: number) =>
      db.transaction((tx) =>
        runs.enqueue(tx, request(fn, { syncId: 7, slotAt: new Date(slotAt.getTime() + n), lane: `s${n}` })),
      );
    const asked = await Promise.all(
      Array.from({ length: 40 }, (_, n) => ask(n % 2 ? first : second, n % 2 ? core.node.db : otherNode.db, n >> 1)),
    );
    expect(asked.filter((run) => run !== undefined)).toHaveLength(20);
  });
});

describe('leases', () => {
  it('end with their node: another one takes the work over, and the first writes no more (fault 24)', async () => {
    scripts = new Scripts();
    const writes: string[] = [];
    const paused = Promise.withResolvers<void>();
    let tries = 0;
    const fn = scripts.add(integration, 'sync', 'zombie', async ({ host }) => {
      tries += 1;
      if (tries === 1) await paused.promise;
      await host('saveCheckpoint', [{ by: tries === 1 ? 'first' : 'other' }]);
      writes.push('written');
      return null;
    });
    // Its heart does not beat: a node that is stopped in the middle.
    const zombie = await node({ limits: { beatMs: 60_000, sweepMs: 60_000 } });
    const [run] = await enqueue(zombie, request(fn));
    start(zombie);
    await expect.poll(() => tries, soon).toBe(1);
    const other = await node({ on: otherNode });
    start(other);
    await expect.poll(states, soon).toEqual({ succeeded: 1 });
    expect(tries).toBe(2);
    paused.resolve();
    await expect
      .poll(async () => (await zombie.byUuid(integration.environmentId, (run as Run).uuid))?.leaseEpoch)
      .toBe(2);
    await stops.shift()?.();
    expect(writes).toEqual(['written']);
    const place = { environmentId: integration.environmentId, connectionId: connection.id, kind: 'sync', name: 'zombie', variant: 'base' } as const; // prettier-ignore
    expect((await other.checkpoints.get(core.db, place))?.data).toEqual({ by: 'other' });
  });

  it('that ran out unnoticed end the first try, also where the same node takes the work up again', async () => {
    scripts = new Scripts();
    const ends: string[] = [];
    let tries = 0;
    const fn = scripts.add(integration, 'sync', 'twice', async ({ signal }) => {
      tries += 1;
      if (tries > 1) return null;
      return systemClock.sleep(60_000, signal).finally(() => ends.push('first'));
    });
    const runs = await node({ limits: { beatMs: 60_000, sweepMs: 100 } });
    await enqueue(runs, request(fn));
    start(runs);
    await expect.poll(() => tries, soon).toBe(1);
    await core.db.query("UPDATE run SET lease_until = now() - interval '1 second'");
    await expect.poll(states, soon).toEqual({ succeeded: 1 });
    await expect.poll(() => ends, { timeout: 2_000 }).toEqual(['first']);
  });

  it('are kept by a node that is merely slow', async () => {
    scripts = new Scripts();
    let tries = 0;
    const fn = scripts.add(integration, 'sync', 'slow', async () => {
      tries += 1;
      await systemClock.sleep(FAST.leaseMs * 1.7);
      return null;
    });
    const [first, second] = [await node(), await node({ on: otherNode })];
    start(first, second);
    await enqueue(first, request(fn));
    await expect.poll(states, soon).toEqual({ succeeded: 1 });
    expect(tries).toBe(1);
  });

  it('lost five times park the run with the reason (fault 23)', async () => {
    scripts = new Scripts();
    const fn = scripts.add(integration, 'sync', 'poison', async () => null);
    const told: string[] = [];
    const runs = await node({ limits: { sweepMs: 100 } });
    runs.register('sync', {
      prepare: async () => ({}),
      finished: async (_tx, _run, result) => void told.push(result.ok ? 'ok' : result.error.code),
    });
    const [run] = await enqueue(runs, request(fn));
    await core.db.query(
      `UPDATE run SET state = 'running', lost = 4, attempts = 5, lease_owner = 'gone', lease_epoch = 5,
         lease_until = now() - interval '1 second'`,
    );
    start(runs);
    await expect.poll(states, soon).toEqual({ failed: 1 });
    const parked = await runs.byUuid(integration.environmentId, (run as Run).uuid);
    expect(parked?.error).toMatchObject({
      code: 'function_runtime_crashed',
      message: expect.stringContaining('5 servers'),
    });
    expect(told).toEqual(['function_runtime_crashed']);
  });

  it('of a call that somebody waited for are told to nobody whom its end would not have been told', async () => {
    scripts = new Scripts();
    const fn = scripts.add(integration, 'action', 'asked', async () => null);
    const told: (string | undefined)[] = [];
    const runs = await node({ limits: { sweepMs: 100 } });
    runs.register('action', {
      prepare: async () => ({}),
      tells: (run) => run.lane !== undefined,
      finished: async (_tx, { run }) => void told.push(run.lane),
    });
    await enqueue(runs, ...['now', 'later'].map((lane) => request(fn, { kind: 'action', lane })));
    await core.db.query(
      `UPDATE run SET state = 'running', attempts = 1, lease_owner = 'gone', lease_epoch = 1,
         lease_until = now() - interval '1 second', lane = nullif(lane, 'now')`,
    );
    start(runs);
    await expect.poll(states, soon).toEqual({ failed: 2 });
    expect(told).toEqual(['later']);
  });

  it('of an action are given up: it may have paid', async () => {
    scripts = new Scripts();
    let calls = 0;
    const fn = scripts.add(integration, 'action', 'pay', async () => {
      calls += 1;
      return null;
    });
    const runs = await node();
    await enqueue(
      runs,
      request(fn, { kind: 'action', lane: 'x' }),
      request(fn, { kind: 'action', lane: 'y', retries: 1 }),
    );
    await core.db.query(
      `UPDATE run SET state = 'running', attempts = 1, lease_owner = 'gone', lease_epoch = 1,
         lease_until = now() - interval '1 second'`,
    );
    start(runs);
    await expect.poll(states, soon).toEqual({ failed: 1, succeeded: 1 });
    expect(calls).toBe(1);
  });
});

describe('ends', () => {
  it('cancels queued runs at once and running ones on any node', async () => {
    scripts = new Scripts();
    let entered = 0;
    const fn = scripts.add(integration, 'sync', 'endless', async ({ signal }) => {
      entered += 1;
      await systemClock.sleep(60_000, signal);
      return null;
    });
    const [first, second] = [await node(), await node({ on: otherNode })];
    start(first);
    await enqueue(first, request(fn), request(fn));
    await expect.poll(() => entered, soon).toBe(1);
    const { environmentId } = integration;
    expect(
      await otherNode.db.transaction((tx) => second.cancel(tx, { environmentId, connectionId: connection.id })),
    ).toBe(2);
    await expect.poll(states, soon).toEqual({ cancelled: 2 });
    expect(entered).toBe(1);
  });

  it('hands work back when the node stops, and releases the locks of a run with its end', async () => {
    scripts = new Scripts();
    let tries = 0;
    const fn = scripts.add(integration, 'sync', 'long', async ({ host, signal }) => {
      tries += 1;
      expect(await host('tryAcquireLock', [{ key: 'k', ttlMs: 60_000 }])).toBe(true);
      if (tries === 1) await systemClock.sleep(60_000, signal);
      return null;
    });
    const [first, second] = [await node(), await node({ on: otherNode })];
    const stop = first.start();
    await enqueue(first, request(fn));
    await expect.poll(() => tries, soon).toBe(1);
    await stop();
    expect(await states()).toEqual({ queued: 1 });
    start(second);
    await expect.poll(states, soon).toEqual({ succeeded: 1 });
    expect(await core.db.query('SELECT * FROM script_lock')).toEqual([]);
    const [row] = await core.db.query<{ lost: number }>('SELECT lost FROM run');
    expect(row?.lost).toBe(0);
  });

  it('hands a run back that could not begin: no try of it is lost, and nobody is told of a failure', async () => {
    scripts = new Scripts();
    const fn = scripts.add(integration, 'action', 'unlucky', async () => null);
    const told: boolean[] = [];
    let looks = 0;
    const byId: typeof scripts.functions.byId = async (...at) => {
      looks += 1;
      if (looks === 1) throw new HawserError('database_busy', { status: 503, message: 'away', retryable: true });
      return scripts.functions.byId(...at);
    };
    const runs = await node({ functions: { ...scripts.functions, byId } });
    runs.register('action', { prepare: async () => ({}), finished: async (_tx, _run, { ok }) => void told.push(ok) });
    await enqueue(runs, request(fn, { kind: 'action' }));
    start(runs);
    await expect.poll(states, soon).toEqual({ succeeded: 1 });
    expect(told).toEqual([true]);
    expect(await core.db.query('SELECT attempts, lease_epoch FROM run')).toEqual([{ attempts: 1, lease_epoch: 2 }]);
  });

  it('hands back unbegun what it was about to take when it stopped', async () => {
    scripts = new Scripts();
    let entered = 0;
    const fn = scripts.add(integration, 'action', 'late', async () => void (entered += 1));
    const runs = await node();
    await enqueue(runs, request(fn, { kind: 'action' }));
    const { stopped } = await core.db.transaction(async (tx) => {
      await tx.query('LOCK TABLE run IN SHARE ROW EXCLUSIVE MODE');
      const stop = runs.start();
      const waiting = "SELECT 1 FROM pg_locks WHERE relation = 'run'::regclass AND NOT granted";
      await expect.poll(() => core.node.db.query(waiting), soon).toHaveLength(1);
      return { stopped: stop() };
    });
    await stopped;
    const left = await core.db.query('SELECT state, attempts, lease_epoch FROM run');
    expect(left).toEqual([{ state: 'queued', attempts: 0, lease_epoch: 1 }]);
    expect(entered).toBe(0);
  });

  it('deletes old runs as fast as a busy node ends them', async () => {
    const runs = await node();
    await core.db.query(
      `INSERT INTO run (environment_id, uuid, kind, trigger, state, function_id, function_name, version, integration_id,
         finished_at)
       SELECT $1, gen_random_uuid(), 'action', 'api', 'succeeded', 1, 'old', '1', 1, now() - interval '16 days'
       FROM generate_series(1, 2001)`,
      [integration.environmentId],
    );
    start(runs);
    await expect.poll(states, { timeout: 5_000 }).toEqual({});
  });

  it('gives up what waited too long, and tries failed runs again', async () => {
    scripts = new Scripts();
    let tries = 0;
    const fails = scripts.add(integration, 'sync', 'fails', async () => {
      tries += 1;
      throw failWith('script_internal_error', 'no');
    });
    const runs = await node({ limits: { sweepMs: 100 } });
    await enqueue(runs, request(fails, { lane: 'late', runAt: new Date('2026-01-01T00:00:00Z') }));
    await enqueue(runs, request(fails, { lane: 'again', retries: 1 }));
    await runs.list({ environmentId: integration.environmentId, limit: 1 });
    await core.db.query("UPDATE run SET run_at = now() + interval '1 hour' WHERE lane = 'late'");
    start(runs);
    await expect.poll(states, soon).toEqual({ failed: 2 });
    expect(tries).toBe(2);
    const codes = await core.db.query<{ lane: string; code: string; attempts: number }>(
      "SELECT lane, error->>'code' AS code, attempts FROM run ORDER BY lane",
    );
    expect(codes).toEqual([
      { lane: 'again', code: 'script_internal_error', attempts: 2 },
      { lane: 'late', code: 'function_start_timeout', attempts: 0 },
    ]);
  });
});
