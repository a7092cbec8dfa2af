/** What changes while deliveries are taken: events come, endpoints are changed, answers are slow, our own parts fail. */
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { HawserError } from '../../base/errors.ts';
import { systemClock } from '../../platform/clock.ts';
import { databaseErrors } from '../../platform/postgres/index.ts';
import { hmacSignature } from '../../protocols/event-signing.ts';
import type { Connection } from '../connections/index.ts';
import type { Outbound, OutboundDeps } from './index.ts';
import { UNSTORED_MAX } from './lane.ts';
import { useStage, type Stage } from './outbound.test-support.ts';

/** Other work may have the machine. */
const PATIENT = { timeout: 10_000, interval: 10 };
/** Under way at a time in these tests. */
const SLOTS = 2;
const EVENTS = 40;
const KEY_AWAY = new HawserError('key_service_unavailable', { status: 503, message: 'away', retryable: true });

let stage: Stage;
let connection: Connection;
let stop: (() => Promise<void>) | undefined;
const held: ((status: number) => void)[] = [];

useStage((made, its) => {
  stage = made;
  connection = its;
});
afterEach(async () => {
  free();
  await stop?.();
  stop = undefined;
});

function started(more: Partial<OutboundDeps> = {}): Outbound {
  const outbound = stage.newOutbound({ limits: { pollMs: 20, slotsPerEndpoint: SLOTS }, ...more });
  stop = outbound.start();
  return outbound;
}

const add = (path = '/', of = stage.outbound) =>
  of.endpoints.add(stage.environmentId, { url: `${stage.sink.url}${path}` });

/** The sink answers nothing until it is freed. */
function hold(): void {
  stage.sink.answer = () => new Promise((resolve) => held.push((status) => resolve({ status })));
}

function free(status = 200): void {
  for (const answer of held.splice(0)) answer(status);
}

async function taken(): Promise<number> {
  const rows = await stage.core.db.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM delivery WHERE lease_owner IS NOT NULL',
  );
  return rows[0]?.count ?? 0;
}

/** A node that has taken many deliveries ahead of their turn; two are under way. */
async function fullLane(more?: Partial<OutboundDeps>): Promise<{ outbound: Outbound; id: string; secret: string }> {
  hold();
  const outbound = started(more);
  const { endpoint, secret } = await add('/', outbound);
  await stage.tellMany(connection, EVENTS);
  await expect.poll(() => held.length, PATIENT).toBe(SLOTS);
  held.shift()?.(200);
  await expect.poll(taken, PATIENT).toBeGreaterThan(EVENTS / 2);
  await expect.poll(() => held.length, PATIENT).toBe(SLOTS);
  return { outbound, id: endpoint.id, secret };
}

/** Another node disables the endpoint: nothing goes to it any more but what is under way. */
async function expectStops(outbound: Outbound, id: string): Promise<void> {
  const before = stage.sink.got.length;
  await stage.outbound.endpoints.change(stage.environmentId, id, { enabled: false });
  await expect.poll(taken, PATIENT).toBe(SLOTS);
  stage.sink.answer = () => ({ status: 200 });
  free();
  await expect.poll(taken, PATIENT).toBe(0);
  await outbound.runDry();
  expect(stage.sink.got).toHaveLength(before);
}

describe('an event of this node', () => {
  it('goes out when it is committed, though nobody polls', async () => {
    await add();
    started({ clock: { ...systemClock, every: () => () => undefined } });
    const { connections } = stage.core.node;
    const { environmentId } = stage;
    await stage.core.node.db.transaction(async (tx) => {
      const event = { environmentId, type: 'auth', connectionId: connection.id, payload: { operation: 'override' } };
      await connections.writeEvent(tx, event);
      // Something that takes longer than any look that does not wait for the commit.
      await tx.query('SELECT pg_sleep(0.1)');
    });
    await expect.poll(() => stage.sink.got.length, PATIENT).toBe(1);
    const own = await stage.newConnection();
    await connections.setState(stage.core.node.db, { environmentId, id: own.id, state: 'revoked_by_provider' });
    await expect.poll(() => stage.sink.got.length, PATIENT).toBe(2);
  });
});

