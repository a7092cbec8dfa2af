/** What the sweep does unasked, and what it leaves alone. */
import { describe, expect, it } from 'vitest';
import type { CoreNode } from '../../../test/support/build.ts';
import { useStage, type Stage, type Subject } from '../../../test/support/credentials.ts';
import { systemClock } from '../../platform/clock.ts';
import { reserveStart } from './store-pace.ts';

const HOUR_MS = 3_600_000;

let stage: Stage;
let server: Stage['server'];
let node: CoreNode;

useStage((made) => {
  stage = made;
  ({ server } = made);
  ({ node } = made.core);
});

async function lookNow({ connection }: Subject): Promise<void> {
  await stage.core.db.query('UPDATE credential SET sweep_at = clock_timestamp() WHERE connection_id = $1', [
    connection.id,
  ]);
}

/** Somebody read or called with it, so long ago. */
async function usedAgo({ connection }: Subject, column: 'last_fetched_at' | 'last_good_call_at', ms: number) {
  await stage.core.db.query(
    `UPDATE connection SET ${column} = clock_timestamp() - $2::float8 * interval '1 millisecond' WHERE id = $1`,
    [connection.id, ms],
  );
}

async function looksInMs({ connection }: Subject): Promise<number> {
  const [row] = await stage.core.db.query<{ ms: number }>(
    `SELECT (extract(epoch FROM sweep_at - clock_timestamp()) * 1000)::float8 AS ms FROM credential
     WHERE connection_id = $1`,
    [connection.id],
  );
  return row?.ms ?? Number.NaN;
}

const generationOf = async ({ connection }: Subject) => (await stage.row(connection))?.gen;

describe('the sweep', () => {
  it.each(['last_fetched_at', 'last_good_call_at'] as const)(
    'refreshes a token that is about to end and was used since it came (%s)',
    async (column) => {
      const subject = await stage.connected();
      await stage.endsIn(subject.connection, 600_000, 50 * 60_000);
      await usedAgo(subject, column, 40 * 60_000);
      await lookNow(subject);
      await node.credentials.sweep();
      expect(await generationOf(subject)).toBe(2);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('leaves a token that nobody used since it came to its end, and to its day', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 600_000, 50 * 60_000);
    await usedAgo(subject, 'last_fetched_at', 55 * 60_000);
    await lookNow(subject);
    expect(await node.credentials.sweep()).toBe(1);
    expect(await node.credentials.sweep()).toBe(0);
    expect(server.requests).toHaveLength(0);
    const waitMs = await looksInMs(subject);
    expect(waitMs).toBeGreaterThan(23 * HOUR_MS);
    expect(waitMs).toBeLessThan(24 * HOUR_MS);
  });

  it('looks at a token again when it becomes due, from the hour it was stored', async () => {
    const subject = await stage.connected();
    const hour = await looksInMs(subject);
    expect(hour).toBeGreaterThan(44 * 60_000);
    expect(hour).toBeLessThan(48.1 * 60_000);
    await stage.read(node, subject, true);
    expect(await looksInMs(subject)).toBeGreaterThan(44 * 60_000);
    await lookNow(subject);
    await node.credentials.sweep();
    expect(server.requests).toHaveLength(1);
    const again = await looksInMs(subject);
    expect(again).toBeGreaterThan(40 * 60_000);
    expect(again).toBeLessThan(50 * 60_000);
  });

  it('never refreshes a token without an end', async () => {
    const subject = await stage.connected();
    await stage.core.db.query(
      `UPDATE credential SET expires_at = NULL, refreshed_at = refreshed_at - interval '9 days', sealed = sealed
       WHERE connection_id = $1`,
      [subject.connection.id],
    );
    await lookNow(subject);
    expect(await node.credentials.sweep()).toBe(1);
    expect(server.requests).toHaveLength(0);
    expect(await looksInMs(subject)).toBeGreaterThan(23 * HOUR_MS);
  });

  it('keeps refresh tokens of unused connections alive, and wipes old answers', async () => {
    const subject = await stage.connected();
    await stage.read(node, subject, true);
    await stage.endsIn(subject.connection, -1_000, 25 * 3_600_000);
    await stage.core.db.query('UPDATE credential SET sweep_at = clock_timestamp() WHERE connection_id = $1', [
      subject.connection.id,
    ]);
    await stage.core.db.query(
      `UPDATE refresh_journal SET closed_at = closed_at - interval '25 hours' WHERE connection_id = $1`,
      [subject.connection.id],
    );
    await Promise.all([node.credentials.sweep(), stage.other.credentials.sweep()]);
    expect((await stage.row(subject.connection))?.gen).toBe(3);
    expect(server.requests).toHaveLength(2);
    expect(await stage.journal(subject.connection)).toHaveLength(1);
  });

  it('leaves alone what waits for its customer or cannot be refreshed, and does not look at it again', async () => {
    const waiting = await stage.connected();
    const without = await stage.connected({ withoutRefresh: true });
    await stage.core.node.connections.setState(stage.core.db, {
      environmentId: stage.core.environment.id,
      id: waiting.connection.id,
      state: 'needs_reauth',
      reason: 'revoked',
    });
    await stage.core.db.query(
      `UPDATE credential SET sweep_at = clock_timestamp(), intent_at = clock_timestamp(),
         lease_until = clock_timestamp() - interval '1 second' WHERE connection_id = ANY ($1)`,
      [[waiting.connection.id, without.connection.id]],
    );
    expect(await node.credentials.sweep()).toBe(2);
    expect(await node.credentials.sweep()).toBe(0);
    expect(server.requests).toHaveLength(0);
  });
});

