/** Clocks that are wrong, pools that are empty, commits whose answer is lost, herds. */
import { describe, expect, it, vi } from 'vitest';
import { aConnection, eventually, type CoreNode } from '../../../test/support/build.ts';
import { accessOf, useStage, type Stage } from '../../../test/support/credentials.ts';
import { systemClock } from '../../platform/clock.ts';
import { databaseErrors } from '../../platform/postgres/index.ts';

/** CI asks for more. */
const HERD = Number(process.env['HERD_TOKENS'] ?? 200);

let stage: Stage;
let server: Stage['server'];

useStage((made) => {
  stage = made;
  ({ server } = made);
});

describe('fault 15: a node whose clock is wrong', () => {
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

  it('jumps in the middle of an exchange: lease, journal and end are those of the database', async () => {
    let skewMs = 0;
    const node = await stage.core.startNode({ clock: { ...systemClock, now: () => systemClock.now() + skewMs } });
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const caller = stage.read(node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    skewMs = -24 * 3_600_000;
    gate.resolve();
    const live = await caller;
    expect(live.generation).toBe(2);
    expect(Math.abs((live.expiresAtMs ?? 0) - systemClock.now() - 3_600_000)).toBeLessThan(60_000);
    skewMs = 24 * 3_600_000;
    expect(accessOf(await stage.read(node, subject))).toBe(accessOf(live));
    expect(server.requests).toHaveLength(1);
    const [journalled] = await stage.core.db.query<{ ago_ms: number }>(
      `SELECT abs(extract(epoch FROM clock_timestamp() - received_at) * 1000)::float8 AS ago_ms FROM refresh_journal
       WHERE connection_id = $1`,
      [subject.connection.id],
    );
    expect(journalled?.ago_ms).toBeLessThan(60_000);
  });
});

describe('fault 17: a commit whose answer is lost', () => {
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

describe('fault 19: a small pool', () => {
  it('serves 500 callers with 2 connections and one token request, or tells them that it is busy', async () => {
    const node = await stage.core.startNode({ poolSize: 2 });
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const outcomes = await Promise.all(
      Array.from({ length: 500 }, () =>
        stage.read(node, subject).then(
          (live) => live.generation,
          (error: unknown) => (error as { code?: string }).code,
        ),
      ),
    );
    // Nobody waits longer for a connection than the queue allows; a slow machine has such callers.
    expect(new Set(outcomes.filter((outcome) => outcome !== 'database_busy'))).toEqual(new Set([2]));
    expect(server.requests).toHaveLength(1);
    expect((await stage.read(node, subject)).generation).toBe(2);
  });
});

describe('fault 19: a pool whose every connection is taken', () => {
  it('refuses in words that say so, sends nothing, and serves again', async () => {
    const node = await stage.core.startNode({ poolSize: 2 });
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const free = Promise.withResolvers<void>();
    const taken = [1, 2].map(() => node.db.transaction(() => free.promise));
    await expect(stage.read(node, subject)).rejects.toMatchObject({ code: 'database_busy', status: 503 });
    expect(server.requests).toHaveLength(0);
    // Health does not queue behind them.
    expect(await node.db.ping(2_000)).toBe(true);
    free.resolve();
    await Promise.all(taken);
    expect((await stage.read(node, subject)).generation).toBe(2);
  });

  it('holds none while the provider thinks', async () => {
    const node = await stage.core.startNode({ poolSize: 1 });
    const subject = await stage.connected();
    const bystander = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const caller = stage.read(node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    expect(accessOf(await stage.read(node, bystander))).toBe(bystander.tokens.access_token);
    gate.resolve();
    expect((await caller).generation).toBe(2);
  });
});

describe('fault 22: a herd', () => {
  it(`of ${HERD} tokens ended at once asks once per connection, on two nodes`, { timeout: 240_000 }, async () => {
    const times = { startsPerSecond: 100_000 };
    const nodes = await Promise.all([1, 2].map(() => stage.core.startNode({ times, poolSize: 10 })));
    const { integration } = await stage.read(stage.core.node, await stage.connected({ rotation: 'overlap' }));
    const names = Array.from({ length: HERD }, (_, index) => `herd-${index}`);
    const rest = [...names];
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        for (let connectionId = rest.pop(); connectionId !== undefined; connectionId = rest.pop()) {
          const credential = { type: 'OAUTH2' as const, raw: {}, ...server.grant() };
          await aConnection(stage.core.node, integration, credential, { connectionId, expiresInMs: -1_000 });
        }
      }),
    );
    // Callers have 25 s of patience: they come in waves, half of them to both nodes at once.
    const live = (node: CoreNode | undefined, name: string) =>
      (node as CoreNode).credentials.live(integration.environmentId, integration.uniqueKey, name);
    for (let from = 0; from < names.length; from += 100) {
      const wave = names.slice(from, from + 100);
      const lives = await Promise.all(
        wave.flatMap((name, index) =>
          index % 2 ? [live(nodes[index % 4 === 1 ? 0 : 1], name)] : nodes.map((node) => live(node, name)),
        ),
      );
      expect(new Set(lives.map(({ generation }) => generation))).toEqual(new Set([2]));
    }
    expect(server.requests).toHaveLength(HERD);
    expect(new Set(server.requests.map(({ refreshToken }) => refreshToken)).size).toBe(HERD);
    expect(server.requests.every(({ outcome }) => outcome === 'issued')).toBe(true);
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
