import { describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/support/build.ts';
import { accessOf, useStage, type Stage } from '../../../test/support/credentials.ts';
import { type RotationHabit } from '../../../test/support/token-server.ts';
import type { LiveConnection } from './index.ts';

let stage: Stage;
let server: Stage['server'];
let core: Stage['core'];
let other: Stage['other'];

useStage((made) => {
  stage = made;
  ({ server, core, other } = made);
});

describe('when', () => {
  it('hands out a fresh token from memory without asking anybody', async () => {
    const subject = await stage.connected();
    expect(core.node.credentials.peek(core.environment.id, subject.key, 'customer-1')).toBeUndefined();
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    const peeked = core.node.credentials.peek(core.environment.id, subject.key, 'customer-1');
    expect(peeked && accessOf(peeked)).toBe(subject.tokens.access_token);
    expect(JSON.stringify(peeked)).not.toContain(subject.tokens.refresh_token);
    expect(server.requests).toHaveLength(0);
  });

  it('serves the valid token at once while a due refresh runs behind', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 120_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    gate.resolve();
    await eventually(
      () => stage.row(subject.connection),
      (now) => now?.gen === 2,
    );
    const now = await eventually(
      () => stage.read(core.node, subject),
      (live) => live.generation === 2,
    );
    expect(accessOf(now)).not.toBe(subject.tokens.access_token);
    expect(server.requests).toHaveLength(1);
  });

  it('never refreshes a token without an end unless forced', async () => {
    const subject = await stage.connected();
    await core.db.query('UPDATE credential SET expires_at = NULL, sealed = sealed WHERE connection_id = $1', [
      subject.connection.id,
    ]);
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    expect(server.requests).toHaveLength(0);
    expect((await stage.read(core.node, subject, true)).generation).toBe(2);
    expect(server.requests).toHaveLength(1);
  });

  it('skips a forced refresh silently where there is no refresh token', async () => {
    const subject = await stage.connected({ withoutRefresh: true });
    expect(accessOf(await stage.read(core.node, subject, true))).toBe(subject.tokens.access_token);
    expect(server.requests).toHaveLength(0);
  });

  it('returns an ended token without refresh token as it is, and says so once', async () => {
    const subject = await stage.connected({ withoutRefresh: true });
    await stage.endsIn(subject.connection, -1_000);
    await Promise.all([stage.read(core.node, subject), stage.read(other, subject), stage.read(core.node, subject)]);
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    expect(await stage.events(subject.connection)).toEqual([
      { type: 'connection.state', payload: { state: 'needs_reauth', reason: 'expired' } },
    ]);
  });

  it('announces the end of a token that cannot be renewed a day before', async () => {
    const subject = await stage.connected({ withoutRefresh: true });
    await stage.endsIn(subject.connection, 3_600_000);
    await stage.read(core.node, subject);
    const now = await core.node.connections.byId(core.environment.id, subject.connection.id);
    expect(now?.state).toBe('expiring');
  });

  it('does not know connections or integrations that are not there', async () => {
    const subject = await stage.connected();
    const { credentials } = core.node;
    await expect(credentials.live(core.environment.id, 'nowhere', 'customer-1')).rejects.toMatchObject({
      code: 'unknown_provider_config',
    });
    await expect(credentials.live(core.environment.id, subject.key, 'nobody')).rejects.toMatchObject({
      code: 'unknown_connection',
    });
  });
});

