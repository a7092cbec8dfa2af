/** What is under way and what waits: events that cannot be sent, two nodes, sending again, a long queue. */
import { describe, expect, it, vi } from 'vitest';
import { costsOf, KNOWLEDGE } from '../../../test/support/query-cost.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import type { Connection } from '../connections/index.ts';
import { OUTBOUND_LIMITS } from './limits.ts';
import { bodyOf, useStage, type Stage } from './outbound.test-support.ts';
import { claimDeliveries, selectDueEndpoints, storeResults, type ClaimedDelivery, type Result } from './store-queue.ts';

const HOUR_MS = 3_600_000;

let stage: Stage;
let connection: Connection;

useStage((made, its) => {
  stage = made;
  connection = its;
});

const add = async () =>
  (await stage.outbound.endpoints.add(stage.environmentId, { url: `${stage.sink.url}/` })).endpoint;

const tell = (kind = 'auth', payload: object = { operation: 'override' }) => stage.tell(kind, payload, connection);

describe('fault 23: an event that cannot be sent', () => {
  it('fault 23: does not stop those behind it, whether its body cannot be written or cannot be read', async () => {
    await add();
    await tell('connection.state', { n: 1 });
    // Sealed for another row: no key opens it here.
    const sealed = await stage.core.node.environments.vault.seal(
      { environmentId: stage.environmentId, table: 'event', row: 'another', column: 'sealed' },
      '{}',
    );
    await stage.core.db.query(
      `INSERT INTO event (environment_id, type, connection_id, payload, sealed) VALUES ($1, 'forward', $2, '{}', $3)`,
      [stage.environmentId, connection.id, sealed],
    );
    await tell('connection.state', { n: 2 });
    await stage.outbound.runDry();
    expect(stage.sink.got.map((got) => bodyOf(got).data.n as number)).toEqual([1, 2]);
    expect(await stage.states()).toEqual({ delivered: 2, parked: 1 });
    const [parked] = await stage.outbound.deliveries.list(
      { environmentId: stage.environmentId, failing: true },
      { limit: 5 },
    );
    expect(parked).toMatchObject({ state: 'parked', lastError: 'unreadable_event' });
    await expect(stage.outbound.deliveries.replay(stage.environmentId, parked?.id as number)).rejects.toMatchObject({
      code: 'delivery_parked',
    });
  });

  it('fault 23: that ends five nodes in a row is put aside, and can be sent again by hand', async () => {
    await add();
    await tell();
    await stage.outbound.runDry();
    const { id } = await stage.delivery();
    await stage.core.db.query(
      `UPDATE delivery SET state = 'pending', lost = 5, lease_owner = 'gone', finished_at = NULL,
         next_attempt_at = now() - interval '1 second'`,
    );
    await tell();
    await stage.outbound.runDry();
    expect(await stage.states()).toEqual({ delivered: 1, parked: 1 });
    expect(stage.sink.got).toHaveLength(2);
    await stage.outbound.deliveries.replay(stage.environmentId, id);
    await stage.outbound.runDry();
    expect(await stage.states()).toEqual({ delivered: 2 });
  });
});

describe('two nodes', () => {
  it('send each delivery once, in halves; what a dead one had taken comes when its lease has ended', async () => {
    await add();
    const [a, b] = [stage.newOutbound({ nodeId: 'node-a' }), stage.newOutbound({ nodeId: 'node-b' })];
    await stage.tellMany(connection, 300);
    await Promise.all([a.runDry(), b.runDry()]);
    expect(stage.sink.got).toHaveLength(300);
    expect(new Set(stage.sink.got.map(({ headers }) => headers['webhook-id'])).size).toBe(300);
    stage.sink.got.length = 0;
    await tell();
    // Taken by a node that is gone.
    await stage.core.db.query('UPDATE event SET is_handled = is_handled');
    stage.sink.answer = () => ({ status: 500 });
    await a.runDry();
    await stage.core.db.query(
      `UPDATE delivery SET lease_owner = 'gone', lease_epoch = lease_epoch + 1,
         next_attempt_at = statement_timestamp() + interval '60 seconds' WHERE state = 'pending'`,
    );
    stage.sink.answer = () => ({ status: 200 });
    await b.runDry();
    expect(stage.sink.got).toHaveLength(1);
    stage.shiftMs += 61_000;
    await Promise.all([a.runDry(), b.runDry()]);
    expect(stage.sink.got).toHaveLength(2);
    expect(await stage.delivery()).toMatchObject({ state: 'delivered', attempts: 2 });
  });

  it('one that was away for longer than its lease moves nothing: its try is kept, the other’s result stands', async () => {
    await add();
    const [a, b] = [stage.newOutbound({ nodeId: 'node-a' }), stage.newOutbound({ nodeId: 'node-b' })];
    let free = (): void => undefined;
    const asked = new Promise<void>((arrived) => {
      stage.sink.answer = () => {
        arrived();
        return new Promise((resolve) => (free = () => resolve({ status: 500 })));
      };
    });
    await tell();
    const slow = a.runDry();
    await asked;
    stage.shiftMs += 61_000;
    stage.sink.answer = () => ({ status: 200 });
    await b.runDry();
    free();
    await slow;
    const { id } = await stage.delivery();
    const { delivery, attempts } = await stage.outbound.deliveries.get(stage.environmentId, id);
    expect(delivery).toMatchObject({ state: 'delivered', lastStatus: 200 });
    expect(attempts.map(({ status }) => status)).toEqual([200, 500]);
  });
});

