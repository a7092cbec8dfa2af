/** What happens when an endpoint does not take what it is sent. Time is moved, never waited for. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../platform/clock.ts';
import type { Connection } from '../connections/index.ts';
import { ATTEMPT_TIMEOUT_MS, CIRCUIT_MAX_MS, SCHEDULE_MS } from './limits.ts';
import { bodyOf, useStage, type Sink, type Stage } from './outbound.test-support.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let stage: Stage;
let connection: Connection;

useStage((made, its) => {
  stage = made;
  connection = its;
});

const add = async (sink: Sink = stage.sink, kinds?: string[]) =>
  (await stage.outbound.endpoints.add(stage.environmentId, { url: `${sink.url}/`, kinds })).endpoint;

const endpointOf = (id: string) => stage.outbound.endpoints.get(stage.environmentId, id);

const tell = (kind = 'auth', payload: object = { operation: 'override' }) => stage.tell(kind, payload, connection);

describe('a delivery that is not taken', () => {
  it('is tried 14 times by the schedule, under one id with one body, and then the app is told elsewhere', async () => {
    const endpoint = await add();
    await add(stage.other, ['delivery.failing']);
    // The endpoint itself is well: only this one event is not taken.
    stage.sink.answer = (got) => ({ status: bodyOf(got).type === 'auth' ? 500 : 200, body: 'x'.repeat(10_000) });
    await tell();
    await stage.outbound.runDry();
    const { id } = await stage.delivery();
    const waits: number[] = [];
    for (let step = 1; step < SCHEDULE_MS.length; step += 1) {
      const [row] = await stage.core.db.query<{ wait_ms: number }>(
        `SELECT (extract(epoch FROM next_attempt_at - statement_timestamp() - $2::float8 * interval '1 millisecond')
           * 1000)::float8 AS wait_ms FROM delivery WHERE id = $1`,
        [id, stage.shiftMs],
      );
      waits.push(row?.wait_ms as number);
      stage.shiftMs += Math.max(0, (row?.wait_ms as number) + 1);
      await tell('async_action', {});
      await stage.outbound.runDry();
    }
    for (const [at, wait] of waits.entries()) {
      const planned = SCHEDULE_MS[at + 1] as number;
      expect(Math.abs(wait - planned), `wait ${at + 1}`).toBeLessThanOrEqual(planned * 0.1 + 2_000);
    }
    const tries = stage.sink.got.filter((got) => bodyOf(got).type === 'auth');
    expect(tries).toHaveLength(14);
    expect(new Set(tries.map(({ body }) => body)).size).toBe(1);
    expect(new Set(tries.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    // The time is that of the try.
    expect(new Set(tries.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(14);
    const { delivery, attempts } = await stage.outbound.deliveries.get(stage.environmentId, id);
    expect(delivery).toMatchObject({ state: 'failed', attempts: 14, lastStatus: 500 });
    expect(attempts).toHaveLength(14);
    expect(attempts[0]).toMatchObject({ status: 500, error: undefined, answer: 'x'.repeat(4_096) });
    expect(await endpointOf(endpoint.id)).toMatchObject({ state: 'enabled' });
    expect(stage.other.got.map((got) => bodyOf(got).data)).toEqual([
      expect.objectContaining({ reason: 'exhausted', endpointId: endpoint.id, deliveryId: String(id) }),
    ]);
  });

  it.each([301, 302, 307, 400, 404, 500])('answered %i has failed, and no redirect is followed', async (status) => {
    await add();
    stage.sink.answer = () => ({ status, headers: { location: `${stage.other.url}/` } });
    await tell();
    await stage.outbound.runDry();
    expect(await stage.delivery()).toMatchObject({ state: 'pending', attempts: 1, last_status: status });
    expect(stage.other.got).toHaveLength(0);
  });

  it('waits as long as Retry-After asks for, but an hour at most', async () => {
    await add();
    const asks: [string, number][] = [
      ['120', 120_000],
      ['999999', HOUR_MS],
    ];
    for (const [value, waitMs] of asks) {
      stage.sink.answer = () => ({ status: 429, headers: { 'retry-after': value } });
      await tell();
      await stage.outbound.runDry();
      const { wait_ms: actual } = await stage.delivery();
      expect(Math.abs((actual as number) - waitMs), value).toBeLessThan(5_000);
      // Others of this endpoint wait as well.
      const before = stage.sink.got.length;
      await tell();
      await stage.outbound.runDry();
      expect(stage.sink.got.length).toBe(before);
      stage.shiftMs += 2 * HOUR_MS;
      stage.sink.answer = () => ({ status: 200 });
      await stage.outbound.runDry();
    }
  });

  it('has failed when nothing answers in 20 seconds, and a large answer to a 2xx is none', async () => {
    await add();
    const impatient = stage.newOutbound({
      clock: {
        ...systemClock,
        sleep: (ms, signal) => systemClock.sleep(ms === ATTEMPT_TIMEOUT_MS ? 50 : ms, signal),
      },
    });
    let free = (): void => undefined;
    stage.sink.answer = () => new Promise((resolve) => (free = () => resolve({ status: 200 })));
    await tell();
    await impatient.runDry();
    expect(await stage.delivery()).toMatchObject({ state: 'pending', attempts: 1, last_status: null });
    free();
    stage.sink.answer = () => ({ status: 200, body: 'y'.repeat(1_000_000) });
    await stage.nextTry();
    expect(await stage.delivery()).toMatchObject({ state: 'delivered', attempts: 2 });
  });
});

describe('an endpoint that fails', () => {
  it('is disabled after five days without one success, and told of once; enabled, it gets everything', async () => {
    const endpoint = await add();
    await add(stage.other, ['delivery.failing']);
    stage.sink.answer = () => ({ status: 503 });
    await tell();
    await stage.outbound.runDry();
    while ((await endpointOf(endpoint.id)).state === 'enabled') {
      expect(stage.shiftMs).toBeLessThan(7 * DAY_MS);
      await stage.nextTry();
    }
    expect(stage.shiftMs).toBeGreaterThan(5 * DAY_MS * 0.9);
    expect(await endpointOf(endpoint.id)).toMatchObject({ state: 'disabled', disabledReason: 'failing' });
    const tries = stage.sink.got.length;
    stage.shiftMs += DAY_MS;
    await tell();
    await stage.outbound.runDry();
    await stage.outbound.runDry();
    expect(stage.sink.got.length).toBe(tries);
    expect(stage.other.got.map((got) => bodyOf(got).data.reason as string)).toEqual(['failing']);
    stage.sink.answer = () => ({ status: 200 });
    await stage.outbound.endpoints.change(stage.environmentId, endpoint.id, { enabled: true });
    await stage.outbound.runDry();
    expect(stage.sink.got.length).toBe(tries + 2);
    expect((await stage.states())['pending']).toBeUndefined();
  });

  it('and answers 410 is disabled at once, and told of once', async () => {
    const endpoint = await add();
    await add(stage.other, ['delivery.failing']);
    stage.sink.answer = () => ({ status: 410 });
    for (let n = 0; n < 5; n += 1) await tell();
    await stage.outbound.runDry();
    expect(await endpointOf(endpoint.id)).toMatchObject({ state: 'disabled', disabledReason: 'gone' });
    expect(stage.other.got.map((got) => bodyOf(got).data.reason as string)).toEqual(['gone']);
  });

  it('gets one try at a time after five failures, keeps everything, and delays nobody else', async () => {
    const endpoint = await add();
    await add(stage.other);
    stage.sink.answer = () => ({ status: 500 });
    await stage.tellMany(connection, 40);
    await stage.outbound.runDry();
    const first = stage.sink.got.length;
    // What was under way together when the fifth one failed, and no more.
    expect(first).toBeLessThanOrEqual(16);
    expect(stage.other.got.length).toBe(40);
    for (let probe = 1; probe <= 3; probe += 1) {
      const { openUntil } = await endpointOf(endpoint.id);
      expect(openUntil).toBeInstanceOf(Date);
      stage.shiftMs += CIRCUIT_MAX_MS + 1_000;
      await stage.outbound.runDry();
      expect(stage.sink.got.length).toBe(first + probe);
    }
    stage.sink.answer = () => ({ status: 200 });
    stage.shiftMs += CIRCUIT_MAX_MS + 1_000;
    await stage.outbound.runDry();
    // It has failed for more than ten minutes and works again: what was put off for hours comes at once.
    expect(await stage.states()).toEqual({ delivered: 80 });
    expect(await endpointOf(endpoint.id)).toMatchObject({ failures: 0, failingSince: undefined, openUntil: undefined });
  });

  it('fault 21: is down for three days: all that came meanwhile arrives, in order, and others notice nothing', async () => {
    // The benchmark does it with 10,000 events.
    const perHour = 28;
    await add(stage.sink, ['sync']);
    await add(stage.other, ['async_action']);
    stage.sink.answer = () => ({ status: 503 });
    for (let hour = 0; hour < 72; hour += 1) {
      await stage.tellMany(connection, perHour);
      await tell('async_action', {});
      await stage.outbound.runDry();
      // Whatever waits elsewhere: each hour's event is there within the hour.
      expect(stage.other.got.length).toBe(hour + 1);
      stage.shiftMs += HOUR_MS;
    }
    // One that is down is asked now and then, whatever waits: once an hour in the steps of this test.
    expect(stage.sink.got.length).toBeLessThan(72 + 2 * 16);
    stage.sink.got.length = 0;
    stage.sink.answer = () => ({ status: 200 });
    await stage.outbound.runDry();
    expect(await stage.states()).toEqual({ delivered: 72 * perHour + 72 });
    const sequences = stage.sink.got.map(({ headers }) => Number(headers['x-hawser-sequence']));
    expect(new Set(sequences).size).toBe(72 * perHour);
    // In their order, but for those that are under way together.
    let highest = 0;
    // The first one is the try that found it well.
    const late = sequences.slice(1).filter((sequence) => {
      highest = Math.max(highest, sequence);
      return highest - sequence > 64;
    });
    expect(late).toEqual([]);
  });
});
