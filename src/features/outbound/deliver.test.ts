/** What is sent, to whom, and how it is signed. */
import { Nango } from '@nangohq/node';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connections/index.ts';
import { KINDS } from './index.ts';
import { bodyOf, useStage, type Got, type Stage } from './outbound.test-support.ts';

let stage: Stage;
let connection: Connection;

useStage((made, its) => {
  stage = made;
  connection = its;
});

const add = (more: { kinds?: string[]; path?: string } = {}) =>
  stage.outbound.endpoints.add(stage.environmentId, { url: `${stage.sink.url}${more.path ?? '/'}`, kinds: more.kinds });

async function sent(): Promise<Got[]> {
  await stage.outbound.runDry();
  return stage.sink.got;
}

const nangoWith = (webhookSigningKey: string) =>
  new Nango({ secretKey: '11111111-1111-4111-8111-111111111111', webhookSigningKey });

const headersOf = (got: Got) => got.headers as Record<string, string>;

function standardTakes(secret: string, got: Got): boolean {
  try {
    new StandardWebhook(secret).verify(got.body, headersOf(got));
    return true;
  } catch {
    return false; // that is the question
  }
}

describe('an event', () => {
  it('of every kind is posted once, and every library that knows a signature of it takes it', async () => {
    const { secret } = await add({ kinds: [...KINDS] });
    for (const kind of KINDS) {
      if (kind !== 'endpoint.test')
        await stage.tell(kind, { operation: 'creation', success: true, n: 1.5 }, connection);
    }
    await sent();
    const got = await sent();
    expect(got).toHaveLength(KINDS.length - 1);
    const nango = nangoWith(await stage.core.node.environments.webhookSigningKey(stage.environmentId));
    for (const one of got) {
      const [headers, { body }] = [headersOf(one), one];
      expect(standardTakes(secret, one)).toBe(true);
      expect(() => new SvixWebhook(secret).verify(body, headers)).not.toThrow();
      expect(nango.verifyIncomingWebhookRequest(body, headers)).toBe(true);
      expect(nango.verifyWebhookSignature(headers['x-nango-signature'] as string, JSON.parse(body))).toBe(true);
      const changed = { ...one, body: `${body} ` };
      expect(standardTakes(secret, changed)).toBe(false);
      expect(() => new SvixWebhook(secret).verify(changed.body, headers)).toThrow();
      expect(nango.verifyIncomingWebhookRequest(changed.body, headers)).toBe(false);
    }
    // Numbered per connection in the order in which they were written, each under a name of its own.
    const numbered = new Map(got.map((one) => [Number(one.headers['x-hawser-sequence']), bodyOf(one).type as string]));
    const kinds = KINDS.filter((kind) => kind !== 'endpoint.test');
    expect(kinds.map((_, at) => numbered.get(at + 1))).toEqual(
      kinds.map((kind) => (kind === 'forward' ? undefined : kind)),
    );
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(got.length);
  });

  it('keeps the shape of the wire contract: what its writer left out is taken from the connection', async () => {
    await add();
    await stage.tell(
      'auth',
      { operation: 'refresh', success: false, error: { type: 'x', description: 'y' } },
      connection,
    );
    await stage.tell('async_action', { connectionId: 'c', payload: { id: '1', statusUrl: '/action/1' } }, connection);
    await stage.tell('connection.state', { state: 'needs_reauth', reason: 'revoked' }, connection);
    const [auth, action, state, broken] = (await sent()).map(bodyOf);
    // Apps that know the contract only are told in its words.
    expect(broken).toMatchObject({ type: 'auth', operation: 'refresh', success: false, error: { type: 'revoked' } });
    expect(auth).toEqual({
      authMode: 'OAUTH2',
      connectionId: connection.connectionId,
      endUser: { endUserEmail: 'u@example.com', endUserId: 'u-1', tags: { plan: 'a' } },
      environment: 'dev',
      error: { description: 'y', type: 'x' },
      from: 'nango',
      operation: 'refresh',
      provider: 'oauth2-generic',
      providerConfigKey: 'generic',
      success: false,
      tags: { end_user_id: 'u-1' },
      type: 'auth',
    });
    expect(action).toEqual({
      connectionId: 'c',
      from: 'nango',
      payload: { id: '1', statusUrl: '/action/1' },
      type: 'async_action',
    });
    expect(state).toEqual({
      connectionId: connection.connectionId,
      data: { reason: 'revoked', state: 'needs_reauth' },
      environment: 'dev',
      from: 'hawser',
      occurredAt: expect.stringMatching(/^20.*Z$/),
      provider: 'oauth2-generic',
      providerConfigKey: 'generic',
      sequence: 3,
      type: 'connection.state',
    });
  });

  it('has its keys in alphabetical order at every level, in a text that survives being parsed', async () => {
    await add();
    const payload = { from: 'p', type: 'forward', payload: { b: [{ z: 1, a: null }], a: 'ü\u2028', 10: 'x', 9: 'y' } };
    await stage.tell(
      'forward',
      JSON.parse(JSON.stringify(payload).replace('"z"', '"__proto__"')) as object,
      connection,
    );
    const [{ body }] = (await sent()) as [Got];
    expect(body).toBe(
      '{"from":"p","payload":{"9":"y","10":"x","a":"ü\u2028","b":[{"__proto__":1,"a":null}]},"type":"forward"}',
    );
    expect(JSON.stringify(JSON.parse(body))).toBe(body);
    // A provider's data is nowhere in the clear.
    const [row] = await stage.core.db.query<{ payload: unknown; sealed: Buffer }>(
      `SELECT payload, sealed FROM event WHERE type = 'forward'`,
    );
    expect(row?.payload).toEqual({});
    expect(row?.sealed.toString('latin1')).not.toContain('"payload"');
  });

  it('abuse 35: brings the provider’s own headers only when listed, renamed, and none that could be ours', async () => {
    const { secret } = await add();
    const given = {
      'X-GitHub-Event': 'push',
      'x-shopify-topic': 'orders/create',
      'webhook-id': 'forged',
      'webhook-signature': 'v1,forged',
      'X-Nango-Signature': 'forged',
      'X-Hub-Signature-256': 'sha256=secret',
      authorization: 'Bearer secret',
      cookie: 'secret',
      'x-bad-event': 'a\r\nb',
    };
    await stage.tell('forward', { a: 1 }, connection, given);
    const [got] = (await sent()) as [Got];
    const extra = Object.entries(got.headers).filter(([name]) => name.startsWith('x-provider-'));
    expect(Object.fromEntries(extra)).toEqual({
      'x-provider-github-event': 'push',
      'x-provider-shopify-topic': 'orders/create',
    });
    expect(JSON.stringify(got.headers)).not.toMatch(/forged|secret/);
    expect(standardTakes(secret, got)).toBe(true);
  });
});

