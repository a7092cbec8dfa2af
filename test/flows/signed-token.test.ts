/** JWT mode through the whole server: the key from the form signs every token, nobody is asked for one. */
import { createHmac, generateKeyPairSync, verify } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { startScripted, type Scripted } from '../support/scripted.ts';
import { endToken } from '../support/token-end.ts';
import { postCredential, rememberingLog } from './connect-helpers.ts';

const KEY = '5d1f0c64b7a1e90001f2e3d4:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';
const [KEY_ID = '', SECRET = ''] = KEY.split(':');
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PEM = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

const log = rememberingLog();
let server: Scripted;
let app: TestApp;
let node: Hawser;

beforeAll(async () => {
  server = await startScripted();
  app = await startTestApp({ log: log.log, seed: false });
  // The provider's own hosts are played by the scripted server.
  node = await app.startNode({ emulatorUrl: server.url });
  for (const provider of ['ghost-admin', 'apple-app-store']) {
    const body = { provider, unique_key: provider, custom: { emulated: 'true' } };
    expect((await app.api('POST', '/integrations', body)).status).toBe(200);
  }
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});
beforeEach(() => {
  server.requests.length = 0;
  server.answer = () => ({ json: { ok: true } });
});

const forms = {
  'ghost-admin': { form: { privateKey: KEY }, query: { 'params[adminDomain]': 'acme.ghost.io' } },
  'apple-app-store': {
    form: { privateKeyId: 'KEY123', issuerId: 'issuer-1', privateKey: PEM },
    query: {},
  },
};

async function connect(key: keyof typeof forms, form: Record<string, string> = forms[key].form) {
  const token = await sessionToken(app, key);
  return postCredential(node.url, `/auth/jwt/${key}`, token, { type: 'JWT', ...form }, forms[key].query);
}

function call(key: string, connectionId: unknown): Promise<Response> {
  const headers = {
    authorization: `Bearer ${app.apiKey}`,
    'provider-config-key': key,
    'connection-id': String(connectionId),
  };
  return fetch(`${node.url}/proxy/posts/`, { headers });
}

function read(jwt: string | undefined) {
  const [header = '', claims = '', signature = ''] = (jwt ?? '').split('.');
  const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, number>;
  return { text: `${header}.${claims}`, header: json(header), claims: json(claims), signature };
}

const stored = async (key: string, id: unknown) =>
  (await app.api('GET', `/connections/${String(id)}?provider_config_key=${key}`)).body.credentials;

describe('a signed token', () => {
  it('is made from a key in two parts, proven, and sent as the provider wants it', async () => {
    const answer = await connect('ghost-admin');
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
    const { connectionId } = answer.body;
    expect((await call('ghost-admin', connectionId)).status).toBe(200);
    expect(server.requests.map(({ target }) => target)).toEqual([
      '/ghost-admin/ghost/api/admin/config/',
      '/ghost-admin/ghost/api/admin/posts/',
    ]);
    const { authorization, 'accept-version': version } = server.requests[1]?.headers ?? {};
    expect(version).toBe('v5.0');
    const jwt = authorization?.replace(/^Ghost /, '');
    const { text, header, claims, signature } = read(jwt);
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT', kid: KEY_ID });
    expect(claims).toEqual({ aud: '/admin/', iat: expect.any(Number), exp: (claims['iat'] ?? 0) + 300 });
    expect(createHmac('sha256', Buffer.from(SECRET, 'hex')).update(text).digest('base64url')).toBe(signature);
    expect(await stored('ghost-admin', connectionId)).toEqual({
      type: 'JWT',
      token: jwt,
      expires_at: new Date((claims['exp'] ?? 0) * 1_000).toISOString(),
      privateKey: KEY,
    });
  });

  it('is made from an elliptic key with issuer and key id', async () => {
    const { connectionId } = (await connect('apple-app-store')).body;
    await call('apple-app-store', connectionId);
    const { text, header, claims, signature } = read(
      server.requests[1]?.headers.authorization?.slice('Bearer '.length),
    );
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'KEY123' });
    expect(claims).toMatchObject({ iss: 'issuer-1', aud: 'appstoreconnect-v1' });
    const key = { key: ec.publicKey, dsaEncoding: 'ieee-p1363' as const };
    expect(verify('sha256', Buffer.from(text), key, Buffer.from(signature, 'base64url'))).toBe(true);
  });

  it('is signed anew when it ends, once for many callers, without asking anybody', async () => {
    const { connectionId } = (await connect('ghost-admin')).body;
    const first = (await stored('ghost-admin', connectionId)).token;
    server.requests.length = 0;
    await endToken(app, connectionId, -1_000);
    // The new token is of another second than the first one, or the signature would be the same.
    await expect.poll(() => Math.floor(Date.now() / 1_000)).toBeGreaterThan(read(first).claims['iat'] ?? 0);
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('ghost-admin', connectionId)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const sent = new Set(server.requests.map(({ headers }) => headers.authorization));
    expect(sent.size).toBe(1);
    expect([...sent][0]).not.toBe(`Ghost ${first}`);
    expect(new Set(server.requests.map(({ path }) => path))).toEqual(new Set(['/ghost-admin/ghost/api/admin/posts/']));
    const rows = await app.db.query<{ gen: number; intent_at: Date | null }>(
      `SELECT gen, intent_at FROM credential c JOIN connection n ON n.id = c.connection_id WHERE n.connection_id = $1`,
      [connectionId],
    );
    expect(rows).toEqual([{ gen: 2, intent_at: null }]);
  });

  it.each([
    ['a key in one part', 'ghost-admin', { privateKey: 'only-one-part-canary' }, 'credential_incomplete'],
    ['a secret that is not hexadecimal', 'ghost-admin', { privateKey: 'id:secret-canary' }, 'key_not_usable'],
    ['no key', 'ghost-admin', {}, 'invalid_body'],
    ['an unknown value', 'ghost-admin', { privateKey: KEY, more: 'x' }, 'invalid_body'],
    [
      'a key of another kind',
      'apple-app-store',
      { ...forms['apple-app-store'].form, privateKey: 'canary' },
      'key_not_usable',
    ],
  ] as const)('refuses %s in words that do not repeat it', async (_, key, form, code) => {
    const answer = await connect(key, form);
    expect(answer).toMatchObject({ status: 400, body: { error: { code, message: expect.stringMatching(/.{10}/) } } });
    expect(answer.text).not.toContain('canary');
    expect(server.requests).toEqual([]);
  });

  it('that the provider does not take is told, and nothing is stored', async () => {
    server.answer = () => ({ status: 401 });
    const answer = await connect('ghost-admin');
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'connection_test_failed' } } });
  });

  it('leaves no key in a log', () => {
    for (const secret of [SECRET, PEM.split('\n')[1] ?? '']) expect(log.text()).not.toContain(secret);
  });
});