describe('an endpoint that is changed while many deliveries are taken for it', () => {
  it.each(['removed', 'disabled'] as const)('gets nothing more once it is %s, but what is under way', async (how) => {
    const { outbound, id } = await fullLane();
    const before = stage.sink.got.length;
    if (how === 'removed') await outbound.endpoints.remove(stage.environmentId, id);
    else await outbound.endpoints.change(stage.environmentId, id, { enabled: false });
    stage.sink.answer = () => ({ status: 200 });
    free();
    await expect.poll(taken, PATIENT).toBe(0);
    await outbound.runDry();
    expect(stage.sink.got).toHaveLength(before);
    expect(await stage.states()).toEqual(how === 'removed' ? {} : { delivered: before, pending: EVENTS - before });
  });

  it('gets nothing more when another node disables it', async () => {
    const { outbound, id } = await fullLane();
    await expectStops(outbound, id);
  });

  it('gets nothing more when another node disables it, though this one could not listen at first', async () => {
    const { db } = stage.core.node;
    let isFirst = true;
    let tell: ((healthy: boolean) => void) | undefined;
    const { outbound, id } = await fullLane({
      db: {
        ...db,
        listen(channel, handler) {
          if (!isFirst) return db.listen(channel, handler);
          isFirst = false;
          return Promise.reject(databaseErrors.fail('database_unavailable', { detail: 'could not subscribe in time' }));
        },
        onListenState: (handler) => {
          tell = handler;
          return () => {};
        },
      },
    });
    tell?.(true);
    await expect.poll(taken, PATIENT).toBeGreaterThan(EVENTS / 2);
    await expectStops(outbound, id);
  });

  it('gets nothing more when it answers 410, but what is under way until that is stored', async () => {
    const { outbound, id } = await fullLane();
    const before = stage.sink.got.length;
    free(410);
    await expect.poll(taken, PATIENT).toBeLessThanOrEqual(SLOTS);
    expect(await outbound.endpoints.get(stage.environmentId, id)).toMatchObject({ disabledReason: 'gone' });
    free(410);
    await expect.poll(taken, PATIENT).toBe(0);
    expect(stage.sink.got.length).toBeLessThanOrEqual(before + SLOTS);
  });

  it('has the rest at its new URL', async () => {
    const { outbound, id } = await fullLane();
    const before = stage.sink.got.length;
    await outbound.endpoints.change(stage.environmentId, id, { url: `${stage.sink.url}/new` });
    stage.sink.answer = () => ({ status: 200 });
    free();
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: EVENTS });
    expect(stage.sink.got.map(({ path }) => path)).toEqual([
      ...Array.from({ length: before }, () => '/'),
      ...Array.from({ length: EVENTS - before }, () => '/new'),
    ]);
  });

  it('is not disabled because its old URL is gone', async () => {
    const { outbound, id } = await fullLane();
    await outbound.endpoints.change(stage.environmentId, id, { url: `${stage.sink.url}/new` });
    stage.sink.answer = () => ({ status: 200 });
    free(410);
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: EVENTS - SLOTS, pending: SLOTS });
    expect(await outbound.endpoints.get(stage.environmentId, id)).toMatchObject({ state: 'enabled' });
  });

  it('has the rest signed with its new secret, and with the new key of the environment', async () => {
    const { outbound, id, secret } = await fullLane();
    const before = stage.sink.got.length;
    const rotated = await outbound.endpoints.rotate(stage.environmentId, id, 0);
    const key = await outbound.endpoints.rotateSigningKey(stage.environmentId, 0);
    stage.sink.answer = () => ({ status: 200 });
    free();
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: EVENTS });
    for (const [at, got] of stage.sink.got.entries()) {
      const wanted = at < before ? secret : rotated.secret;
      expect(() => new StandardWebhook(wanted).verify(got.body, got.headers as Record<string, string>)).not.toThrow();
      const isByKey = got.headers['x-nango-hmac-sha256'] === hmacSignature(key, Buffer.from(got.body));
      expect([at, isByKey]).toEqual([at, at >= before]);
    }
  });
});

