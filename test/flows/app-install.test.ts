/** APP mode through the whole server: install, token of the installation, renewal, spoofed installations, import. */
import { generateKeyPairSync, verify } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { startScripted, type Scripted } from '../support/scripted.ts';
import { endToken } from '../support/token-end.ts';
import { rememberingLog } from './connect-helpers.ts';

const KEY = 'github-app';
const APP_ID = '4711';
const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const PEM = pair.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
/** How a page that is not at the provider is told. */
const WRONG_PAGE = { code: 'invalid_body', errors: [{ path: ['credentials', 'app_link'] }] };
const CREDENTIALS = { type: 'APP', app_id: APP_ID, app_link: 'https://github.com/apps/acme', private_key: PEM };

const log = rememberingLog();
let server: Scripted;
let app: TestApp;
let node: Hawser;
/** Installation id → when it was made and last changed. */
let installations: Map<string, { created_at: string; updated_at: string }>;
let tokens: Set<string>;

beforeAll(async () => {
  server = await startScripted();
  app = await startTestApp({ log: log.log, seed: false });
  node = await app.startNode({ emulatorUrl: server.url });
  const body = { provider: KEY, unique_key: KEY, credentials: CREDENTIALS, custom: { emulated: 'true' } };
  const answer = await app.api('POST', '/integrations', body);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});

const iso = (agoMs = 0) => new Date(Date.now() - agoMs).toISOString();
const DAY_MS = 86_400_000;

