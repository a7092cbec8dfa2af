/** Credentials typed by the customer (wire contract C.4), against an API of our own. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { verifyCredential } from '../../src/features/connect/verify.ts';
import { isHawserError } from '../../src/base/errors.ts';

let app: TestApp;
let api: Server;
let apiUrl: string;
let seen: IncomingMessage[] = [];
let status = 200;

beforeAll(async () => {
  api = createServer((request, response) => {
    seen.push(request);
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"secret":"upstream-body"}');
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const { port } = api.address() as AddressInfo;
  apiUrl = `http://127.0.0.1:${port}`;
  app = await startTestApp({ settings: { HAWSER_EGRESS_ALLOW: `127.0.0.1:${port}` } });
  for (const [provider, key] of [
    ['private-api-bearer', 'bearer'],
    ['private-api-basic', 'basic'],
    ['unauthenticated', 'open'],
  ]) {
    const answer = await app.api('POST', '/integrations', { provider, unique_key: key });
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  }
});
afterAll(async () => {
  await app?.close();
  await new Promise((resolve) => api.close(resolve));
});
beforeEach(() => {
  seen = [];
  status = 200;
});

async function post(path: string, token: string, body?: unknown, query: Record<string, string> = {}) {
  const search = new URLSearchParams({ connect_session_token: token, ...query });
  const response = await fetch(`${app.url}${path}?${search}`, {
    method: 'POST',
    headers: { origin: 'https://app.example.com', ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Record<string, unknown> };
}

async function stored(connectionId: unknown, key: string): Promise<unknown> {
  const { body } = await app.api('GET', `/connections/${String(connectionId)}?provider_config_key=${key}`);
  return body.credentials;
}

describe('typed credentials', () => {
  it.each([
    ['/api-auth/api-key/bearer', 'bearer', { apiKey: 'k-1' }, { type: 'API_KEY', apiKey: 'k-1' }],
    ['/api-auth/basic/basic', 'basic', { username: 'u', password: '' }, { type: 'BASIC', username: 'u', password: '' }],
    ['/auth/unauthenticated/open', 'open', undefined, {}],
  ])('%s stores a connection and answers as the client expects', async (path, key, body, credentials) => {
    const token = await sessionToken(app, key);
    const answer = await post(path, token, body);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toMatch(/^(\*|https:\/\/app\.example\.com)$/);
    expect(answer.body).toEqual({
      connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      providerConfigKey: key,
    });
    expect(await stored(answer.body['connectionId'], key)).toEqual(credentials);
    expect((await post(path, token, body)).status).toBe(401); // one session, one connection
  });

  it('repair a connection', async () => {
    const first = await post('/api-auth/api-key/bearer', await sessionToken(app, 'bearer'), { apiKey: 'old' });
    const session = await app.api('POST', '/connect/sessions/reconnect', {
      connection_id: first.body['connectionId'],
      integration_id: 'bearer',
    });
    const again = await post('/api-auth/api-key/bearer', session.body.data.token, { apiKey: 'new' });
    expect(again.body).toEqual(first.body);
    expect(await stored(first.body['connectionId'], 'bearer')).toEqual({ type: 'API_KEY', apiKey: 'new' });
  });

  it.each([
    ['the wrong mode', '/api-auth/basic/bearer', { username: 'u', password: 'p' }, 400, 'invalid_auth_mode'],
    ['an OAuth provider', '/api-auth/api-key/xref', { apiKey: 'k' }, 400, 'invalid_auth_mode'],
    ['an unknown integration', '/api-auth/api-key/nope', { apiKey: 'k' }, 404, 'unknown_provider_config'],
    ['an empty key', '/api-auth/api-key/bearer', { apiKey: '' }, 400, 'invalid_body'],
    ['an endless key', '/api-auth/api-key/bearer', { apiKey: 'x'.repeat(2_000) }, 400, 'invalid_body'],
    ['more than asked', '/api-auth/api-key/bearer', { apiKey: 'k', admin: true }, 400, 'invalid_body'],
  ])('with %s are refused, and the session stays usable', async (_, path, body, expected, code) => {
    const { body: session } = await app.api('POST', '/connect/sessions', { end_user: { id: 'u' } });
    const answer = await post(path, session.data.token, body);
    expect(answer).toMatchObject({
      status: expected,
      body: { error: { code, message: expect.stringMatching(/.{10}/) } },
    });
    const kept = await post('/api-auth/api-key/bearer', session.data.token, { apiKey: 'k' });
    expect(kept.status).toBe(200);
  });

  it.each(['/auth/tba/x', '/auth/bill/x', '/auth/signature/x', '/auth/oauth-outbound/x'])(
    '%s is answered in words',
    async (path) => {
      const answer = await post(path, 'x', { any: 'thing' });
      expect(answer).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid_auth_mode', message: expect.stringContaining('not supported') } },
      });
    },
  );

  it('need a session and refuse a connection id', async () => {
    const noToken = await fetch(`${app.url}/api-auth/api-key/bearer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"apiKey":"k"}',
    });
    expect(noToken.status).toBe(401);
    const named = await post(
      '/api-auth/api-key/bearer',
      await sessionToken(app, 'bearer'),
      { apiKey: 'k' },
      {
        connection_id: 'mine',
      },
    );
    expect(named).toMatchObject({ status: 400, body: { error: { code: 'invalid_query_params' } } });
  });
});

describe('the check of a credential', () => {
  const provider = (more: Partial<ProviderSpec['api']> = {}): ProviderSpec => ({
    name: 'acme',
    displayName: 'Acme',
    categories: [],
    authMode: 'API_KEY',
    docsUrl: 'https://example.com',
    summary: 'Test.',
    api: {
      baseUrl: apiUrl,
      auth: { in: 'header', name: 'X-Api-Key', value: '${apiKey}' },
      verification: { method: 'GET', path: '/me', headers: { 'x-fixed': 'yes' } },
      ...more,
    },
    disconnect: { kind: 'nothing' },
    gotchas: [],
    sources: [],
  });
  const check = async (spec: ProviderSpec): Promise<void> => {
    const integration = {
      ...((await app.services.integrations.list(1))[0] as NonNullable<unknown>),
      provider: spec,
      integrationConfig: {},
      emulated: false,
    } as Parameters<typeof verifyCredential>[1];
    await verifyCredential(app.services, integration, {}, { type: 'API_KEY', apiKey: 'k-9' });
  };

  it('calls the provider with the credential', async () => {
    await check(provider());
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/me' });
    expect(seen[0]?.headers).toMatchObject({ 'x-api-key': 'k-9', 'x-fixed': 'yes' });
  });

  it('is skipped where the provider has none', async () => {
    await check(provider({ verification: undefined }));
    expect(seen).toHaveLength(0);
  });

  it.each([
    [401, 'did not accept these credentials'],
    [403, 'refuses them access'],
    [404, 'nothing at this address'],
    [429, 'asks to wait'],
    [500, 'has a problem'],
    [302, 'status 302'],
  ])('tells what %i means, and nothing of the body', async (given, words) => {
    status = given;
    const error: unknown = await check(provider()).catch((thrown: unknown) => thrown);
    expect(isHawserError(error, 'connection_test_failed')).toBe(true);
    expect((error as Error).message).toContain(words);
    expect((error as Error).message).not.toContain('upstream-body');
  });

  it('tells when the provider cannot be reached', async () => {
    const error: unknown = await check(provider({ baseUrl: 'https://127.0.0.1:9' })).catch((thrown: unknown) => thrown);
    expect(isHawserError(error, 'connection_test_failed')).toBe(true);
    expect((error as Error).message).toMatch(/^Acme could not be asked: /);
  });
});