describe('abuse 33: duplicates and a wrong order', () => {
  it('abuse 33: an app that keeps the highest number of each connection ends with the truth', async () => {
    await add();
    const customers = [connection, await stage.newConnection(), await stage.newConnection()];
    const truth = new Map<string, number>();
    const seen = new Map<string, { sequence: number; n: number }>();
    let calls = 0;
    stage.sink.answer = (got) => {
      const { connectionId, sequence, data } = bodyOf(got) as {
        connectionId: string;
        sequence: number;
        data: { n: number };
      };
      if (sequence > (seen.get(connectionId)?.sequence ?? 0)) seen.set(connectionId, { sequence, n: data.n });
      calls += 1;
      // It has taken every third one and says it has not.
      return { status: calls % 3 === 0 ? 500 : 200 };
    };
    for (let n = 0; n < 150; n += 1) {
      const customer = customers[(n * 7) % customers.length] as Connection;
      truth.set(customer.connectionId, n);
      await stage.tell('connection.state', { n }, customer);
      if (n % 50 === 49) await stage.outbound.runDry();
    }
    for (let rounds = 0; (await stage.states())['pending'] !== undefined; rounds += 1) {
      expect(rounds).toBeLessThan(30);
      stage.shiftMs += HOUR_MS;
      await stage.outbound.runDry();
    }
    expect(calls).toBeGreaterThan(150);
    expect(new Set(stage.sink.got.map(({ headers }) => headers['webhook-id'])).size).toBe(150);
    expect(Object.fromEntries([...seen].map(([id, { n }]) => [id, n]))).toEqual(Object.fromEntries(truth));
  });
});

describe('sending again', () => {
  it('one, or what a filter names, under the same id and with the same bytes', async () => {
    await add();
    await stage.tellMany(connection, 5);
    await stage.core.db.query(`UPDATE event SET created_at = created_at - interval '1 minute'`);
    await tell();
    await stage.outbound.runDry();
    const before = new Set(stage.sink.got.map(({ headers, body }) => `${headers['webhook-id'] as string} ${body}`));
    const { deliveries } = stage.outbound;
    const { environmentId } = stage;
    const [newest] = await deliveries.list({ environmentId }, { limit: 1 });
    await deliveries.replay(environmentId, newest?.id as number);
    await stage.outbound.runDry();
    expect(stage.sink.got).toHaveLength(7);
    expect(await deliveries.replayAll({ environmentId, kind: 'sync' })).toBe(5);
    await stage.outbound.runDry();
    expect(stage.sink.got).toHaveLength(12);
    const since = newest?.occurredAt as Date;
    expect(await deliveries.replayAll({ environmentId, since, connectionId: connection.connectionId })).toBe(1);
    expect(await deliveries.replayAll({ environmentId, until: new Date(0) })).toBe(0);
    await stage.outbound.runDry();
    expect(new Set(stage.sink.got.map(({ headers, body }) => `${headers['webhook-id'] as string} ${body}`))).toEqual(
      before,
    );
    expect((await deliveries.get(environmentId, newest?.id as number)).attempts).toHaveLength(3);
  });

  it('is possible for 30 days; then events, deliveries and tries are gone', async () => {
    await add();
    await tell();
    await tell();
    await stage.outbound.runDry();
    await stage.core.db.query(
      `UPDATE event SET created_at = now() - interval '31 days' WHERE id = (SELECT min(id) FROM event)`,
    );
    await stage.outbound.sweep();
    for (const table of ['event', 'delivery', 'delivery_attempt']) {
      expect([table, (await stage.core.db.query(`SELECT 1 FROM ${table}`)).length]).toEqual([table, 1]);
    }
  });
});