describe('an endpoint that answers slowly', () => {
  it('loses nothing: what was taken and not begun in time goes back as if it had not been taken', async () => {
    let jumpMs = 0;
    hold();
    started({ clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + jumpMs } });
    await add();
    await stage.tellMany(connection, EVENTS);
    for (let round = 1; round <= 10; round += 1) {
      await expect.poll(() => held.length, PATIENT).toBe(SLOTS);
      // Longer than a try may wait for its turn under one lease.
      jumpMs += 31_000;
      stage.shiftMs += 31_000;
      free();
      await expect.poll(() => stage.states(), PATIENT).toMatchObject({ delivered: SLOTS * round });
    }
    await expect.poll(() => held.length, PATIENT).toBe(SLOTS);
    stage.sink.answer = () => ({ status: 200 });
    const [most] = await stage.core.db.query<{ lost: number }>('SELECT max(lost) AS lost FROM delivery');
    expect(most?.lost).toBe(1);
    free();
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: EVENTS });
    expect(stage.sink.got).toHaveLength(EVENTS);
  });

  it('has its turn when the slots that others took meanwhile are free again', async () => {
    const { db } = stage.core.node;
    const { promise: room, resolve: makeRoom } = Promise.withResolvers<void>();
    const query: typeof db.query = async (text, values, name) => {
      if (text.includes('INSERT INTO delivery_attempt')) await room;
      return db.query(text, values, name);
    };
    const outbound = started({ db: { ...db, query }, limits: { pollMs: 20, slots: SLOTS } });
    const { environmentId } = stage;
    await outbound.endpoints.add(environmentId, { url: `${stage.sink.url}/`, kinds: ['sync'] });
    for (const path of ['/b', '/c']) {
      await outbound.endpoints.add(environmentId, { url: `${stage.other.url}${path}`, kinds: ['auth'] });
    }
    await stage.tellMany(connection, EVENTS);
    // So many wait for the database that the rest of what was taken has to wait as well.
    await expect.poll(() => stage.sink.got.length, PATIENT).toBe(UNSTORED_MAX);
    stage.other.answer = () => new Promise((resolve) => held.push((status) => resolve({ status })));
    await stage.tell('auth', { operation: 'override' }, connection);
    await expect.poll(() => held.length, PATIENT).toBe(SLOTS);
    makeRoom();
    await expect.poll(() => stage.states(), PATIENT).toMatchObject({ delivered: UNSTORED_MAX });
    free();
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: EVENTS + SLOTS });
  });
});

describe('our own trouble', () => {
  it('is no failure of the endpoint: a result that was stored without a word is counted once', async () => {
    const { db } = stage.core.node;
    let isUnheard = false;
    const unsure = stage.newOutbound({
      db: {
        ...db,
        async transaction(run) {
          const result = await db.transaction(run);
          if (isUnheard) {
            isUnheard = false;
            throw databaseErrors.fail('database_commit_unknown');
          }
          return result;
        },
      },
    });
    const { endpoint } = await add();
    stage.sink.answer = () => {
      isUnheard = true;
      return { status: 500 };
    };
    await stage.tell('auth', { operation: 'override' }, connection);
    await unsure.runDry();
    expect(isUnheard).toBe(false);
    expect(await stage.delivery()).toMatchObject({ state: 'pending', attempts: 1, step: 1 });
    expect(await stage.outbound.endpoints.get(stage.environmentId, endpoint.id)).toMatchObject({ failures: 1 });
  });

  it('in one environment holds up no other: whose key is away does not stop those whose key is here', async () => {
    const { environments } = stage.core.node;
    // The environments have their turn in the order in which they were made.
    const other = await environments.create({ name: 'other', isProduction: false });
    const webhookSigningKeys: typeof environments.webhookSigningKeys = (id) =>
      id === other.id ? environments.webhookSigningKeys(id) : Promise.reject(KEY_AWAY);
    const outbound = started({ environments: { ...environments, webhookSigningKeys } });
    await add();
    await stage.tell('auth', { operation: 'override' }, connection);
    const { endpoint } = await outbound.endpoints.add(other.id, { url: `${stage.other.url}/` });
    await outbound.endpoints.test(other.id, endpoint.id);
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: 1, pending: 1 });
    expect([stage.sink.got.length, stage.other.got.length]).toEqual([0, 1]);
  });

  it('puts no event aside: one whose key is away for a while is sent when it is back', async () => {
    const { environments } = stage.core.node;
    let failures = 3;
    const open: typeof environments.vault.open = (place, sealed) => {
      if (place.table !== 'event' || (failures -= 1) < 0) return environments.vault.open(place, sealed);
      return Promise.reject(KEY_AWAY);
    };
    await add();
    const outbound = stage.newOutbound({ environments: { ...environments, vault: { ...environments.vault, open } } });
    stop = outbound.start();
    await stage.tell('forward', { a: 1 }, connection);
    await expect.poll(() => stage.states(), PATIENT).toEqual({ delivered: 1 });
    expect(failures).toBeLessThan(0);
    expect(stage.sink.got).toHaveLength(1);
  });
});
