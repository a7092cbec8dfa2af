/** Clocks that are wrong, pools that are empty, commits whose answer is lost, herds. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { aConnection, eventually } from '../../../test/support/build.ts';
import { accessOf, startStage, type Stage } from '../../../test/support/credentials.ts';
import { systemClock } from '../../platform/clock.ts';
import { databaseErrors } from '../../platform/postgres/index.ts';

let stage: Stage;
let server: Stage['server'];

beforeAll(async () => {
  stage = await startStage();
  ({ server } = stage);
});

afterAll(() => stage.close());

beforeEach(() => stage.reset());

describe('a node whose clock is wrong (fault 15)', () => {
  it.each([24, -24])('by %d hours: refreshes when due by the database, and stores the right end', async (hours) => {
    const wrong = { ...systemClock, now: () => systemClock.now() + hours * 3_600_000 };
    const node = await stage.core.startNode({ clock: wrong });
    const subject = await stage.connected();
    expect(accessOf(await stage.read(node, subject))).toBe(subject.tokens.access_token);
    expect(server.requests).toHaveLength(0);
    await stage.endsIn(subject.connection, -1_000);
    const live = await stage.read(node, subject);
    expect(live.generation).toBe(2);
    const leftMs = (live.expiresAtMs ?? 0) - systemClock.now();
    expect(leftMs).toBeGreaterThan(3_500_000);
    expect(leftMs).toBeLessThan(3_700_000);
    expect(accessOf(await stage.read(stage.other, subject))).toBe(accessOf(live));
    expect(server.requests).toHaveLength(1);
  });
});

describe('a commit whose answer is lost (fault 17)', () => {
  it.each(['committed', 'rolled back'])('%s: is read again and ends with one generation', async (truth) => {
    server.habit = 'family';
    const { node } = stage.core;
    const subject = await stage.connected();
    const real = node.db.transaction.bind(node.db);
    let lost = 0;
    const spy = vi.spyOn(node.db, 'transaction').mockImplementation(async (work) => {
      if (lost > 0) return real(work);
      lost += 1;
      if (truth === 'committed') await real(work);
      throw databaseErrors.fail('database_commit_unknown');
    });
    const live = await stage.read(node, subject, true);
    spy.mockRestore();
    expect(lost).toBe(1);
    expect(live.generation).toBe(2);
    expect(server.requests).toHaveLength(1);
    expect(server.isAlive(accessOf(live) as string)).toBe(true);
    expect((await stage.read(stage.other, subject, true)).generation).toBe(3);
  });
});

describe('a small pool (fault 19)', () => {
  it('serves 300 callers with 2 connections and one token request', async () => {
    const node = await stage.core.startNode({ poolSize: 2 });
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const lives = await Promise.all(Array.from({ length: 300 }, () => stage.read(node, subject)));
    expect(new Set(lives.map((live) => live.generation))).toEqual(new Set([2]));
    expect(server.requests).toHaveLength(1);
  });
});

describe('a herd (fault 22)', () => {
  it('asks once per connection, however many have ended at once', async () => {
    const { integration } = await stage.read(stage.core.node, await stage.connected({ rotation: 'overlap' }));
    const names = Array.from({ length: 30 }, (_, index) => `herd-${index}`);
    for (const connectionId of names) {
      const credential = { type: 'OAUTH2' as const, raw: {}, ...server.grant() };
      await aConnection(stage.core.node, integration, credential, { connectionId, expiresInMs: -1_000 });
    }
    const live = (node: typeof stage.other, name: string) =>
      node.credentials.live(integration.environmentId, integration.uniqueKey, name);
    await Promise.all(
      names.flatMap((name) => [live(stage.core.node, name), live(stage.other, name), live(stage.other, name)]),
    );
    expect(server.requests).toHaveLength(30);
    expect(new Set(server.requests.map(({ refreshToken }) => refreshToken)).size).toBe(30);
  });
});

describe('shutdown', () => {
  it('ends the refresh that runs, takes no new one, and still hands out what is valid', async () => {
    const node = await stage.core.startNode();
    const running = await stage.connected();
    const waiting = await stage.connected();
    await stage.endsIn(running.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const caller = stage.read(node, running);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    const drained = node.credentials.drain();
    await stage.endsIn(waiting.connection, 20_000);
    expect(accessOf(await stage.read(node, waiting))).toBe(waiting.tokens.access_token);
    await stage.endsIn(waiting.connection, -1_000);
    await expect(stage.read(node, waiting)).rejects.toMatchObject({ code: 'draining', status: 503 });
    gate.resolve();
    expect((await caller).generation).toBe(2);
    await drained;
    expect(server.requests).toHaveLength(1);
  });
});
