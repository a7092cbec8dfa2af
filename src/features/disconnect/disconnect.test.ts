/** Letting go of a grant: by a call, by RFC 7009, or where the provider knows neither. */
import { describe, expect, it } from 'vitest';
import { aConnection, anIntegration, eventually, type Core, type CoreNode } from '../../../test/support/build.ts';
import { startTokenServer, type TokenServer } from '../../../test/support/token-server.ts';
import { useDisconnectStage } from './disconnect.test-support.ts';

let server: TokenServer;
let core: Core;
let other: CoreNode;
let impatient: CoreNode;
const { connectedTo, killAt, letGo, makeDue, nextSerial, outcomeOf, stored, task, told, viaCall, viaRevocation } =
  useDisconnectStage((stage) => {
    ({ server, core, other, impatient } = stage);
  });

describe('a provider with a call for it', () => {
  it('lets go, wipes, keeps a tombstone, and tells once', async () => {
    const subject = await connectedTo(await viaCall());
    expect(await letGo(subject)).toEqual({ outcome: 'revoked', detail: undefined });
    expect(server.deauthorized).toEqual([subject.tokens.access_token]);
    expect(await stored(subject)).toEqual({
      state: 'disconnected',
      state_reason: 'revoked',
      deleted: true,
      secrets: 0,
      answers: 0,
    });
    expect(await task(subject)).toMatchObject({ sealed: null });
    expect(await outcomeOf(subject)).toMatchObject({ outcome: 'revoked', attempts: 1, nextAttemptAt: undefined });
    expect(await told(subject)).toEqual(['revoked']);
    await expect(
      core.node.credentials.live(core.environment.id, subject.integration.uniqueKey, 'customer-1'),
    ).rejects.toMatchObject({ code: 'unknown_connection' });
  });

  it('takes 401 for "was already gone"', async () => {
    const subject = await connectedTo(await viaCall());
    server.revoke(subject.tokens.refresh_token);
    expect(await letGo(subject)).toMatchObject({ outcome: 'revoked', detail: 'The provider had let go before.' });
  });

  it('answers "pending" when the provider is slow, and goes on', async () => {
    const subject = await connectedTo(await viaCall());
    const gate = Promise.withResolvers<void>();
    server.letGoGate = gate.promise;
    expect(await letGo(subject, impatient)).toMatchObject({ outcome: 'pending' });
    expect(await core.node.connections.byId(core.environment.id, subject.connection.id)).toBeUndefined();
    expect(await stored(subject)).toMatchObject({ state: 'disconnecting', deleted: true, secrets: 0 });
    gate.resolve();
    await eventually(
      () => outcomeOf(subject),
      (status) => status?.outcome === 'revoked',
    );
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('keeps the token sealed while the provider fails, and retries with growing waits', async () => {
    const subject = await connectedTo(await viaCall());
    server.letGoStatus = 503;
    expect(await letGo(subject)).toEqual({ outcome: 'pending', detail: 'The provider answered 503.' });
    const first = await task(subject);
    expect(first?.sealed?.toString('latin1')).not.toContain(subject.tokens.access_token);
    expect(first?.wait_ms).toBeGreaterThan(50_000);
    expect(first?.wait_ms).toBeLessThan(70_000);
    expect(await stored(subject)).toMatchObject({ secrets: 0, deleted: true });
    await makeDue(subject);
    await other.disconnect.sweep();
    expect((await task(subject))?.wait_ms).toBeGreaterThan(100_000);
    await core.db.query('UPDATE disconnect_task SET attempts = 40 WHERE connection_id = $1', [subject.connection.id]);
    await makeDue(subject);
    await other.disconnect.sweep();
    expect((await task(subject))?.wait_ms).toBeLessThan(6.7 * 3_600_000);
    server.letGoStatus = 200;
    await makeDue(subject);
    await other.disconnect.sweep();
    expect(await outcomeOf(subject)).toMatchObject({ outcome: 'revoked' });
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('gives up after 7 days: failed, wiped, told', async () => {
    const subject = await connectedTo(await viaCall());
    server.letGoStatus = 500;
    await letGo(subject);
    await core.db.query(
      `UPDATE disconnect_task SET give_up_at = clock_timestamp() - interval '1 second' WHERE connection_id = $1`,
      [subject.connection.id],
    );
    await makeDue(subject);
    await core.node.disconnect.sweep();
    expect(await outcomeOf(subject)).toMatchObject({
      outcome: 'failed',
      detail: 'Given up after 7 days. The provider answered 500.',
    });
    expect(await task(subject)).toMatchObject({ sealed: null });
    expect(await told(subject)).toEqual(['failed']);
  });

  it('finds the token gone when it died between the provider and the commit', async () => {
    const subject = await connectedTo(await viaCall());
    killAt('L1');
    expect(await letGo(subject)).toEqual({ outcome: 'pending' });
    expect(server.deauthorized).toHaveLength(1);
    expect(await told(subject)).toEqual([]);
    await makeDue(subject);
    await other.disconnect.sweep();
    expect(await outcomeOf(subject)).toMatchObject({ outcome: 'revoked', detail: 'The provider had let go before.' });
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('shares a queue between nodes: every grant is let go once', async () => {
    const integration = await viaCall();
    const subjects = await Promise.all(
      Array.from({ length: 30 }, (_, index) => connectedTo(integration, `customer-${index}`)),
    );
    await core.db.transaction(async (tx) => {
      for (const { connection } of subjects) await core.node.disconnect.enqueue(tx, connection);
    });
    const worked = await Promise.all([core.node.disconnect.sweep(), other.disconnect.sweep()]);
    expect(worked[0] + worked[1]).toBe(30);
    expect(new Set(server.deauthorized).size).toBe(30);
    expect(server.deauthorized).toHaveLength(30);
    for (const subject of subjects) expect(await told(subject)).toEqual(['revoked']);
  });

  it('deletes once however often it is asked to', async () => {
    const subject = await connectedTo(await viaCall());
    const results = await Promise.all([letGo(subject), letGo(subject), letGo(subject, other)]);
    expect(results.map(({ outcome }) => outcome)).toContain('revoked');
    await eventually(
      () => outcomeOf(subject),
      (status) => status?.outcome === 'revoked',
    );
    expect(await letGo(subject)).toMatchObject({ outcome: 'revoked' });
    expect(server.deauthorized).toHaveLength(1);
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('leaves a grant alone until its last connection goes', async () => {
    const integration = await viaCall();
    const first = await connectedTo(integration, 'one');
    const second = await connectedTo(integration, 'two', first.tokens);
    expect(await letGo(first)).toMatchObject({
      outcome: 'revoked',
      detail: expect.stringContaining('another connection uses'),
    });
    expect(server.deauthorized).toEqual([]);
    expect(server.isAlive(first.tokens.access_token)).toBe(true);
    expect(await letGo(second)).toEqual({ outcome: 'revoked', detail: undefined });
    expect(server.deauthorized).toEqual([first.tokens.access_token]);
  });

  it('lets both go at the same moment', async () => {
    const integration = await viaCall();
    const first = await connectedTo(integration, 'one');
    const second = await connectedTo(integration, 'two', first.tokens);
    const results = await Promise.all([letGo(first), letGo(second, other)]);
    expect(results.map(({ outcome }) => outcome)).toEqual(['revoked', 'revoked']);
    expect(server.isAlive(first.tokens.access_token)).toBe(false);
  });

  it('goes on when the integration was deleted meanwhile', async () => {
    const subject = await connectedTo(await viaCall());
    await core.node.integrations.remove(core.environment.id, subject.integration.uniqueKey, (tx) =>
      core.node.disconnect.enqueue(tx, subject.connection),
    );
    expect(server.deauthorized).toEqual([]);
    await core.node.disconnect.sweep();
    expect(server.deauthorized).toEqual([subject.tokens.access_token]);
  });
});

describe('a provider with RFC 7009', () => {
  it('revokes the refresh token first, then the access token', async () => {
    const subject = await connectedTo(await viaRevocation());
    expect(await letGo(subject)).toMatchObject({ outcome: 'revoked' });
    expect(server.revocations).toEqual([
      { token: subject.tokens.refresh_token, hint: 'refresh_token' },
      { token: subject.tokens.access_token, hint: 'access_token' },
    ]);
  });

  it('does not take 401 for success: there it means that our client was refused', async () => {
    const subject = await connectedTo(await viaRevocation());
    server.letGoStatus = 401;
    expect(await letGo(subject)).toEqual({ outcome: 'pending', detail: 'The revocation endpoint answered 401.' });
  });

  it('says "unsupported" where the server has no endpoint', async () => {
    const subject = await connectedTo(await viaRevocation(false));
    expect(await letGo(subject)).toMatchObject({ outcome: 'unsupported' });
    expect(await stored(subject)).toMatchObject({ state: 'disconnected', state_reason: 'unsupported', secrets: 0 });
  });

  it('counts an unreachable server as not yet', async () => {
    const gone = await startTokenServer();
    const serial = nextSerial();
    const integration = await anIntegration(
      core,
      { ...gone, tokenUrl: gone.tokenUrl, revokeUrl: gone.revokeUrl },
      { key: `generic-${serial}` },
    );
    await gone.close();
    const subject = await connectedTo(integration);
    const result = await letGo(subject);
    expect(result.outcome).toBe('pending');
    expect(result.detail).not.toContain(subject.tokens.access_token);
  });
});

describe('a provider without a call', () => {
  it.each([
    ['checkbook', 'unsupported'],
    ['private-api-bearer', 'unsupported'],
    ['unauthenticated', 'revoked'],
  ])('%s: wipes and says %s', async (provider, expected) => {
    const serial = nextSerial();
    const oauth = provider === 'checkbook';
    const integration = await core.node.integrations.create(core.environment.id, {
      provider,
      uniqueKey: `${provider}-${serial}`,
      ...(oauth && {
        client: { type: 'OAUTH2' as const, clientId: 'a', clientSecret: 'b', scopes: [], webhookSecret: undefined },
      }),
    });
    const credential = oauth
      ? { type: 'OAUTH2' as const, access_token: `token-${serial}`, raw: {} }
      : provider === 'unauthenticated'
        ? { type: 'NONE' as const }
        : { type: 'API_KEY' as const, apiKey: 'some-api-key' };
    const connection = await aConnection(core.node, integration, credential);
    const subject = { integration, connection, tokens: { access_token: '', refresh_token: '' } };
    const result = await letGo(subject);
    const disconnect = integration.provider.disconnect;
    expect(result.outcome).toBe(disconnect.kind === 'nothing' ? 'revoked' : expected);
    if (disconnect.kind === 'unsupported') expect(result.detail).toBe(disconnect.customerMustDo);
    expect(await stored(subject)).toMatchObject({ secrets: 0, deleted: true });
    expect(await told(subject)).toHaveLength(1);
  });
});
