/** OAUTH2_CC from the form to the proxied call: every way a client proves itself, renewal, import, wire form. */
import { createHash, createPublicKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/build.ts';
import { sessionToken } from '../support/connect.ts';
import { selfSigned } from '../support/evil.ts';
import { postCredential, rememberingLog } from './connect-helpers.ts';
import { startScripted, type Scripted, type SeenRequest } from '../support/scripted.ts';
import { endToken } from '../support/token-end.ts';

const CLIENT = { client_id: 'client-7', client_secret: 'client-secret-canary' };

const log = rememberingLog();
let server: Scripted;
let secure: Scripted;
let app: TestApp;
let serial = 0;

beforeAll(async () => {
  const certificate = selfSigned(['localhost']);
  setDefaultCACertificates([...getCACertificates('default'), certificate.cert]);
  server = await startScripted();
  secure = await startScripted({ tls: certificate });
  app = await startTestApp({ log: log.log, settings: { HAWSER_EGRESS_ALLOW: `${server.pair},${secure.pair}` } });
  for (const [key, config] of [
    ['body', {}],
    ['basic', { token_auth: 'basic' }],
    ['assertion', { token_auth: 'private_key_jwt', assertion_key_id: 'kid-1' }],
    ['ec', { token_auth: 'private_key_jwt', assertion_algorithm: 'ES256', assertion_audience: 'https://aud.example' }],
  ] as const) {
    const integration_config = { token_url: `${server.url}/token`, api_base_url: `${server.url}/api`, ...config };
    await create({ provider: 'oauth2-client-credentials', unique_key: key, integration_config });
  }
  const integration_config = {
    token_url: `${secure.url}/token`,
    api_base_url: `${secure.url}/api`,
    token_auth: 'tls',
  };
  await create({ provider: 'oauth2-client-credentials', unique_key: 'tls', integration_config });
});
afterAll(async () => {
  await app?.close();
  await Promise.all([server?.close(), secure?.close()]);
});
beforeEach(() => {
  for (const each of [server, secure]) {
    each.requests.length = 0;
    each.answer = (request) => {
      if (!request.path.endsWith('/token')) {
        return request.headers.authorization?.startsWith('Bearer token-') ? { json: { ok: true } } : { status: 401 };
      }
      serial += 1;
      return { json: { access_token: `token-${serial}`, token_type: 'Bearer', expires_in: 3_600, scope: 'read' } };
    };
  }
});

async function create(body: Record<string, unknown>): Promise<void> {
  const answer = await app.api('POST', '/integrations', body);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
}

async function connect(key: string, form: Record<string, unknown> = CLIENT, query: Record<string, string> = {}) {
  return postCredential(app.url, `/oauth2/auth/${key}`, await sessionToken(app, key), form, query);
}

const readConnection = (id: unknown, key: string, more = '') =>
  app.api('GET', `/connections/${String(id)}?provider_config_key=${key}${more}`);

const call = (id: unknown, key: string, path = '/things') =>
  app.api('GET', `/proxy${path}`, undefined, { 'provider-config-key': key, 'connection-id': String(id) });

const endsIn = (connectionId: unknown, ms: number) => endToken(app, connectionId, ms);

function checkAssertion(request: SeenRequest | undefined, publicKey: string, hash: 'RS256' | 'ES256') {
  const [header = '', claims = '', signature = ''] = (request?.form.get('client_assertion') ?? '').split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  const key = hash === 'ES256' ? { key: publicKey, dsaEncoding: 'ieee-p1363' as const } : publicKey;
  expect(verify('sha256', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url'))).toBe(true);
  return { header: read(header), claims: read(claims) };
}

describe('client credentials', () => {
  it('connect with a secret in the body, and are shown as the contract says', async () => {
    const answer = await connect('body', CLIENT, { 'params[oauth_scopes]': 'read,write' });
    expect(answer).toMatchObject({ status: 200, body: { providerConfigKey: 'body' } });
    expect(Object.fromEntries(server.to('/token')[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope: 'read write',
      ...CLIENT,
    });
    const { connectionId } = answer.body;
    const { body } = await readConnection(connectionId, 'body');
    expect(body.credentials).toEqual({
      type: 'OAUTH2_CC',
      ...CLIENT,
      token: expect.stringMatching(/^token-/),
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      raw: expect.objectContaining({ expires_in: 3_600 }),
    });
    expect((await call(connectionId, 'body')).status).toBe(200);
    expect(server.to('/api/things')[0]?.headers.authorization).toBe(`Bearer ${body.credentials.token}`);
  });

  it('go by HTTP Basic where the server wants that', async () => {
    expect((await connect('basic', { client_id: 'a b', client_secret: 'c:d' })).status).toBe(200);
    const request = server.to('/token')[0];
    expect(request?.headers.authorization).toBe(`Basic ${Buffer.from('a+b:c%3Ad').toString('base64')}`);
    expect(request?.form.has('client_secret')).toBe(false);
  });

  it('prove themselves by a signed assertion, also with a key whose line breaks a form lost', async () => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const key of [pem, pem.replaceAll('\n', ' '), pem.replaceAll('\n', String.raw`\n`)]) {
      server.requests.length = 0;
      expect((await connect('assertion', { client_id: 'client-7', client_private_key: key })).status).toBe(200);
      const request = server.to('/token')[0];
      const { header, claims } = checkAssertion(request, publicKey, 'RS256');
      expect(header).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'kid-1' });
      expect(claims).toMatchObject({ iss: 'client-7', sub: 'client-7', aud: `${server.url}/token` });
      expect(Number(claims['exp']) - Number(claims['iat'])).toBe(300);
      expect(request?.form.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      expect(request?.form.has('client_secret')).toBe(false);
    }
  });

  it('sign with an elliptic key and the audience of the integration', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect((await connect('ec', { client_id: 'client-7', client_private_key: pem })).status).toBe(200);
    const publicKey = createPublicKey(pair.privateKey).export({ type: 'spki', format: 'pem' }).toString();
    const { claims } = checkAssertion(server.to('/token')[0], publicKey, 'ES256');
    expect(claims['aud']).toBe('https://aud.example');
  });

  it('present a certificate to the token server and to the API, each customer their own', async () => {
    const identities = [selfSigned(['client-a.example']), selfSigned(['client-b.example'])];
    for (const { cert, key } of identities) {
      secure.requests.length = 0;
      const form = { client_id: 'client-7', client_certificate: cert, client_private_key: key };
      const answer = await connect('tls', form);
      expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
      const { connectionId } = answer.body;
      expect((await call(connectionId, 'tls')).status).toBe(200);
      expect(new Set(secure.requests.map(({ peer }) => peer))).toEqual(new Set([fingerprint(cert)]));
      expect(secure.requests.map(({ path }) => path)).toEqual(['/token', '/api/things']);
      expect(secure.to('/token')[0]?.form.get('client_id')).toBe('client-7');
    }
  });

  it.each([
    ['a wrong secret', 401, { error: 'invalid_client', error_description: `no ${CLIENT.client_secret}` }],
    ['a broken server', 500, {}],
  ])('tell %s, repeat no secret, and store nothing', async (_, status, json) => {
    server.answer = () => ({ status, json });
    const before = (await app.api('GET', '/connections')).body.connections.length;
    const answer = await connect('body');
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'client_credentials_fetch_error' } } });
    expect(JSON.stringify(answer.body)).not.toContain(CLIENT.client_secret);
    expect((await app.api('GET', '/connections')).body.connections).toHaveLength(before);
  });

  it.each([
    ['a key that is none', 'assertion', { client_private_key: 'nonsense-canary' }, 'key_not_usable'],
    ['a key for another algorithm', 'ec', { client_private_key: rsaPem(2_048) }, 'key_not_usable'],
    ['a short key', 'assertion', { client_private_key: rsaPem(1_024) }, 'key_not_usable'],
    ['no secret', 'body', {}, 'credential_incomplete'],
    ['a key of another certificate', 'tls', mixedPair(), 'certificate_mismatch'],
    ['a value that is unknown', 'body', { admin: 'x' }, 'invalid_body'],
  ])('refuse %s in words', async (_, key, form, code) => {
    const answer = await connect(key, { client_id: 'client-7', ...form });
    expect(answer).toMatchObject({ status: 400, body: { error: { code, message: expect.stringMatching(/.{10}/) } } });
    expect(answer.text).not.toContain('nonsense-canary');
  });

  it('belong to providers of this mode only', async () => {
    expect(await connect('xref')).toMatchObject({ status: 400, body: { error: { code: 'invalid_auth_mode' } } });
  });
});

