/** TWO_STEP through the whole server: login on connect, again when the session ends, logout on disconnect. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { startScripted, type Scripted } from '../support/scripted.ts';
import { endToken } from '../support/token-end.ts';
import { postCredential, rememberingLog } from './connect-helpers.ts';

const LOGIN = { client_id: 'api-client', client_secret: 'api-secret-canary' };
const KEY = 'looker';

const log = rememberingLog();
let server: Scripted;
let app: TestApp;
let node: Hawser;
let sessions: Set<string>;

beforeAll(async () => {
  server = await startScripted();
  app = await startTestApp({ log: log.log, seed: false });
  node = await app.startNode({ emulatorUrl: server.url });
  const body = { provider: KEY, unique_key: KEY, custom: { emulated: 'true' } };
  expect((await app.api('POST', '/integrations', body)).status).toBe(200);
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});
beforeEach(() => {
  server.requests.length = 0;
  sessions = new Set();
  server.answer = (request) => {
    if (request.path.endsWith('/login')) {
      if (request.form.get('client_secret') !== LOGIN.client_secret) return { status: 404, json: { message: 'No' } };
      const token = `session-${sessions.size + 1}-${server.requests.length}`;
      sessions.add(token);
      return { json: { access_token: token, token_type: 'Bearer', expires_in: 3_600 } };
    }
    const token = request.headers.authorization?.replace(/^token /, '') ?? '';
    if (!sessions.has(token)) return { status: 401 };
    if (request.path.endsWith('/logout')) sessions.delete(token);
    return { json: { id: 1 } };
  };
});

async function connect(form: Record<string, string> = LOGIN) {
  const token = await sessionToken(app, KEY);
  const query = { 'params[hostname]': 'acme.cloud.looker.com' };
  return postCredential(node.url, `/auth/two-step/${KEY}`, token, { type: 'TWO_STEP', ...form }, query);
}

const call = (connectionId: unknown) =>
  fetch(`${node.url}/proxy/dashboards`, {
    headers: {
      authorization: `Bearer ${app.apiKey}`,
      'provider-config-key': KEY,
      'connection-id': String(connectionId),
    },
  });

describe('a two-step login', () => {
  it('connects, is proven, and is shown as the contract says', async () => {
    const answer = await connect();
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
    const { connectionId } = answer.body;
    expect((await call(connectionId)).status).toBe(200);
    expect(server.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      `POST /${KEY}/api/4.0/login`,
      `GET /${KEY}/api/4.0/user`,
      `GET /${KEY}/api/4.0/dashboards`,
    ]);
    const { body } = await app.api('GET', `/connections/${String(connectionId)}?provider_config_key=${KEY}`);
    expect(body.credentials).toEqual({
      type: 'TWO_STEP',
      ...LOGIN,
      token: expect.stringMatching(/^session-/),
      expires_at: expect.any(String),
      raw: expect.objectContaining({ expires_in: 3_600 }),
    });
  });

  it('is repeated when its session ends, once for many callers', async () => {
    const { connectionId } = (await connect()).body;
    await endToken(app, connectionId, -1_000);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(connectionId)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(server.to('/login')).toHaveLength(2);
  });

  it('is repeated when the session was ended elsewhere', async () => {
    const { connectionId } = (await connect()).body;
    await endToken(app, connectionId, 3_600_000);
    sessions.clear();
    expect((await call(connectionId)).status).toBe(200);
    expect(server.to('/login')).toHaveLength(2);
  });

  it('logs out when the connection is deleted', async () => {
    const { connectionId } = (await connect()).body;
    const url = `${node.url}/connections/${String(connectionId)}?provider_config_key=${KEY}`;
    const deleted = await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${app.apiKey}` } });
    expect(deleted.status).toBe(200);
    expect(server.to('/logout')).toHaveLength(1);
    expect(sessions.size).toBe(0);
  });

  it.each([
    ['a wrong secret', { ...LOGIN, client_secret: 'other-canary' }, 'two_step_credentials_fetch_error'],
    ['no secret', { client_id: 'x' }, 'invalid_body'],
    ['the form of another mode', { ...LOGIN, type: 'JWT' }, 'invalid_body'],
  ])('refuses %s in words', async (_, form, code) => {
    const answer = await connect(form);
    expect(answer).toMatchObject({ status: 400, body: { error: { code, message: expect.stringMatching(/.{10}/) } } });
    expect(answer.text).not.toContain('canary');
  });

  it('leaves no secret in a log', () => {
    expect(log.text()).not.toContain('canary');
  });
});
