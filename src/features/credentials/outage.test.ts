/** Long bad weather at the provider and at the database: what callers get meanwhile, and what is asked of whom. */
import { describe, expect, it } from 'vitest';
import { eventually, type CoreNode } from '../../../test/support/build.ts';
import { accessOf, useStage, type Stage, type Subject } from '../../../test/support/credentials.ts';
import { systemClock } from '../../platform/clock.ts';
import { isHawserError } from '../../base/errors.ts';

let stage: Stage;
let server: Stage['server'];
let nodes: CoreNode[];
/** Added to what the nodes read of the monotonic clock. */
let passedMs = 0;

useStage(async (made) => {
  stage = made;
  ({ server } = made);
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs };
  nodes = [await stage.core.startNode({ clock }), await stage.core.startNode({ clock })];
});

/** A minute passes, for the rows and for the nodes. */
async function minutePasses({ connection }: Subject): Promise<void> {
  passedMs += 60_000;
  await stage.passes(connection, 60_000);
}

/** Refreshes behind the callers' backs have ended, one way or the other. */
const settled = ({ connection }: Subject) =>
  eventually(
    async () => [await stage.row(connection), server.requests.length, stage.core.logged.filter(isEnd).length] as const,
    ([row, sent, noted]) => row?.lease_owner === null && sent === noted,
  );
const isEnd = (line: string) => line.includes('Refresh failed') || line.includes('Refreshed');

describe('fault 6: a token endpoint that is down for 30 minutes', () => {
  it.each<[string, number, Record<string, string>, number]>([
    ['500', 500, {}, 15],
    ['503', 503, {}, 15],
    ['503 with Retry-After of 5 min', 503, { 'retry-after': '300' }, 3],
    ['429 with Retry-After of 10 min', 429, { 'retry-after': '600' }, 2],
  ])('%s: no caller notices before the token ends, and then it heals', async (_name, status, headers, triesMax) => {
    server.habit = 'same';
    stage.core.logged.length = 0;
    const subject = await stage.connected({ rotation: 'none' });
    const original = subject.tokens.access_token;
    // 35 minutes to live: due in 20, so the last 15 minutes of the outage are tries.
    await stage.endsIn(subject.connection, 30.5 * 60_000, 3_600_000);
    server.fault(...Array.from({ length: 60 }, () => ({ kind: 'raw' as const, status, body: 'down', headers })));
    for (let minute = 1; minute <= 30; minute += 1) {
      await minutePasses(subject);
      for (const node of [...nodes, ...nodes]) expect(accessOf(await stage.read(node, subject))).toBe(original);
      await settled(subject);
    }
    expect(server.requests.length).toBeGreaterThanOrEqual(1);
    expect(server.requests.length).toBeLessThanOrEqual(triesMax);
    const states = (await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state');
    expect(states).toEqual([]);
    // The outage ends with the token.
    server.clearFaults();
    server.requests.length = 0;
    for (let minute = 0; minute < 12; minute += 1) await minutePasses(subject);
    const lives = await Promise.all(nodes.map((node) => stage.read(node, subject)));
    expect(lives.map((live) => live.generation)).toEqual([2, 2]);
    expect(server.requests).toHaveLength(1);
  });

  it('slow: callers get the valid token at once, however long the answer takes', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 300_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    for (let round = 0; round < 20; round += 1) {
      for (const node of nodes) expect(accessOf(await stage.read(node, subject))).toBe(subject.tokens.access_token);
    }
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    gate.resolve();
    await eventually(
      () => stage.row(subject.connection),
      (row) => row?.gen === 2,
    );
    expect(server.requests).toHaveLength(1);
  });
});

describe('fault 8: a grant revoked at the provider while it is in use', () => {
  it.each([true, false])('ends once, for 2 nodes under load (the access token has ended: %s)', async (hasEnded) => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, hasEnded ? -1_000 : 3_000_000, 600_000);
    const lives = hasEnded ? [] : await Promise.all(nodes.map((node) => stage.read(node, subject)));
    server.revoke(subject.tokens.refresh_token);
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const at = index % nodes.length;
        const node = nodes[at] as CoreNode;
        try {
          if (hasEnded) return await stage.read(node, subject);
          // The provider answers 401 to a token that looks valid here.
          const live = lives[at];
          return live && (await node.credentials.afterUnauthorized(live));
        } catch (error) {
          return isHawserError(error) ? error.status : error;
        }
      }),
    );
    // By its end everybody is refused; before it everybody gets the provider's own 401 through.
    expect(new Set(outcomes)).toEqual(new Set([hasEnded ? 424 : undefined]));
    expect(server.requests).toHaveLength(1);
    expect(await stage.events(subject.connection)).toEqual([
      { type: 'connection.state', payload: { state: 'needs_reauth', reason: 'revoked' } },
    ]);
    // And it stays so: nothing more is asked, nothing more is told.
    for (const node of nodes) await stage.read(node, subject).catch(() => undefined);
    expect(server.requests).toHaveLength(1);
    expect(await stage.events(subject.connection)).toHaveLength(1);
  });
});

describe('fault 18: the disk of the database is full', () => {
  /** What the server says then, for writes to one table; everything else goes on. */
  async function fill(table: string): Promise<void> {
    await stage.core.db.query(`CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`);
    await stage.core.db.query(
      `CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION disk_full()`,
    );
  }
  const makeSpace = (table: string) => stage.core.db.query(`DROP TRIGGER disk_full ON ${table}`);

  it.each(['credential', 'refresh_pace'])(
    'refuses with 503 before the provider is asked, and heals by itself (%s)',
    async (table) => {
      const subject = await stage.connected({ rotation: 'strict' });
      await stage.endsIn(subject.connection, -1_000);
      await fill(table);
      try {
        for (const node of nodes) {
          await expect(stage.read(node, subject)).rejects.toMatchObject({ code: 'database_full', status: 503 });
        }
        await stage.core.node.credentials.sweep();
      } finally {
        await makeSpace(table);
      }
      expect(server.requests).toHaveLength(0);
      expect((await stage.read(nodes[0] as CoreNode, subject)).generation).toBe(2);
      expect(await stage.events(subject.connection)).toEqual([]);
    },
  );

  it('that fills up between request and answer costs no token: the answer waits on our own disk', async () => {
    server.habit = 'family';
    const [node] = nodes as [CoreNode];
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const caller = stage.read(node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    await fill('refresh_journal');
    try {
      gate.resolve();
      await eventually(
        () => node.credentials.unflushed,
        (count) => count === 1,
      );
    } finally {
      await makeSpace('refresh_journal');
    }
    expect((await caller).generation).toBe(2);
    expect(node.credentials.unflushed).toBe(0);
    expect((await stage.read(nodes[1] as CoreNode, subject, true)).generation).toBe(3);
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(['issued', 'issued']);
  });

  it('that fills up between answer and commit holds the new token back, not lost', async () => {
    server.habit = 'family';
    const [node] = nodes as [CoreNode];
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const caller = stage.read(node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    await fill('credential');
    try {
      gate.resolve();
      await eventually(
        () => stage.journal(subject.connection),
        (answers) => answers.length === 1,
      );
      expect((await stage.row(subject.connection))?.gen).toBe(1);
    } finally {
      await makeSpace('credential');
    }
    expect((await caller).generation).toBe(2);
    expect(server.requests).toHaveLength(1);
  });
});