describe('fault 2: once', () => {
  it.each(['strict', 'overlap', 'none', 'unknown'])(
    'sends one token request for 50 callers on each of 2 nodes at one expiry (%s)',
    async (rotation) => {
      server.habit = 'family';
      const subject = await stage.connected({ rotation });
      await stage.endsIn(subject.connection, -1_000);
      const gate = Promise.withResolvers<void>();
      server.fault({ kind: 'held', gate: gate.promise });
      const callers = Array.from({ length: 100 }, (_, index) =>
        stage.read(index % 2 === 0 ? core.node : other, subject),
      );
      await eventually(
        () => server.requests.length,
        (count) => count === 1,
      );
      gate.resolve();
      const results = await Promise.all(callers);
      expect(server.requests).toHaveLength(1);
      expect(new Set(results.map(accessOf)).size).toBe(1);
      expect(accessOf(results[0] as LiveConnection)).not.toBe(subject.tokens.access_token);
      expect(new Set(results.map((live) => live.generation))).toEqual(new Set([2]));
      const now = await stage.row(subject.connection);
      expect(now).toMatchObject({ gen: 2, lease_owner: null, intent_at: null });
    },
  );

  it('fault 2: lets generations rise by one over 20 rounds of 50 callers on each of 2 nodes, one request each', async () => {
    server.habit = 'family';
    const subject = await stage.connected();
    for (let round = 1; round <= 20; round += 1) {
      await stage.endsIn(subject.connection, -1_000);
      const lives = await Promise.all(
        Array.from({ length: 100 }, (_, index) => stage.read(index % 2 ? core.node : other, subject)),
      );
      expect(server.requests).toHaveLength(round);
      expect(new Set(lives.map((live) => live.generation))).toEqual(new Set([round + 1]));
    }
    expect((await stage.events(subject.connection)).length).toBe(0);
  });

  it('claims once for any number of callers in one process', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const queries = vi.spyOn(core.node.db, 'query');
    await Promise.all(Array.from({ length: 50 }, () => stage.read(core.node, subject)));
    const claims = queries.mock.calls.filter(([, , name]) => name === 'credential-claim');
    queries.mockRestore();
    expect(claims).toHaveLength(1);
  });

  it('joins forced refreshes, and another node that waits for the row', async () => {
    server.habit = 'family';
    const subject = await stage.connected();
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const callers = Array.from({ length: 10 }, (_, index) => stage.read(index % 2 ? core.node : other, subject, true));
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    gate.resolve();
    expect(new Set((await Promise.all(callers)).map((live) => live.generation))).toEqual(new Set([2]));
    expect(server.requests).toHaveLength(1);
  });

  it('tells the node that waited why the other one failed', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.onDecided = () => {};
    server.fault({ kind: 'held', gate: gate.promise });
    server.revoke(subject.tokens.refresh_token);
    const first = stage.read(core.node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    const second = stage.read(other, subject);
    gate.resolve();
    await expect(first).rejects.toMatchObject({ code: 'connection_needs_reauth', status: 424 });
    await expect(second).rejects.toMatchObject({ status: 424 });
    expect(server.requests).toHaveLength(1);
    expect((await stage.events(subject.connection)).length).toBe(1);
  });
});

describe('what an answer changes', () => {
  it.each<[RotationHabit, boolean]>([
    ['same', false],
    ['silent', false],
    ['rotate', true],
    ['grace', true],
    ['family', true],
  ])('keeps the newest refresh token of a provider that rotates "%s"', async (habit, changes) => {
    server.habit = habit;
    const subject = await stage.connected();
    await stage.read(core.node, subject, true);
    const stored = await stage.refreshTokenOf(subject.connection);
    expect(stored !== subject.tokens.refresh_token).toBe(changes);
    expect((await stage.read(other, subject, true)).generation).toBe(3);
    expect(server.requests.map((request) => request.outcome)).toEqual(['issued', 'issued']);
  });

  it('keeps the own client of a connection, and refreshes with it', async () => {
    const subject = await stage.connected({ override: true });
    const live = await stage.read(core.node, subject, true);
    expect(live.generation).toBe(2);
    expect(live.credential).toMatchObject({ config_override: { client_id: 'client-id' } });
    const stored = await core.node.credentials.open(subject.connection);
    expect(stored?.credential).toMatchObject({ config_override: { client_secret: 'client-secret-value' } });
  });

  it('holds no token in the clear, and the refresh token apart from the rest', async () => {
    const subject = await stage.connected();
    const tables = await core.db.query<{ text: string }>(
      `SELECT row_to_json(c)::text AS text FROM credential c UNION ALL SELECT row_to_json(j)::text FROM refresh_journal j`,
    );
    await stage.read(core.node, subject, true);
    const everything = tables.map(({ text }) => text).join('\n');
    expect(everything).not.toContain(subject.tokens.access_token);
    expect(everything).not.toContain(Buffer.from(subject.tokens.refresh_token).toString('hex'));
    const stored = await core.node.credentials.open(subject.connection);
    expect(JSON.stringify(stored?.credential.type === 'OAUTH2' && stored.credential.raw)).not.toMatch(/rt_/);
  });

  it('finds living connections by token, and only by the present one', async () => {
    const subject = await stage.connected();
    const find = async (token: string) =>
      (await core.node.credentials.findByToken(core.environment.id, token)).map(({ id }) => id);
    expect(await find(subject.tokens.access_token)).toEqual([subject.connection.id]);
    const renewed = accessOf(await stage.read(core.node, subject, true)) as string;
    expect(await find(subject.tokens.access_token)).toEqual([]);
    expect(await find(renewed)).toEqual([subject.connection.id]);
  });

  it('heals a connection that needed its customer, by a forced refresh', async () => {
    const subject = await stage.connected();
    await core.node.connections.setState(core.db, {
      environmentId: core.environment.id,
      id: subject.connection.id,
      state: 'needs_reauth',
      reason: 'revoked',
    });
    const live = await stage.read(core.node, subject, true);
    expect(live.connection.state).toBe('active');
    expect((await stage.events(subject.connection)).map(({ payload }) => payload['state'])).toEqual([
      'needs_reauth',
      'active',
    ]);
  });
});