describe('the token of client credentials', () => {
  it('is asked for again when it ends, once for many callers', async () => {
    const { connectionId } = (await connect('body')).body;
    const first = (await readConnection(connectionId, 'body')).body.credentials.token;
    await endsIn(connectionId, -1_000);
    const answers = await Promise.all(Array.from({ length: 12 }, () => call(connectionId, 'body')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(server.to('/token')).toHaveLength(2);
    const now = (await readConnection(connectionId, 'body')).body;
    expect(now.credentials.token).not.toBe(first);
    expect(now.credentials).toMatchObject({ ...CLIENT, type: 'OAUTH2_CC' });
    expect(now.state).toBe('active');
  });

  it('is renewed when the provider refuses it before its end', async () => {
    const { connectionId } = (await connect('body')).body;
    await endsIn(connectionId, 3_600_000);
    const dead = (await readConnection(connectionId, 'body')).body.credentials.token as string;
    const usual = server.answer;
    server.answer = (request) =>
      request.headers.authorization === `Bearer ${dead}` ? { status: 401 } : usual(request);
    expect((await call(connectionId, 'body')).status).toBe(200);
    expect((await readConnection(connectionId, 'body')).body.credentials.token).not.toBe(dead);
  });

  it('outlives a refusal of the client until its end, and heals when the provider takes it again', async () => {
    const { connectionId } = (await connect('body')).body;
    const usual = server.answer;
    server.answer = (request) =>
      request.path.endsWith('/token') ? { status: 401, json: { error: 'invalid_client' } } : usual(request);
    await endsIn(connectionId, 20_000);
    expect((await call(connectionId, 'body')).status).toBe(200);
    await endsIn(connectionId, -1_000);
    const failed = await readConnection(connectionId, 'body');
    expect([failed.status, failed.body.error.code]).toEqual([424, 'invalid_credentials']);
    server.answer = usual;
    const healed = await readConnection(connectionId, 'body', '&force_refresh=true');
    expect(healed).toMatchObject({ status: 200, body: { state: 'active' } });
    const events = await app.db.query<{ payload: { success: boolean } }>(
      `SELECT payload FROM event e JOIN connection n ON n.id = e.connection_id
       WHERE n.connection_id = $1 AND payload->>'operation' = 'refresh'`,
      [connectionId],
    );
    expect(events).toHaveLength(1);
  });

  it('lives 55 minutes when the answer does not say', async () => {
    server.answer = () => ({ json: { access_token: 'token-x' } });
    const { connectionId } = (await connect('body')).body;
    const rows = await app.db.query<{ minutes: number }>(
      `SELECT extract(epoch FROM c.expires_at - c.refreshed_at)::float8 / 60 AS minutes
       FROM credential c JOIN connection n ON n.id = c.connection_id WHERE n.connection_id = $1`,
      [connectionId],
    );
    expect(rows[0]?.minutes).toBeCloseTo(55, 0);
  });

  it('can be imported, and is renewed from what came with it', async () => {
    const credentials = { type: 'OAUTH2_CC', token: 'token-imported', ...CLIENT };
    const imported = await app.api('POST', '/connections', {
      provider_config_key: 'body',
      connection_id: 'imported-cc',
      credentials: { ...credentials, expires_at: '2020-01-01T00:00:00Z' },
    });
    expect(imported).toMatchObject({ status: 201, body: { credentials } });
    expect((await call('imported-cc', 'body')).status).toBe(200);
    expect(server.to('/token')[0]?.form.get('client_secret')).toBe(CLIENT.client_secret);
  });

  it('is gone with the connection, and the customer is told what is left to do', async () => {
    const { connectionId } = (await connect('body')).body;
    const rows = async () =>
      app.db.query(
        'SELECT 1 FROM credential c JOIN connection n ON n.id = c.connection_id WHERE n.connection_id = $1',
        [connectionId],
      );
    expect(await rows()).toHaveLength(1);
    expect((await app.api('DELETE', `/connections/${String(connectionId)}?provider_config_key=body`)).status).toBe(200);
    expect(await rows()).toHaveLength(0);
  });

  it('and its client are in no log and in no column', async () => {
    const { connectionId } = (await connect('body')).body;
    const { token } = (await readConnection(connectionId, 'body')).body.credentials as { token: string };
    await eventually(
      () => app.db.query('SELECT 1 FROM activity LIMIT 1'),
      (rows) => rows.length > 0,
    );
    const dump = JSON.stringify(
      await Promise.all(
        ['credential', 'connection', 'event', 'activity', 'refresh_journal', 'integration'].map((table) =>
          app.db.query(`SELECT to_jsonb(t) AS row FROM ${table} t`),
        ),
      ),
    );
    for (const secret of [CLIENT.client_secret, token]) {
      for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')]) {
        expect(dump).not.toContain(form);
        expect(log.text()).not.toContain(form);
      }
    }
  });
});

function fingerprint(pem: string): string {
  const hex = createHash('sha256').update(new X509Certificate(pem).raw).digest('hex').toUpperCase();
  return (hex.match(/../g) ?? []).join(':');
}

function rsaPem(bits: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function mixedPair(): Record<string, string> {
  return {
    client_certificate: selfSigned(['client-a.example']).cert,
    client_private_key: selfSigned(['client-b.example']).key,
  };
}