describe('abuse 35: an endpoint inside the network', () => {
  it.each(['http://127.0.0.1:1/x', 'https://10.0.0.1/x', 'https://169.254.169.254/latest', 'https://[::1]/x'])(
    'abuse 35: %s is refused when it is added',
    async (url) => {
      await expect(stage.outbound.endpoints.add(stage.environmentId, { url })).rejects.toMatchObject({
        code: 'egress_refused',
      });
    },
  );

  it('abuse 35: is not called for a connection either, and that is no success', async () => {
    const inside = await stage.newConnection({ webhookUrlOverride: 'http://127.0.0.1:1/x' });
    await stage.tell('auth', { operation: 'override', success: true }, inside);
    await stage.outbound.runDry();
    expect(await stage.delivery()).toMatchObject({
      state: 'pending',
      attempts: 1,
      last_error: expect.stringMatching(/^egress_refused: /),
    });
    const { attempts } = await stage.outbound.deliveries.get(stage.environmentId, (await stage.delivery()).id);
    expect(attempts).toMatchObject([
      { status: undefined, error: expect.stringMatching(/^egress_refused: /), answer: '' },
    ]);
  });
});

describe('who is told', () => {
  it('a connection’s own URL replaces primary and secondary, and no other endpoint', async () => {
    const { endpoints } = stage.outbound;
    const { url } = stage.sink;
    await endpoints.changeSettings(stage.environmentId, { primaryUrl: `${url}/one`, secondaryUrl: `${url}/two` });
    await add({ path: '/more' });
    const own = await stage.newConnection({ webhookUrlOverride: `${url}/own` });
    await stage.tell('auth', { operation: 'override', success: true }, connection);
    await sent();
    expect(stage.sink.got.map(({ path }) => path).toSorted()).toEqual(['/more', '/one', '/two']);
    // One event has one name, wherever it goes; every endpoint has a secret of its own.
    expect(new Set(stage.sink.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(stage.sink.got.map(({ headers }) => headers['webhook-signature'])).size).toBe(3);
    stage.sink.got.length = 0;
    await stage.tell('auth', { operation: 'override', success: true }, own);
    await stage.tell('auth', { operation: 'override', success: true }, own);
    await sent();
    expect(stage.sink.got.map(({ path }) => path).toSorted()).toEqual(['/more', '/more', '/own', '/own']);
    expect((await endpoints.list(stage.environmentId)).map(({ role }) => role).toSorted()).toEqual(
      ['additional', 'override', 'primary', 'secondary'], // prettier-ignore
    );
    await endpoints.changeSettings(stage.environmentId, { primaryUrl: '' });
    expect((await endpoints.list(stage.environmentId)).map(({ role }) => role)).not.toContain('primary');
  });

  it('primary and secondary get the kinds of the contract; others all but the feed, or what they name', async () => {
    const { endpoints } = stage.outbound;
    await endpoints.changeSettings(stage.environmentId, { primaryUrl: `${stage.sink.url}/one` });
    await add({ path: '/all' });
    await add({ path: '/feed', kinds: ['records.changed'] });
    for (const kind of ['async_action', 'account.ready', 'records.changed']) await stage.tell(kind, {}, connection);
    const paths = (await sent()).map((got) => [got.path, bodyOf(got).type as string].join(' '));
    expect(paths.toSorted()).toEqual([
      '/all account.ready',
      '/all async_action',
      '/feed records.changed',
      '/one async_action',
    ]);
  });

  it('changes of records come to those that ask for them, and the sync’s own event as ever', async () => {
    await add({ path: '/feed', kinds: ['records.changed'] });
    await add({ path: '/all' });
    const responseResults = { added: 2, updated: 1, deleted: 0 };
    const sync = { syncName: 'people', model: 'Person', modifiedAfter: '2026-11-22T00:00:00Z', responseResults };
    await stage.tell('sync', { ...sync, success: true }, connection);
    await stage.tell('sync', { ...sync, success: true, responseResults: { added: 0 } }, connection);
    await stage.tell('sync', { success: false }, connection);
    const got = await sent();
    expect(got.map(({ path }) => path).toSorted()).toEqual(['/all', '/all', '/all', '/feed']);
    const feed = bodyOf(got.find(({ path }) => path === '/feed'));
    expect(feed).toMatchObject({ type: 'records.changed', connectionId: connection.connectionId });
    expect(feed.data).toEqual({ added: 2, deleted: 0, model: 'Person', modifiedAfter: sync.modifiedAfter, syncName: 'people', updated: 1 }); // prettier-ignore
  });

  it('the switches of the environment hold: an override is told whatever they say', async () => {
    await add();
    const cases: [keyof typeof off, string, object][] = [
      ['onAuthCreation', 'auth', { operation: 'creation', success: true }],
      ['onAuthRefreshError', 'auth', { operation: 'refresh', success: false }],
      ['onSyncError', 'sync', { success: false }],
      ['onAsyncActionCompletion', 'async_action', {}],
    ];
    const off = {
      onAuthCreation: false,
      onAuthRefreshError: false,
      onSyncError: false,
      onAsyncActionCompletion: false,
    };
    for (const [name, kind, payload] of cases) {
      await stage.outbound.endpoints.changeSettings(stage.environmentId, off);
      await stage.tell(kind, payload, connection);
      expect([name, (await sent()).length]).toEqual([name, 0]);
      await stage.outbound.endpoints.changeSettings(stage.environmentId, { [name]: true });
      await stage.tell(kind, payload, connection);
      expect([name, (await sent()).length]).toEqual([name, 1]);
      stage.sink.got.length = 0;
    }
    await stage.outbound.endpoints.changeSettings(stage.environmentId, off);
    await stage.tell('auth', { operation: 'override', success: false }, connection);
    await stage.tell('sync', { success: true }, connection);
    expect(await sent()).toHaveLength(2);
  });

  it('nobody: the event is done with, and what was sealed in it is gone', async () => {
    await stage.tell('forward', { a: 1 }, connection);
    await sent();
    const rows = await stage.core.db.query('SELECT is_handled, sealed, sequence FROM event');
    expect(rows).toEqual([{ is_handled: true, sealed: null, sequence: null }]);
  });

  it('only the one endpoint, of a test', async () => {
    await add({ path: '/a' });
    const { endpoint } = await add({ path: '/b' });
    await stage.outbound.endpoints.test(stage.environmentId, endpoint.id);
    expect((await sent()).map(({ path }) => path)).toEqual(['/b']);
    await stage.outbound.endpoints.change(stage.environmentId, endpoint.id, { enabled: false });
    await expect(stage.outbound.endpoints.test(stage.environmentId, endpoint.id)).rejects.toMatchObject({
      code: 'endpoint_disabled',
    });
  });
});

describe('during a rotation', () => {
  it('of an endpoint’s secret both are good, and afterwards only the new one', async () => {
    const { endpoint, secret } = await add();
    const rotated = await stage.outbound.endpoints.rotate(stage.environmentId, endpoint.id, 3_600_000);
    expect(rotated.secret).not.toBe(secret);
    await stage.tell('auth', { operation: 'override' }, connection);
    const [during] = (await sent()) as [Got];
    expect([standardTakes(secret, during), standardTakes(rotated.secret, during)]).toEqual([true, true]);
    expect(() => new SvixWebhook(secret).verify(during.body, headersOf(during))).not.toThrow();
    expect(await stage.outbound.endpoints.secrets(stage.environmentId, endpoint.id)).toEqual([rotated.secret, secret]);
    await stage.core.db.query(`UPDATE endpoint SET previous_until = now() - interval '1 second'`);
    await stage.tell('auth', { operation: 'override' }, connection);
    const after = (await sent())[1] as Got;
    expect([standardTakes(secret, after), standardTakes(rotated.secret, after)]).toEqual([false, true]);
  });

  it('of the environment’s key a receiver who knows either takes the first or the second try', async () => {
    await add();
    const { environments } = stage.core.node;
    const before = await environments.webhookSigningKey(stage.environmentId);
    const key = await environments.rotateWebhookSigningKey(stage.environmentId, 3_600_000);
    expect(await environments.webhookSigningKeys(stage.environmentId)).toEqual({ current: key, previous: before });
    const old = nangoWith(before);
    stage.sink.answer = ({ body, headers }) => ({
      status: old.verifyIncomingWebhookRequest(body, headers as Record<string, string>) ? 200 : 401,
    });
    await stage.tell('auth', { operation: 'override' }, connection);
    await sent();
    await stage.nextTry();
    expect(await stage.delivery()).toMatchObject({ state: 'delivered', attempts: 2 });
    expect(nangoWith(key).verifyIncomingWebhookRequest(stage.sink.got[0]!.body, headersOf(stage.sink.got[0]!))).toBe(
      true,
    );
    await environments.rotateWebhookSigningKey(stage.environmentId, 0);
    expect((await environments.webhookSigningKeys(stage.environmentId)).previous).toBeUndefined();
  });
});