describe('the clock of a node', () => {
  it.each([31, -7_200])('fault 15: %d s beside the database’s is told in the log', async (seconds) => {
    const clock = { ...systemClock, now: () => systemClock.now() + seconds * 1_000 };
    const skewed = await stage.core.startNode({ clock });
    stage.core.logged.length = 0;
    await node.credentials.sweep();
    expect(stage.core.logged.join()).not.toContain('differ');
    await skewed.credentials.sweep();
    expect(stage.core.logged.join()).toMatch(new RegExp(`clock of this machine.*"skewSeconds":${seconds}`));
  });
});

describe('fault 22: starts at one provider', () => {
  it('are shared by all nodes: no two get the same', async () => {
    const [before] = await stage.core.db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    const waits = await Promise.all(
      Array.from({ length: 12 }, (_, index) => reserveStart(index % 2 ? node.db : stage.other.db, 'some lane', 5)),
    );
    const [row] = await stage.core.db.query<{ next_start_at: Date }>(
      `SELECT next_start_at FROM refresh_pace WHERE lane = 'some lane'`,
    );
    const reservedMs = (row?.next_start_at.getTime() ?? 0) - (before?.now.getTime() ?? 0);
    expect(reservedMs).toBeGreaterThanOrEqual(12 * 200 - 1);
    expect(Math.min(...waits)).toBe(0);
    expect(await reserveStart(node.db, 'another lane', 5)).toBe(0);
  });

  it('do not wait for a database clock that was set back by a day', async () => {
    await reserveStart(node.db, 'set back', 5);
    await stage.core.db.query(
      `UPDATE refresh_pace SET next_start_at = clock_timestamp() + interval '1 day' WHERE lane = 'set back'`,
    );
    expect(await reserveStart(node.db, 'set back', 5)).toBeLessThanOrEqual(10_000);
  });

  it('of lanes that nobody uses are forgotten', async () => {
    await reserveStart(node.db, 'old', 5);
    await stage.core.db.query(
      `UPDATE refresh_pace SET next_start_at = next_start_at - interval '2 hours' WHERE lane = 'old'`,
    );
    await node.credentials.sweep();
    expect(await stage.core.db.query(`SELECT 1 FROM refresh_pace WHERE lane = 'old'`)).toEqual([]);
  });
});
