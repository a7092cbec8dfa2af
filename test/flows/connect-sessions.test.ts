/** Connect sessions to the letter of the wire contract (B.6), and their life. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount, sessionToken } from '../support/connect.ts';
import { pushableClock } from './connect-helpers.ts';

const time = pushableClock();
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ clock: time.clock });
});
afterAll(async () => {
  await app?.close();
});

const create = (body: object) => app.api('POST', '/connect/sessions', body);
const user = { end_user: { id: 'u1' } };

describe('creating a session', () => {
  it('answers 201 with token, link and end of life', async () => {
    const { status, body } = await create(user);
    expect(status).toBe(201);
    expect(Object.keys(body.data).toSorted()).toEqual(['connect_link', 'expires_at', 'token']);
    expect(body.data.token).toMatch(/^nango_connect_session_[0-9a-f]{64}$/);
    expect(body.data.connect_link).toBe(`${app.url}/connect-ui/?session_token=${body.data.token}`);
    const lifeMs = Date.parse(body.data.expires_at) - time.clock.now();
    expect(lifeMs).toBeGreaterThan(29 * 60_000);
    expect(lifeMs).toBeLessThanOrEqual(30 * 60_000);
  });

  it('abuse 9: stores no token', async () => {
    const { body } = await create(user);
    const rows = await app.db.query<{ row: string }>('SELECT to_jsonb(s)::text AS row FROM connect_session s');
    const secret = body.data.token.slice('nango_connect_session_'.length);
    expect(rows.some(({ row }) => row.includes(secret))).toBe(false);
  });

  it.each<[string, object, unknown[]]>([
    ['neither end_user nor tags', {}, ['tags']],
    ['an unknown key', { ...user, evil: 1 }, []],
    ['an unknown key of the end user', { end_user: { id: 'u', role: 'admin' } }, ['end_user']],
    ['an end user without id', { end_user: { email: 'a@b.cd' } }, ['end_user', 'id']],
    ['a bad e-mail', { end_user: { id: 'u', email: 'nobody' } }, ['end_user', 'email']],
    ['11 tags', { tags: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`t${i}`, 'x'])) }, ['tags']],
    [
      'an unknown allowed integration',
      { ...user, allowed_integrations: ['xref', 'nope'] },
      ['allowed_integrations', 1],
    ],
    [
      'defaults of an unknown integration',
      { ...user, integrations_config_defaults: { nope: {} } },
      ['integrations_config_defaults', 'nope'],
    ],
    ['overrides of an unknown integration', { ...user, overrides: { nope: {} } }, ['overrides', 'nope']],
    [
      'a scope the provider does not have',
      {
        ...user,
        integrations_config_defaults: { checkbook: { connection_config: { oauth_scopes_override: 'admin' } } },
      },
      ['integrations_config_defaults', 'checkbook', 'connection_config', 'oauth_scopes_override'],
    ],
    [
      'two scopes where one is granted',
      {
        ...user,
        integrations_config_defaults: {
          checkbook: { connection_config: { oauth_scopes_override: 'check,check_receive' } },
        },
      },
      ['integrations_config_defaults', 'checkbook', 'connection_config', 'oauth_scopes_override'],
    ],
    [
      'a protected authorization parameter',
      { ...user, integrations_config_defaults: { xref: { authorization_params: { state: 'mine' } } } },
      ['integrations_config_defaults', 'xref', 'authorization_params', 'state'],
    ],
    ['a private webhook address', { ...user, webhook_url_override: 'https://10.0.0.1/hook' }, ['webhook_url_override']],
    [
      'a private webhook address at its old place',
      {
        ...user,
        integrations_config_defaults: { xref: { connection_config: { webhook_url: 'https://169.254.169.254/' } } },
      },
      ['integrations_config_defaults', 'xref', 'connection_config', 'webhook_url'],
    ],
    [
      'a javascript docs link',
      { ...user, overrides: { xref: { docs_connect: 'javascript:alert(1)' } } },
      ['overrides', 'xref', 'docs_connect'],
    ],
  ])('refuses %s', async (_, body, path) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.code).toBe('invalid_body');
    expect(answer.body.error.errors).toHaveLength(1);
    expect(answer.body.error.errors[0]).toEqual({ code: expect.any(String), message: expect.any(String), path });
  });

  it('refuses its own host as webhook address', async () => {
    const answer = await create({ ...user, webhook_url_override: `${app.url}/hook` });
    expect(answer.body.error.errors[0].path).toEqual(['webhook_url_override']);
  });

  it('needs the scope', async () => {
    const [environment] = (await app.services.environments.list()).filter((one) => one.name === 'dev');
    const { secret } = await app.services.environments.createKey({
      environmentId: environment?.id as number,
      displayName: 'reader',
      scopes: ['environment:connections:read'],
    });
    const answer = await callApi(app.url, secret, 'POST', '/connect/sessions', user);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
  });

  it('knows nothing of other environments', async () => {
    const answer = await callApi(app.url, app.prodApiKey, 'POST', '/connect/sessions', {
      ...user,
      allowed_integrations: ['xref'],
    });
    expect(answer.body.error.errors[0].path).toEqual(['allowed_integrations', 0]);
  });

  it('an empty list allows nothing', async () => {
    const { body } = await create({ ...user, allowed_integrations: [] });
    const list = await callApi(app.url, body.data.token, 'GET', '/integrations');
    expect(list.body.data).toEqual([]);
  });
});

describe('a reconnect session', () => {
  it('is refused for an unknown connection or integration', async () => {
    const make = (body: object) => app.api('POST', '/connect/sessions/reconnect', body);
    const connection = await make({ connection_id: 'nope', integration_id: 'xref' });
    expect(connection).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_body', errors: [{ path: ['connection_id'] }] } },
    });
    const integration = await make({ connection_id: 'nope', integration_id: 'nope' });
    expect(integration.body.error.errors[0].path).toEqual(['integration_id']);
  });

  it('tells that it reconnects, and lists its one integration', async () => {
    const { connectionId } = await connectAccount(app, 'xref');
    const { status, body } = await app.api('POST', '/connect/sessions/reconnect', {
      connection_id: connectionId,
      integration_id: 'xref',
    });
    expect(status).toBe(201);
    const session = await callApi(app.url, body.data.token, 'GET', '/connect/session');
    expect(session.body.data).toMatchObject({ isReconnecting: true, allowed_integrations: ['xref'], endUser: null });
    const list = await callApi(app.url, body.data.token, 'GET', '/integrations');
    expect(list.body.data.map((one: { unique_key: string }) => one.unique_key)).toEqual(['xref']);
  });
});

describe('the present session', () => {
  it('is told in full', async () => {
    const token = await sessionToken(app, 'checkbook', {
      organization: { id: 'org-1', display_name: 'Org' },
      integrations_config_defaults: { checkbook: { user_scopes: 'a', connection_config: { team: 'blue' } } },
      overrides: { checkbook: { docs_connect: 'https://docs.example.com/x' } },
    });
    const { status, body, headers } = await callApi(app.url, token, 'GET', '/connect/session');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      data: {
        endUser: {
          id: 'user-1',
          display_name: 'A User',
          email: 'user@example.com',
          tags: {},
          organization: { id: 'org-1', display_name: 'Org' },
        },
        allowed_integrations: ['checkbook'],
        integrations_config_defaults: { checkbook: { user_scopes: 'a', connection_config: { team: 'blue' } } },
        overrides: { checkbook: { docs_connect: 'https://docs.example.com/x' } },
        connectUISettings: {
          theme: { light: { primary: expect.any(String) }, dark: { primary: expect.any(String) } },
          defaultTheme: 'system',
          showWatermark: false,
        },
        websocketsPath: '/',
      },
    });
  });

  it('lists what the page shows, and nothing of the client', async () => {
    const token = await sessionToken(app, 'checkbook', {
      integrations_config_defaults: { checkbook: { connection_config: { oauth_scopes_override: 'check_receive' } } },
    });
    const { body, text } = await callApi(app.url, token, 'GET', '/connect/session/integrations');
    expect(body.data).toEqual([
      expect.objectContaining({
        unique_key: 'checkbook',
        auth_mode: 'OAUTH2',
        scopes: ['check_receive'],
        emulated: true,
        credentials: [],
        disconnect_hint: expect.stringContaining('Checkbook'),
        connected_since: null,
      }),
    ]);
    expect(text).not.toMatch(/client_?secret/i);
  });

  it('knows that the same end user connected before', async () => {
    await connectAccount(app, 'checkr-partner');
    const token = await sessionToken(app, 'checkr-partner');
    const { body } = await callApi(app.url, token, 'GET', '/connect/session/integrations');
    expect(Date.parse(body.data[0].connected_since)).toBeGreaterThan(0);
  });

  it('abuse 9: is no key to anything else', async () => {
    const token = await sessionToken(app, 'xref');
    for (const [method, path] of [
      ['GET', '/connections'],
      ['POST', '/connect/sessions'],
      ['DELETE', '/integrations/xref'],
      ['GET', '/proxy/v1/account'],
    ] as const) {
      const answer = await callApi(app.url, token, method, path, method === 'POST' ? user : undefined);
      expect([path, answer.status]).toEqual([path, 401]);
    }
  });

  it('ends by DELETE', async () => {
    const token = await sessionToken(app, 'xref');
    expect((await callApi(app.url, token, 'DELETE', '/connect/session')).status).toBe(204);
    expect((await callApi(app.url, token, 'GET', '/connect/session')).status).toBe(401);
  });

  it('abuse 9: ends after 30 minutes, not before, to the second', async () => {
    const made = await app.api('POST', '/connect/sessions', { ...user, allowed_integrations: ['xref'] });
    const { token, expires_at: end } = made.body.data as { token: string; expires_at: string };
    const leftMs = Date.parse(end) - time.clock.now();
    expect(leftMs).toBeLessThanOrEqual(30 * 60_000);
    // The clock of these tests stands still only as far as the machine lets it.
    time.push(leftMs - 1_000);
    expect((await callApi(app.url, token, 'GET', '/connect/session')).status).toBe(200);
    time.push(2_000);
    const { status, body } = await callApi(app.url, token, 'GET', '/connect/session');
    expect([status, body.error.code]).toEqual([401, 'unknown_connect_session_token']);
  });

  it('is swept a day after its end', async () => {
    const token = await sessionToken(app, 'xref');
    await fetch(`${app.url}/oauth/connect/xref?connect_session_token=${token}`, { redirect: 'manual' });
    const rows = async (): Promise<number> => {
      const [row] = await app.db.query<{ n: number }>(
        'SELECT (SELECT count(*) FROM connect_session) + (SELECT count(*) FROM oauth_flow) AS n',
      );
      return row?.n ?? -1;
    };
    await app.services.connect.sweep();
    expect(await rows()).toBeGreaterThanOrEqual(2);
    time.push(25 * 60 * 60_000);
    await app.services.connect.sweep();
    expect(await rows()).toBe(0);
  });
});

describe('telemetry', () => {
  it('takes known events with a fair clock, and stores nothing', async () => {
    const send = (body: object) => callApi(app.url, '', 'POST', '/connect/telemetry', body);
    const beacon = {
      token: `nango_connect_session_${'a'.repeat(64)}`,
      event: 'open',
      timestamp: new Date(time.clock.now()).toISOString(),
      dimensions: { integration: 'xref' },
    };
    expect((await send(beacon)).status).toBe(204);
    expect((await send({ ...beacon, event: 'hack' })).status).toBe(400);
    expect((await send({ ...beacon, token: 'x' })).status).toBe(400);
    const late = await send({ ...beacon, timestamp: new Date(time.clock.now() - 3 * 60 * 60_000).toISOString() });
    expect(late.body.error.errors[0].path).toEqual(['timestamp']);
  });
});