it('fault 29: in quarantine nothing is sent and nothing is lost', async () => {
  await add();
  let quarantined = true;
  const node = stage.newOutbound({ isQuarantined: () => quarantined });
  await tell();
  await node.runDry();
  expect(stage.sink.got).toHaveLength(0);
  quarantined = false;
  await node.runDry();
  expect(stage.sink.got).toHaveLength(1);
});

describe('fault 27: a long queue', () => {
  /** Looks for work, takes 32 deliveries and stores what became of them. */
  async function takeAndStore(tx: Sql, endpointId: string): Promise<void> {
    expect((await selectDueEndpoints(tx, 0)).map(({ id }) => id)).toEqual([endpointId]);
    const claim = {
      environmentId: stage.environmentId,
      endpointId,
      owner: 'a',
      leaseMs: 60_000,
      limit: 32,
      shiftMs: 0,
    };
    const claimed = await claimDeliveries(tx, claim);
    expect(claimed).toHaveLength(32);
    const results = claimed.map((one) => delivered(one, endpointId));
    await storeResults(tx, results, 0);
  }

  const delivered = (one: ClaimedDelivery, endpointId: string): Result => ({
    environmentId: stage.environmentId,
    endpointId,
    id: one.id,
    epoch: one.lease_epoch,
    state: 'delivered',
    step: 1,
    waitMs: undefined,
    at: new Date(),
    durationMs: 1,
    status: 200,
    error: undefined,
    answerSealed: undefined,
  });

  const queue = (endpointId: string, count: number) =>
    stage.core.db.query(
      `WITH e AS (INSERT INTO event (environment_id, type, payload, is_handled)
                  SELECT $1, 'sync', '{}', true FROM generate_series(1, $3::int) RETURNING id)
       INSERT INTO delivery (environment_id, event_id, endpoint_id, next_attempt_at)
       SELECT $1, id, $2, now() - interval '1 hour' FROM e`,
      [stage.environmentId, endpointId, count],
    );

  it('fault 27: a slow endpoint holds its own slots only, and another one gets everything meanwhile', async () => {
    await add();
    await stage.outbound.endpoints.add(stage.environmentId, { url: `${stage.other.url}/` });
    const held: (() => void)[] = [];
    stage.sink.answer = () => new Promise((resolve) => held.push(() => resolve({ status: 200 })));
    await stage.tellMany(connection, 40);
    const running = stage.outbound.runDry();
    await vi.waitFor(() => expect(stage.other.got).toHaveLength(40), { timeout: 10_000, interval: 10 });
    expect(held).toHaveLength(OUTBOUND_LIMITS.slotsPerEndpoint);
    stage.sink.answer = () => ({ status: 200 });
    for (const free of held) free();
    await running;
    expect(await stage.states()).toEqual({ delivered: 80 });
  });

  it('fault 27: tells since when the oldest delivery of an endpoint waits', async () => {
    const { endpoints } = stage.outbound;
    const { id } = await add();
    expect(await endpoints.get(stage.environmentId, id)).toMatchObject({ oldestDueAt: undefined });
    const { endpoint: other } = await endpoints.add(stage.environmentId, { url: `${stage.other.url}/` });
    await queue(id, 3);
    const waits = async (): Promise<boolean[]> =>
      (await endpoints.list(stage.environmentId)).map(({ oldestDueAt }) => oldestDueAt !== undefined);
    expect(await waits()).toEqual([true, false]);
    const { oldestDueAt, createdAt } = await endpoints.get(stage.environmentId, id);
    expect(createdAt.getTime() - (oldestDueAt?.getTime() ?? 0)).toBeGreaterThan(HOUR_MS / 2);
    // What waits for its next try is not due.
    stage.sink.answer = () => ({ status: 503 });
    await endpoints.remove(stage.environmentId, other.id);
    await stage.outbound.runDry();
    expect(await stage.states()).toEqual({ pending: 3 });
    expect(await waits()).toEqual([false]);
  });

  it.each(KNOWLEDGE)(
    'fault 27: taking 32 of 20,000 deliveries costs as little as 32 of 500, in tables %s',
    async (known) => {
      const { id } = await add();
      const tables = ['delivery', 'delivery_attempt', 'event', 'endpoint'];
      const fill = { short: () => queue(id, 500), long: () => queue(id, 19_500) };
      const { short, long } = await costsOf(stage.core.db, known, tables, fill, (tx) => takeAndStore(tx, id));
      expect(short).toBeGreaterThan(32);
      expect(long).toBeLessThanOrEqual(short * 1.5);
      expect(long).toBeLessThan(2_000);
    },
  );
});
