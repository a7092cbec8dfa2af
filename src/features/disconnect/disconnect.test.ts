import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import {
  aConnection,
  anIntegration,
  buildCore,
  eventually,
  type Core,
  type CoreNode,
} from '../../../test/support/build.ts';
import { startTokenServer, type TokenServer, type Tokens } from '../../../test/support/token-server.ts';
import { systemClock } from '../../platform/clock.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';

let server: TokenServer;
let core: Core;
let other: CoreNode;
let impatient: CoreNode;
let killed: string | undefined;
let serial = 0;

/** A provider whose "let go" is a call with the customer's token. */
const calling = (url: string): ProviderSpec => ({
  name: 'calling',
  displayName: 'Calling',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'For tests.',
  oauth2: {
    authorize: { url: `${url}/authorize` },
    callback: { stateEcho: 'always' },
    pkce: 'S256',
    token: { url: `${url}/token` },
  },
  api: { baseUrl: url, auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' } },
  disconnect: { kind: 'call', method: 'POST', url: `${url}/deauthorize` },
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
});

beforeAll(async () => {
  server = await startTokenServer();
  core = await buildCore({
    allow: [server.pair],
    providers: [calling(server.url)],
    killPoints: {
      reach(name) {
        if (name !== killed) return;
        killed = undefined;
        throw new Error(`killed at ${name}`);
      },
    },
  });
  other = await core.startNode();
  // The caller's five seconds pass at once; everything else takes its time.
  const sleep = (ms: number, signal?: AbortSignal) => systemClock.sleep(ms === 5_000 ? 1 : ms, signal);
  impatient = await core.startNode({ clock: { ...systemClock, sleep } });
});

afterAll(async () => {
  await core.close();
  await server.close();
});

beforeEach(() => {
  server.letGoStatus = 200;
  server.letGoGate = undefined;
  server.habit = 'rotate';
  server.deauthorized.length = 0;
  server.revocations.length = 0;
  server.requests.length = 0;
  killed = undefined;
});

interface Subject {
  integration: Integration;
  connection: Connection;
  tokens: Tokens;
}

async function viaCall(): Promise<Integration> {
  serial += 1;
  return core.node.integrations.create(core.environment.id, {
    provider: 'calling',
    uniqueKey: `calling-${serial}`,
    client: {
      type: 'OAUTH2',
      clientId: 'client-id',
      clientSecret: 'client-secret-value',
      scopes: [],
      webhookSecret: undefined,
    },
  });
}

async function viaRevocation(revocation = true): Promise<Integration> {
  serial += 1;
  return anIntegration(core, server, { key: `generic-${serial}`, rotation: 'strict', revocation });
}

async function connectedTo(
  integration: Integration,
  connectionId = 'customer-1',
  tokens = server.grant(),
): Promise<Subject> {
  const credential = { type: 'OAUTH2' as const, raw: {}, ...tokens };
  const connection = await aConnection(core.node, integration, credential, { connectionId, expiresInMs: 3_600_000 });
  return { integration, connection, tokens };
}

const letGo = ({ connection, integration }: Subject, node = core.node) =>
  node.disconnect.connection(core.environment.id, connection, integration);

const outcomeOf = ({ connection }: Subject) => core.node.disconnect.outcomeOf(core.environment.id, connection.id);

async function task({ connection }: Subject) {
  const rows = await core.db.query<{ sealed: Buffer | null; attempts: number; wait_ms: number; told: boolean }>(
    `SELECT sealed, attempts, told, (extract(epoch FROM next_attempt_at - clock_timestamp()) * 1000)::float8 AS wait_ms
     FROM disconnect_task WHERE connection_id = $1`,
    [connection.id],
  );
  return rows[0];
}

async function makeDue({ connection }: Subject): Promise<void> {
  await core.db.query(`UPDATE disconnect_task SET next_attempt_at = clock_timestamp() WHERE connection_id = $1`, [
    connection.id,
  ]);
}

async function told({ connection }: Subject): Promise<unknown[]> {
  const rows = await core.db.query<{ payload: Record<string, unknown> }>(
    `SELECT payload FROM event WHERE connection_id = $1 AND type = 'connection.disconnected' ORDER BY id`,
    [connection.id],
  );
  return rows.map(({ payload }) => payload['outcome']);
}

async function stored({ connection }: Subject) {
  const [rows] = await core.db.query<{
    state: string;
    state_reason: string | null;
    deleted: boolean;
    secrets: number;
    answers: number;
  }>(
    `SELECT state, state_reason, deleted_at IS NOT NULL AS deleted,
       (SELECT count(*) FROM credential WHERE connection_id = n.id)::int AS secrets,
       (SELECT count(*) FROM refresh_journal WHERE connection_id = n.id)::int AS answers
     FROM connection n WHERE id = $1`,
    [connection.id],
  );
  return rows;
}

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
    killed = 'L1';
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
    serial += 1;
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
    serial += 1;
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

describe('fault 26: a delete while a refresh runs', () => {
  async function refreshingWhileDeleted(node: CoreNode) {
    const subject = await connectedTo(await viaRevocation());
    const gate = Promise.withResolvers<void>();
    server.fault({ kind: 'held', gate: gate.promise });
    const refreshing = node.credentials
      .live(core.environment.id, subject.integration.uniqueKey, 'customer-1', { force: true })
      .catch((error: unknown) => error);
    await eventually(
      () => server.requests.length,
      (count) => count === 1,
    );
    return { subject, refreshing, answer: () => gate.resolve() };
  }

  it('writes nothing after the delete, revokes the token that came late, and tells nobody twice', async () => {
    const { subject, refreshing, answer } = await refreshingWhileDeleted(other);
    expect(await letGo(subject)).toMatchObject({ outcome: 'revoked' });
    answer();
    expect(await refreshing).toMatchObject({ code: 'unknown_connection' });
    expect(await stored(subject)).toMatchObject({ state: 'disconnected', secrets: 0, answers: 1 });
    server.revocations.length = 0;
    await core.node.disconnect.sweep();
    expect(server.revocations.map(({ hint }) => hint)).toEqual(['refresh_token', 'access_token']);
    expect(server.revocations[0]?.token).not.toBe(subject.tokens.refresh_token);
    expect(await stored(subject)).toMatchObject({ state: 'disconnected', secrets: 0, answers: 0 });
    expect(await outcomeOf(subject)).toMatchObject({ outcome: 'revoked' });
    expect(await task(subject)).toMatchObject({ sealed: null });
    expect(await told(subject)).toEqual(['revoked']);
  });

  it('adds the late token to a task that still waits', async () => {
    const { subject, refreshing, answer } = await refreshingWhileDeleted(other);
    server.letGoStatus = 503;
    expect(await letGo(subject)).toMatchObject({ outcome: 'pending' });
    answer();
    await refreshing;
    server.letGoStatus = 200;
    server.revocations.length = 0;
    await core.node.disconnect.sweep();
    expect(server.revocations).toHaveLength(4);
    expect(await told(subject)).toEqual(['revoked']);
    expect(await stored(subject)).toMatchObject({ answers: 0 });
  });

  it('refuses to start a refresh once the delete has begun', async () => {
    const subject = await connectedTo(await viaRevocation());
    await letGo(subject);
    await expect(
      other.credentials.live(core.environment.id, subject.integration.uniqueKey, 'customer-1', { force: true }),
    ).rejects.toMatchObject({ code: 'unknown_connection' });
    expect(server.requests).toHaveLength(0);
  });
});
