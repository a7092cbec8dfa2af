import { describe, expect, it, vi } from 'vitest';
import { eventually } from '../../../test/support/build.ts';
import { accessOf, useStage, type Stage } from '../../../test/support/credentials.ts';
import { startTokenServer, type RotationHabit } from '../../../test/support/token-server.ts';

let stage: Stage;
let server: Stage['server'];
let core: Stage['core'];
let other: Stage['other'];

useStage((made) => {
  stage = made;
  ({ server, core, other } = made);
});

describe('what a failure changes', () => {
  it('fault 8: gives up a revoked grant with one event, and still hands out the access token to its end', async () => {
    const subject = await stage.connected();
    server.revoke(subject.tokens.refresh_token);
    await stage.endsIn(subject.connection, 120_000);
    for (let round = 0; round < 3; round += 1) {
      expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
      await eventually(
        () => stage.events(subject.connection),
        (all) => all.length === 1,
      );
      await stage.forgetFailure(subject.connection);
    }
    expect(await stage.events(subject.connection)).toEqual([
      { type: 'connection.state', payload: { state: 'needs_reauth', reason: 'revoked' } },
    ]);
    expect(server.requests).toHaveLength(1);
    await stage.endsIn(subject.connection, -1_000);
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({
      code: 'connection_needs_reauth',
      status: 424,
    });
    expect(server.requests).toHaveLength(1);
    expect(await stage.refreshTokenOf(subject.connection)).toBe(subject.tokens.refresh_token);
  });

  it('fault 6: backs off 30 s after a failure, without hurting a valid token; force tries at once', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 20_000);
    server.fault({ kind: 'raw', status: 503, body: 'down' });
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    expect(server.requests).toHaveLength(1);
    expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
    expect(accessOf(await stage.read(other, subject))).toBe(subject.tokens.access_token);
    await stage.endsIn(subject.connection, -1_000);
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({
      code: 'connection_refresh_backoff',
      status: 424,
    });
    await expect(stage.read(other, subject)).rejects.toMatchObject({ code: 'connection_refresh_backoff', status: 424 });
    expect(server.requests).toHaveLength(1);
    expect((await stage.read(core.node, subject, true)).generation).toBe(2);
    expect(await stage.row(subject.connection)).toMatchObject({ last_failure: null, failures: 0 });
  });

  it('fault 6: tells the app once when failing begins, and never declares an outage the customer’s fault', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    for (let round = 0; round < 6; round += 1) {
      server.fault(
        round % 2 === 0
          ? { kind: 'raw', status: 503, body: '<html>' }
          : { kind: 'raw', status: 429, body: '{}', headers: { 'retry-after': '7' } },
      );
      await expect(stage.read(core.node, subject)).rejects.toMatchObject({
        code: 'refresh_token_external_error',
        status: 400,
      });
      await core.db.query(`UPDATE credential SET refused_on = refused_on - 1 WHERE connection_id = $1`, [
        subject.connection.id,
      ]);
      await stage.forgetFailure(subject.connection);
    }
    expect(server.requests).toHaveLength(6);
    const now = await core.node.connections.byId(core.environment.id, subject.connection.id);
    expect(now?.state).toBe('active');
    expect(
      (await stage.events(subject.connection)).map(({ type, payload }) => [
        type,
        payload['operation'],
        payload['success'],
      ]),
    ).toEqual([['auth', 'refresh', false]]);
    expect((await stage.read(core.node, subject)).generation).toBe(2);
  });

  it('fault 6: a node that meant to try before another one failed keeps the back-off too', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    const failed = Promise.withResolvers<void>();
    const real = other.db.query.bind(other.db);
    let waits = 0;
    const spy = vi.spyOn(other.db, 'query').mockImplementation(async (text, values, name) => {
      if (name === 'pace-reserve') {
        waits += 1;
        await failed.promise;
      }
      return real(text, values, name);
    });
    const late = stage.read(other, subject).catch((error: unknown) => error);
    await eventually(
      () => waits,
      (count) => count === 1,
    );
    server.fault({ kind: 'raw', status: 429, body: '{}', headers: { 'retry-after': '600' } });
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({ payload: { kind: 'rate_limited' } });
    failed.resolve();
    expect(await late).toMatchObject({ code: 'refresh_token_external_error' });
    spy.mockRestore();
    expect(server.requests).toHaveLength(1);
  });

  it('fault 6: honours Retry-After beyond the usual back-off', async () => {
    const subject = await stage.connected();
    server.fault({ kind: 'raw', status: 429, body: '{}', headers: { 'retry-after': '600' } });
    await expect(stage.read(core.node, subject, true)).rejects.toMatchObject({
      payload: { kind: 'rate_limited', status: 429 },
    });
    const [{ wait_ms: waitMs } = { wait_ms: 0 }] = await core.db.query<{ wait_ms: number }>(
      `SELECT (extract(epoch FROM next_attempt_at - clock_timestamp()) * 1000)::float8 AS wait_ms FROM credential WHERE connection_id = $1`,
      [subject.connection.id],
    );
    expect(waitMs).toBeGreaterThan(590_000);
  });

  it('is exhausted after refusals on four days, tells once, and recovers by force', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, -1_000);
    for (let day = 0; day < 4; day += 1) {
      for (let twice = 0; twice < 2; twice += 1) {
        server.fault({ kind: 'raw', status: 400, body: '{"error":"policy_violation"}' });
        await expect(stage.read(core.node, subject, true)).rejects.toMatchObject({
          code: 'refresh_token_external_error',
        });
      }
      await core.db.query('UPDATE credential SET refused_on = refused_on - 1 WHERE connection_id = $1', [
        subject.connection.id,
      ]);
      await stage.forgetFailure(subject.connection);
    }
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({
      code: 'connection_refresh_exhausted',
      status: 424,
    });
    expect(server.requests).toHaveLength(8);
    expect((await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state')).toHaveLength(1);
    expect((await stage.read(core.node, subject, true)).connection.state).toBe('active');
  });

  it('takes a refused client for an alarm of the integration, not of the connection', async () => {
    const subject = await stage.connected();
    server.refuseClient = true;
    await expect(stage.read(core.node, subject, true)).rejects.toMatchObject({
      code: 'refresh_token_external_error',
      payload: { kind: 'invalid_client' },
    });
    const now = await core.node.connections.byId(core.environment.id, subject.connection.id);
    expect(now?.state).toBe('active');
    expect(await stage.row(subject.connection)).toMatchObject({ failures: 0, intent_at: null });
    await core.node.activity.flush();
    const lines = await core.node.activity.list({
      environmentId: core.environment.id,
      connectionId: subject.connection.id,
      limit: 10,
    });
    expect(lines.map(({ summary }) => summary).join()).toContain('client id or secret of this integration');
    server.refuseClient = false;
    expect((await stage.read(core.node, subject, true)).generation).toBe(2);
  });

  it('fault 3: keeps a used-up lease from stopping others: a silent node is overtaken, its late answer overwrites nothing', async () => {
    server.habit = 'grace';
    const subject = await stage.connected({ rotation: 'overlap' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const paused = stage.read(core.node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    await core.db.query(
      `UPDATE credential SET lease_until = clock_timestamp() - interval '1 second' WHERE connection_id = $1`,
      [subject.connection.id],
    );
    const winner = await stage.read(other, subject);
    const kept = await stage.refreshTokenOf(subject.connection);
    gate.resolve();
    expect((await paused).generation).toBe(2);
    expect(accessOf(await paused)).toBe(accessOf(winner));
    expect(await stage.refreshTokenOf(subject.connection)).toBe(kept);
    const journal = await core.db.query<{ adopted_gen: number | null; closed: boolean }>(
      'SELECT adopted_gen, closed_at IS NOT NULL AS closed FROM refresh_journal WHERE connection_id = $1 ORDER BY epoch',
      [subject.connection.id],
    );
    expect(journal).toEqual([
      { adopted_gen: null, closed: false },
      { adopted_gen: 2, closed: true },
    ]);
  });

  it('fault 3: does not let anybody in while a paused node of a strict provider holds the lock', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const paused = stage.read(core.node, subject);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    await core.db.query(
      `UPDATE credential SET lease_until = clock_timestamp() - interval '1 second' WHERE connection_id = $1`,
      [subject.connection.id],
    );
    const sessions = vi.spyOn(other.db, 'session');
    const waiting = stage.read(other, subject);
    // It tries for the lock again and again; without the lock it would have sent at the first try.
    await eventually(
      () => ({ tries: sessions.mock.calls.length, requests: server.requests.length }),
      ({ tries, requests }) => tries >= 3 || requests > 1,
    );
    expect(server.requests).toHaveLength(1);
    gate.resolve();
    expect((await paused).generation).toBe(2);
    expect((await waiting).generation).toBe(2);
    expect(server.requests).toHaveLength(1);
  });
});