/** The app's own calls carry a JWT of the app, at most ten minutes long. */
function isApp(authorization = ''): boolean {
  const [header = '', claims = '', signature = ''] = authorization.replace(/^Bearer /, '').split('.');
  if (signature === '') return false;
  const { iss, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, number>;
  const right = verify(
    'sha256',
    Buffer.from(`${header}.${claims}`),
    pair.publicKey,
    Buffer.from(signature, 'base64url'),
  );
  const nowSeconds = Date.now() / 1_000;
  return (
    right &&
    String(iss) === APP_ID &&
    Number(exp) - Number(iat) <= 600 &&
    Number(iat) <= nowSeconds &&
    Number(exp) > nowSeconds
  );
}

beforeEach(() => {
  server.requests.length = 0;
  tokens = new Set();
  installations = new Map([
    ['100', { created_at: iso(), updated_at: iso() }],
    ['200', { created_at: iso(30 * DAY_MS), updated_at: iso(DAY_MS) }],
    ['300', { created_at: iso(30 * DAY_MS), updated_at: iso() }],
  ]);
  server.answer = ({ path, method, headers }) => {
    const [, id = '', action] = /\/app\/installations\/(\d+)(\/access_tokens)?$/.exec(path) ?? [];
    if (id !== '') {
      if (!isApp(headers.authorization)) return { status: 401, json: { message: 'Bad credentials' } };
      const installation = installations.get(id);
      if (installation === undefined) return { status: 404, json: { message: 'Not Found' } };
      if (action === undefined)
        return { json: { id: Number(id), account: { id: 77, login: 'acme' }, ...installation } };
      const token = `ghs_canary_${tokens.size + 1}_${server.requests.length}`;
      tokens.add(token);
      return { status: 201, json: { token, expires_at: iso(-3_600_000), permissions: { contents: 'read' } } };
    }
    const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (!tokens.has(token)) return { status: 401, json: { message: 'Bad credentials' } };
    if (method === 'DELETE') tokens.delete(token);
    return { json: { total_count: 0 } };
  };
});

interface Back {
  installation_id?: string;
  setup_action?: string;
}

async function install(back: Back, options: { token?: string; cookie?: string } = {}) {
  const token = options.token ?? (await sessionToken(app, KEY));
  const flow = await beginFlow(node.url, KEY, token);
  const state = new URL(flow.location).searchParams.get('state') ?? '';
  const query = new URLSearchParams({ ...back, state });
  const response = await fetch(`${node.url}/app-auth/connect?${query}`, {
    headers: { cookie: options.cookie ?? flow.cookie },
    redirect: 'manual',
  });
  return { location: flow.location, status: response.status, text: await response.text() };
}

async function newest(): Promise<string> {
  const { body } = await app.api('GET', '/connections');
  return (body.connections[0]?.connection_id as string | undefined) ?? '';
}

const read = (id: string, more = '') => app.api('GET', `/connections/${id}?provider_config_key=${KEY}${more}`);

const call = (connectionId: string, method = 'GET') =>
  fetch(`${node.url}/proxy/installation/repositories`, {
    method,
    headers: { authorization: `Bearer ${app.apiKey}`, 'provider-config-key': KEY, 'connection-id': connectionId },
  });

describe('an installed app', () => {
  it('connects: install page, way back, token of the installation', async () => {
    const { location, status, text } = await install({ installation_id: '100', setup_action: 'install' });
    expect([status, text]).toEqual([200, expect.any(String)]);
    const page = new URL(location);
    expect([page.pathname, [...page.searchParams.keys()]]).toEqual([`/${KEY}/apps/acme/installations/new`, ['state']]);
    const id = await newest();
    const { body } = await read(id);
    expect(body.connection_config).toEqual({ installation_id: '100', account_id: '77', account_login: 'acme' });
    expect(body.credentials).toEqual({
      type: 'APP',
      access_token: expect.stringMatching(/^ghs_/),
      expires_at: expect.any(String),
      raw: expect.objectContaining({ permissions: { contents: 'read' } }),
    });
    expect((await call(id)).status).toBe(200);
    expect(server.requests.at(-1)?.headers).toMatchObject({ 'x-github-api-version': '2022-11-28' });
    const withJwt = await read(id, '&refresh_github_app_jwt_token=true');
    expect(isApp(withJwt.body.credentials.jwtToken)).toBe(true);
  });

  it('connects again when an owner has changed the installation during the flow', async () => {
    expect((await install({ installation_id: '300', setup_action: 'update' })).status).toBe(200);
  });

  it.each<[string, Back, string]>([
    ['an installation that was there before', { installation_id: '200', setup_action: 'update' }, 'was there before'],
    ['an installation of another app', { installation_id: '999' }, 'does not know this installation'],
    ['no installation', {}, 'names no installation'],
    ['a path in place of an id', { installation_id: '1/../../user' }, 'names no installation'],
    ['a wish that waits for an owner', { setup_action: 'request' }, 'must approve'],
  ])('is not connected by %s', async (_, back, words) => {
    const before = (await app.api('GET', '/connections')).body.connections.length;
    const { status, text } = await install(back);
    expect([status, text]).toEqual([400, expect.stringContaining(words)]);
    expect(server.to('/access_tokens')).toEqual([]);
    expect((await app.api('GET', '/connections')).body.connections).toHaveLength(before);
  });

  it('is connected in the browser that began only', async () => {
    expect((await install({ installation_id: '100' }, { cookie: '' })).status).toBe(400);
    expect(server.requests).toEqual([]);
  });

  it('repairs the connection that holds the same installation, however old it is', async () => {
    await install({ installation_id: '100' });
    const id = await newest();
    installations.set('100', { created_at: iso(30 * DAY_MS), updated_at: iso(DAY_MS) });
    const session = await app.api('POST', '/connect/sessions/reconnect', { connection_id: id, integration_id: KEY });
    const again = await install({ installation_id: '100' }, { token: session.body.data.token as string });
    expect([again.status, await newest()]).toEqual([200, id]);
  });
});

describe('the token of an installation', () => {
  it('is asked for again when it ends, once for many callers', async () => {
    await install({ installation_id: '100' });
    const id = await newest();
    await endToken(app, id, -1_000);
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(id)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(server.to('/access_tokens')).toHaveLength(2);
  });

  it('ends for good when the customer has uninstalled the app, and the state says so', async () => {
    await install({ installation_id: '100' });
    const id = await newest();
    installations.clear();
    await endToken(app, id, -1_000);
    expect((await call(id)).status).toBe(424);
    const { body } = await read(id);
    expect(body.error.payload.connection).toMatchObject({ state: 'needs_reauth', state_reason: 'revoked' });
  });

  it('ends at the provider when the connection is deleted', async () => {
    await install({ installation_id: '100' });
    const id = await newest();
    const deleted = await fetch(`${node.url}/connections/${id}?provider_config_key=${KEY}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${app.apiKey}` },
    });
    expect(deleted.status).toBe(200);
    expect(tokens.size).toBe(0);
  });

  it('is asked for at the first use of an imported installation', async () => {
    const body = (credentials: object) => ({ provider_config_key: KEY, connection_id: 'imported-app', credentials });
    const imported = await app.api(
      'POST',
      '/connections',
      body({ type: 'APP', app_id: APP_ID, installation_id: '200' }),
    );
    expect([imported.status, imported.body.connection_config]).toEqual([201, { installation_id: '200' }]);
    expect((await call('imported-app')).status).toBe(200);
    const other = await app.api('POST', '/connections', body({ type: 'APP', app_id: '1', installation_id: '200' }));
    expect(other).toMatchObject({ status: 400, body: { error: { code: 'invalid_body' } } });
  });
});

describe('the integration of an app', () => {
  it('shows its key as base64, and takes it back so', async () => {
    const { body } = await app.api('GET', `/integrations/${KEY}?include=credentials`);
    expect(body.data.credentials).toEqual({
      type: 'APP',
      app_id: APP_ID,
      app_link: CREDENTIALS.app_link,
      private_key: Buffer.from(PEM).toString('base64'),
    });
    const patched = await app.api('PATCH', `/integrations/${KEY}`, { credentials: body.data.credentials });
    expect(patched.status).toBe(200);
    expect((await install({ installation_id: '100' })).status).toBe(200);
  });

  it.each<[string, object, object]>([
    ['another host', { app_link: 'https://evil.example/apps/acme' }, WRONG_PAGE],
    ['a host that only looks right', { app_link: 'https://github.com.evil.example/apps/acme' }, WRONG_PAGE],
    ['no key', { private_key: 'canary' }, { code: 'key_not_usable' }],
  ])('refuses %s', async (_, more, error) => {
    const body = { provider: KEY, unique_key: 'bad', credentials: { ...CREDENTIALS, ...more } };
    const answer = await app.api('POST', '/integrations', body);
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.text).not.toContain('canary');
  });
});

it('no token and no key of an app is in a log', () => {
  expect(log.text()).not.toContain('ghs_canary');
  expect(log.text()).not.toContain(PEM.split('\n')[1] ?? '');
});
