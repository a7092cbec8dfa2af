/** OAuth 1.0a through the whole server: authorization, signed calls with queries and forms, refusals, import. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/build.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { playOAuth1, type OAuth1Server } from '../support/oauth1-provider.ts';
import { startScripted, type Scripted } from '../support/scripted.ts';
import { followBack, rememberingLog } from './connect-helpers.ts';

const KEY = 'trello';

const log = rememberingLog();
let server: Scripted;
let provider: OAuth1Server;
let app: TestApp;
let node: Hawser;

beforeAll(async () => {
  server = await startScripted();
  app = await startTestApp({ log: log.log, seed: false });
  node = await app.startNode({ emulatorUrl: server.url });
  provider = playOAuth1(server);
  const answer = await app.api('POST', '/integrations', {
    provider: KEY,
    unique_key: KEY,
    credentials: { type: 'OAUTH1', client_id: provider.key, client_secret: provider.secret },
    integration_config: { app_name: 'Acme & Co' },
    custom: { emulated: 'true' },
  });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});
beforeEach(() => {
  server.requests.length = 0;
  provider = playOAuth1(server);
});

async function begin() {
  const token = await sessionToken(app, KEY);
  return beginFlow(node.url, KEY, token);
}

async function connect(): Promise<string> {
  const flow = await begin();
  const back = await followBack(node, provider.approve(flow.location), flow.cookie);
  expect([back.status, await back.text()]).toEqual([200, expect.any(String)]);
  const rows = await app.db.query<{ connection_id: string }>(
    'SELECT connection_id FROM connection WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 1',
  );
  return rows[0]?.connection_id ?? '';
}

function call(connectionId: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${node.url}/proxy${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${app.apiKey}`,
      'provider-config-key': KEY,
      'connection-id': connectionId,
      ...(init.headers as Record<string, string>),
    },
  });
}

describe('an OAuth 1 flow', () => {
  it('asks for a request token, sends the customer to approve it, and stores the access token', async () => {
    const flow = await begin();
    const page = new URL(flow.location);
    expect(page.pathname).toBe(`/${KEY}/1/OAuthAuthorizeToken`);
    expect(Object.fromEntries(page.searchParams)).toEqual({
      name: 'Acme & Co',
      expiration: 'never',
      scope: 'read,write',
      oauth_token: 'request-1',
    });
    const back = provider.approve(flow.location);
    expect(back.href.startsWith(`${node.url}/oauth/callback?state=`)).toBe(true);
    expect((await followBack(node, back, flow.cookie)).status).toBe(200);
    const { body } = await app.api('GET', '/connections');
    const id = body.connections[0].connection_id as string;
    const stored = await app.api('GET', `/connections/${id}?provider_config_key=${KEY}`);
    expect(stored.body.credentials).toEqual({
      type: 'OAUTH1',
      oauth_token: 'access-token-request-1',
      oauth_token_secret: 'access-secret-canary-request-1',
      raw: expect.objectContaining({ user_id: '42' }),
    });
  });

  it.each<[string, (back: URL) => void, string]>([
    ['a token of somebody else', (back) => back.searchParams.set('oauth_token', 'request-99'), 'callback_err'],
    ['two tokens', (back) => back.searchParams.append('oauth_token', 'request-1'), 'callback_err'],
    ['no verifier', (back) => back.searchParams.delete('oauth_verifier'), 'callback_err'],
    ['a wrong verifier', (back) => back.searchParams.set('oauth_verifier', 'guess'), 'token_err'],
    ['a denial', (back) => back.searchParams.set('denied', 'request-1'), 'callback_err'],
    ['another state', (back) => back.searchParams.set('state', '0'.repeat(64)), 'state_err'],
  ])('is refused when it comes back with %s, and nothing is stored', async (_, change, errorType) => {
    const before = (await app.api('GET', '/connections')).body.connections.length;
    const flow = await begin();
    const back = provider.approve(flow.location);
    change(back);
    const answer = await followBack(node, back, flow.cookie, { accept: 'text/html' });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(errorType);
    expect((await app.api('GET', '/connections')).body.connections).toHaveLength(before);
  });

  it('works once, and only in the browser that began it', async () => {
    const flow = await begin();
    const back = provider.approve(flow.location);
    expect((await followBack(node, back, '')).status).toBe(400);
    expect((await followBack(node, back, flow.cookie)).status).toBe(400);
  });

  it('says when the integration is not accepted, before the customer leaves', async () => {
    provider.key = 'another-key';
    const token = await sessionToken(app, KEY);
    const answer = await fetch(`${node.url}/oauth/connect/${KEY}?connect_session_token=${token}`, {
      redirect: 'manual',
    });
    const text = await answer.text();
    expect([answer.status, text]).toEqual([400, expect.stringContaining('request_token_external_error')]);
    expect(text).not.toContain('canary');
  });
});

describe('a signed call', () => {
  it.each<[string, string, RequestInit]>([
    ['a plain path', '/members/me', {}],
    ['a query with everything', "/search?query=a%20b+c&x=%3D%26&y=é'()*!&y=2&empty=", {}],
    ['a form', '/cards?fields=all', { method: 'POST', body: new URLSearchParams({ name: 'a b&c', due: '' }) }],
    [
      'JSON, which is not signed',
      '/cards',
      { method: 'PUT', body: '{"name":"x"}', headers: { 'content-type': 'application/json' } },
    ],
    ['a large form', '/cards', { method: 'POST', body: new URLSearchParams({ desc: 'x y'.repeat(100_000) }) }],
  ])('is right for %s', async (_, path, init) => {
    const id = await connect();
    provider.verified = 0;
    const answer = await call(id, path, init);
    expect([answer.status, await answer.text()]).toEqual([200, '{"id":"me"}']);
    expect(provider.verified).toBe(1);
  });

  it('is signed anew when it is repeated', async () => {
    const id = await connect();
    const usual = server.answer;
    let failures = 1;
    server.answer = async (request) => {
      const reply = await usual(request);
      failures -= 1;
      return failures >= 0 ? { status: 429, headers: { 'retry-after': '0' } } : reply;
    };
    expect((await call(id, '/members/me', { headers: { retries: '2' } })).status).toBe(200);
    const nonces = server
      .to('/members/me')
      .map(({ headers }) => /oauth_nonce="(\w+)"/.exec(headers.authorization ?? '')?.[1]);
    expect(new Set(nonces).size).toBe(2);
  });

  it('leaves a signature of the caller alone', async () => {
    const id = await connect();
    await call(id, '/members/me', { headers: { 'nango-proxy-authorization': 'OAuth mine' } });
    expect(server.to('/members/me')[0]?.headers.authorization).toBe('OAuth mine');
  });

  it('refuses a form whose length is unknown, and sends nothing', async () => {
    const id = await connect();
    server.requests.length = 0;
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('a=b'));
        controller.close();
      },
    });
    const answer = await call(id, '/cards', {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    } as RequestInit);
    expect([answer.status, (await answer.json()) as unknown]).toEqual([
      413,
      { error: expect.objectContaining({ code: 'request_too_large' }) },
    ]);
    expect(server.requests).toEqual([]);
  });

  it('that is refused twice moves the connection, after asking with a signature', async () => {
    const id = await connect();
    provider.accessTokens.clear();
    expect((await call(id, '/members/me')).status).toBe(401);
    const state = await eventually(
      async () => (await app.api('GET', `/connections/${id}?provider_config_key=${KEY}`)).body.state as string,
      (value) => value === 'needs_reauth',
    );
    expect(state).toBe('needs_reauth');
    expect(server.requests.filter(({ query }) => query.get('fields') === 'id')).toHaveLength(1);
  });
});

describe('an imported OAuth 1 credential', () => {
  it.each([
    [
      '/connections',
      { credentials: { type: 'OAUTH1', oauth_token: 'imported', oauth_token_secret: 'imported-secret' } },
    ],
    ['/connection', { oauth_token: 'imported', oauth_token_secret: 'imported-secret' }],
  ])('by %s signs', async (path, more) => {
    provider.accessTokens.set('imported', 'imported-secret');
    const body = { provider_config_key: KEY, connection_id: `by${path.replace('/', '-')}`, ...more };
    expect((await app.api('POST', path, body)).status).toBe(201);
    expect((await call(body.connection_id, '/members/me')).status).toBe(200);
  });

  it('needs an integration of its mode', async () => {
    const credentials = { type: 'OAUTH2', client_id: 'a', client_secret: 'b' };
    const answer = await app.api('POST', '/integrations', { provider: KEY, unique_key: 'other', credentials });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid_body' } } });
  });
});

it('no secret of OAuth 1 is in a log', () => {
  expect(log.text()).not.toContain('canary');
  expect(log.text()).not.toContain('request-secret');
});