describe('fault 5: lost answers', () => {
  it.each<[string, RotationHabit]>([
    ['none', 'same'],
    ['overlap', 'grace'],
  ])('sends the same token again at once where the provider allows it (%s)', async (rotation, habit) => {
    server.habit = habit;
    const subject = await stage.connected({ rotation });
    server.fault({ kind: 'lost-reply' }, { kind: 'half-reply' }, { kind: 'lost-reply' });
    expect((await stage.read(core.node, subject, true)).generation).toBe(2);
    expect(server.requests).toHaveLength(4);
    expect(new Set(server.requests.map(({ refreshToken }) => refreshToken))).toEqual(
      new Set([subject.tokens.refresh_token]),
    );
    expect((await stage.events(subject.connection)).length).toBe(0);
  });

  it('fault 5: stops after three repetitions', async () => {
    server.habit = 'same';
    const subject = await stage.connected({ rotation: 'none' });
    server.fault(...Array.from({ length: 4 }, () => ({ kind: 'lost-reply' }) as const));
    await expect(stage.read(core.node, subject, true)).rejects.toMatchObject({ payload: { kind: 'lost_reply' } });
    expect(server.requests).toHaveLength(4);
    expect(await stage.row(subject.connection)).toMatchObject({ intent_at: null, last_failure: 'lost_reply' });
  });

  it.each(['strict', 'unknown'])(
    'serves the token to its end, then sends the same one once (%s, not rotated)',
    async (rotation) => {
      server.habit = 'family';
      const subject = await stage.connected({ rotation });
      await stage.endsIn(subject.connection, 120_000);
      server.fault({ kind: 'reset' });
      expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
      const failed = await eventually(
        () => stage.row(subject.connection),
        (now) => now?.last_failure === 'lost_reply',
      );
      expect(failed?.intent_at).not.toBeNull();
      expect(accessOf(await stage.read(core.node, subject))).toBe(subject.tokens.access_token);
      expect(accessOf(await stage.read(other, subject))).toBe(subject.tokens.access_token);
      await expect(stage.read(other, subject, true)).rejects.toMatchObject({ code: 'connection_refresh_backoff' });
      expect(server.requests).toHaveLength(1);
      await stage.endsIn(subject.connection, -1_000);
      await stage.forgetFailure(subject.connection);
      expect((await stage.read(other, subject)).generation).toBe(2);
      expect(server.requests).toHaveLength(2);
      expect((await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state')).toEqual([]);
    },
  );

  it('explains a rotation that was lost with the answer, once', async () => {
    server.habit = 'family';
    const subject = await stage.connected({ rotation: 'strict' });
    await stage.endsIn(subject.connection, -1_000);
    server.fault({ kind: 'lost-reply' });
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({ payload: { kind: 'lost_reply' } });
    await stage.forgetFailure(subject.connection);
    await expect(stage.read(core.node, subject)).rejects.toMatchObject({ code: 'connection_needs_reauth' });
    await expect(stage.read(other, subject)).rejects.toMatchObject({ code: 'connection_needs_reauth' });
    const states = (await stage.events(subject.connection)).filter(({ type }) => type === 'connection.state');
    expect(states).toEqual([{ type: 'connection.state', payload: { state: 'needs_reauth', reason: 'lost_rotation' } }]);
    expect(server.requests).toHaveLength(2);
  });

  it('knows that nothing was sent when the provider could not be reached', async () => {
    const subject = await stage.connected();
    const gone = await startTokenServer();
    await core.node.integrations.update(core.environment.id, subject.key, {
      integrationConfig: { authorization_url: gone.url, token_url: gone.tokenUrl, rotation: 'strict' },
    });
    await gone.close();
    await expect(stage.read(core.node, subject, true)).rejects.toMatchObject({ payload: { kind: 'unreachable' } });
    expect(await stage.row(subject.connection)).toMatchObject({ intent_at: null, last_failure: 'unreachable' });
  });
});

describe('fault 8: a 401 of the provider', () => {
  it('brings the newer token when somebody else has refreshed', async () => {
    const subject = await stage.connected();
    const old = await stage.read(core.node, subject);
    const fresh = await stage.read(other, subject, true);
    const after = await core.node.credentials.afterUnauthorized(old);
    expect(after && accessOf(after)).toBe(accessOf(fresh));
    expect(server.requests).toHaveLength(1);
  });

  it('refreshes once per minute for any number of callers', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 3_000_000, 120_000);
    const live = await stage.read(core.node, subject);
    const after = await Promise.all(Array.from({ length: 20 }, () => core.node.credentials.afterUnauthorized(live)));
    expect(new Set(after.map((each) => each?.generation))).toEqual(new Set([2]));
    expect(server.requests).toHaveLength(1);
    expect(await core.node.credentials.afterUnauthorized(await stage.read(core.node, subject))).toBeUndefined();
    expect(server.requests).toHaveLength(1);
  });

  it('gives the 401 through when the refresh fails, and does not try again at once', async () => {
    const subject = await stage.connected();
    await stage.endsIn(subject.connection, 3_000_000, 120_000);
    const live = await stage.read(core.node, subject);
    server.fault({ kind: 'raw', status: 503, body: '' });
    expect(await core.node.credentials.afterUnauthorized(live)).toBeUndefined();
    expect(await core.node.credentials.afterUnauthorized(live)).toBeUndefined();
    expect(server.requests).toHaveLength(1);
  });

  it('moves a token that cannot be refreshed only when the 401 repeats without a good call', async () => {
    const subject = await stage.connected({ withoutRefresh: true, expiresInMs: 30 * 86_400_000 });
    const live = await stage.read(core.node, subject);
    expect(await core.node.credentials.afterUnauthorized(live)).toBeUndefined();
    expect(await stage.events(subject.connection)).toEqual([]);
    await core.db.query(
      `UPDATE connection SET last_good_call_at = clock_timestamp() + interval '1 second' WHERE id = $1`,
      [subject.connection.id],
    );
    expect(await core.node.credentials.afterUnauthorized(live)).toBeUndefined();
    expect(await stage.events(subject.connection)).toEqual([]);
    await core.db.query(`UPDATE connection SET last_good_call_at = NULL WHERE id = $1`, [subject.connection.id]);
    await core.node.credentials.afterUnauthorized(live);
    await core.node.credentials.afterUnauthorized(live);
    expect(await stage.events(subject.connection)).toEqual([
      { type: 'connection.state', payload: { state: 'needs_reauth', reason: 'unauthorized' } },
    ]);
  });
});

describe('spent, and other nodes', () => {
  it('marks a single-use grant spent, once, and tells every node', async () => {
    const subject = await stage.connected();
    const live = await stage.read(core.node, subject);
    await stage.read(other, subject);
    await Promise.all([core.node.credentials.spend(live), other.credentials.spend(live)]);
    expect((await stage.events(subject.connection)).map(({ payload }) => payload['state'])).toEqual(['spent']);
    const seen = await eventually(
      () => stage.read(other, subject),
      (now) => now.connection.state === 'spent',
    );
    expect(seen.connection.state).toBe('spent');
  });

  it('drops what another node changed from memory', async () => {
    const subject = await stage.connected();
    await stage.read(core.node, subject);
    await stage.read(other, subject, true);
    const now = await eventually(
      () => core.node.credentials.peek(core.environment.id, subject.key, 'customer-1'),
      (live) => live === undefined,
    );
    expect(now).toBeUndefined();
    expect((await stage.read(core.node, subject)).generation).toBe(2);
  });
});
