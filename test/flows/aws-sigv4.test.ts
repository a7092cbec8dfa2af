/** AWS_SIGV4 through the whole server: role assumed on connect, calls signed with temporary keys, keys renewed. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hawser } from '../../src/shell/node.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { sessionToken } from '../support/connect.ts';
import { startScripted, type Scripted, type ScriptedReply, type SeenRequest } from '../support/scripted.ts';
import { endToken } from '../support/token-end.ts';
import { postCredential, rememberingLog } from './connect-helpers.ts';

const OWN = { id: 'AKIAOWNKEYS', secret: 'own-secret-canary' };
const ROLE = 'arn:aws:iam::123456789012:role/acme-integration';

const log = rememberingLog();
let server: Scripted;
let app: TestApp;
let node: Hawser;
/** Access key id → secret and session token of keys that were handed out. */
let issued: Map<string, { secret: string; session: string }>;
let problems: string[];

beforeAll(async () => {
  server = await startScripted();
  app = await startTestApp({ log: log.log, seed: false });
  node = await app.startNode({ emulatorUrl: server.url });
  for (const service of ['s3', 'dynamodb']) {
    const answer = await app.api('POST', '/integrations', {
      provider: 'aws-sigv4',
      unique_key: service,
      credentials: { type: 'AWS_SIGV4', client_id: OWN.id, client_secret: OWN.secret },
      integration_config: { service },
      custom: { emulated: 'true' },
    });
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  }
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});
beforeEach(() => {
  server.requests.length = 0;
  issued = new Map();
  problems = [];
  server.answer = (request) => {
    const reply = play(request);
    if (reply.status === 403) problems.push(reply.text ?? '');
    return reply;
  };
});

const hex = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');

/** Checks a signature from what is on the wire alone. Resolves to what is wrong. */
function check(
  request: SeenRequest,
  secretOf: (id: string) => string | undefined,
  service: string,
): string | undefined {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    );
  if (match === null) return 'MissingAuthenticationToken';
  const [, id = '', day = '', region = '', named = '', signedHeaders = '', signature = ''] = match;
  if (named !== service) return `signed for ${named}`;
  const secret = secretOf(id);
  if (secret === undefined) return 'InvalidClientTokenId';
  const signed = signedHeaders.split(';');
  const unsigned = Object.keys(request.headers).filter((name) => name.startsWith('x-amz-') && !signed.includes(name));
  if (unsigned.length > 0 || !signed.includes('host')) return `unsigned: ${unsigned.join()}`;
  const told = String(request.headers['x-amz-content-sha256'] ?? hex(request.body));
  if (told !== 'UNSIGNED-PAYLOAD' && told !== hex(request.body)) return 'XAmzContentSHA256Mismatch';
  const [path = '', query = ''] = request.target.split('?');
  const escape = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const canonical = [
    request.method,
    service === 's3' ? path : path.split('/').map(escape).join('/'),
    query
      .split('&')
      .filter(Boolean)
      .map((pair) => {
        const [name = '', ...rest] = pair.split('=');
        return `${escape(decodeURIComponent(name))}=${escape(decodeURIComponent(rest.join('=')))}`;
      })
      .toSorted()
      .join('&'),
    ...signed.map((name) => `${name}:${String(request.headers[name])}`),
    '',
    signedHeaders,
    told,
  ].join('\n');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, hex(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request');
  return hmac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
}

function play(request: SeenRequest): ScriptedReply {
  const xml = { 'content-type': 'text/xml' };
  const fail = (code: string) => ({
    status: 403,
    headers: xml,
    text: `<ErrorResponse><Error><Code>${code}</Code><Message>No, ${OWN.secret}</Message></Error></ErrorResponse>`,
  });
  if (request.form.get('Action') === 'AssumeRole') {
    const problem = check(request, (id) => (id === OWN.id ? OWN.secret : undefined), 'sts');
    if (problem !== undefined) return fail(problem);
    if (request.form.get('RoleArn') !== ROLE) return fail('AccessDenied');
    const id = `ASIA${issued.size + 1}`;
    const keys = { secret: `temporary-canary-${id}`, session: `session-canary-${id}/+=` };
    issued.set(id, keys);
    return {
      headers: xml,
      text: `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>${id}</AccessKeyId>
        <SecretAccessKey>${keys.secret}</SecretAccessKey><SessionToken>${keys.session}</SessionToken>
        <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
    };
  }
  const service = (request.headers['x-test-service'] as string | undefined) ?? 's3';
  const problem = check(request, (id) => issued.get(id)?.secret, service);
  if (problem !== undefined) return fail(problem);
  const keys = [...issued.values()].find(({ session }) => session === request.headers['x-amz-security-token']);
  return keys === undefined ? fail('InvalidToken') : { json: { ok: true } };
}

async function connect(key = 's3', form: Record<string, string> = {}, query: Record<string, string> = {}) {
  const token = await sessionToken(app, key);
  const body = { type: 'AWS_SIGV4', role_arn: ROLE, ...form };
  return postCredential(node.url, `/auth/aws-sigv4/${key}`, token, body, query);
}

function call(connectionId: unknown, path: string, init: RequestInit = {}, key = 's3'): Promise<Response> {
  return fetch(`${node.url}/proxy${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${app.apiKey}`,
      'provider-config-key': key,
      'connection-id': String(connectionId),
      'nango-proxy-x-test-service': key,
      ...(init.headers as Record<string, string>),
    },
  });
}

describe('an AWS role', () => {
  it('is assumed on connect, and shown as the contract says', async () => {
    const answered = await connect('s3', { region: 'eu-west-1' }, { 'params[external_id]': 'ext-1' });
    expect([answered.status, answered.text]).toEqual([200, answered.text]);
    const asked = server.requests[0];
    expect(Object.fromEntries(asked?.form ?? [])).toEqual({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: ROLE,
      RoleSessionName: 'hawser',
      DurationSeconds: '3600',
      ExternalId: 'ext-1',
    });
    expect(asked?.headers.authorization).toContain('/eu-west-1/sts/aws4_request');
    const path = `/connections/${String(answered.body['connectionId'])}?provider_config_key=s3`;
    const { body } = await app.api('GET', path);
    expect(body.credentials).toEqual({
      type: 'AWS_SIGV4',
      role_arn: ROLE,
      region: 'eu-west-1',
      service: 's3',
      external_id: 'ext-1',
      access_key_id: 'ASIA1',
      secret_access_key: 'temporary-canary-ASIA1',
      session_token: 'session-canary-ASIA1/+=',
      expires_at: expect.any(String),
      raw: expect.objectContaining({ AccessKeyId: 'ASIA1' }),
    });
    expect(body.connection_config).toEqual({ region: 'eu-west-1' });
  });

  it.each<[string, Record<string, string>, string]>([
    [
      'a role that does not trust us',
      { role_arn: 'arn:aws:iam::123456789012:role/other' },
      'client_credentials_fetch_error',
    ],
    ['no role at all', { role_arn: 'acme' }, 'invalid_body'],
    ['a region that is none', { region: 'mars-1' }, 'invalid_body'],
  ])('that is wrong is told: %s', async (_, form, code) => {
    const answered = await connect('s3', form);
    expect(answered).toMatchObject({ status: 400, body: { error: { code, message: expect.stringMatching(/.{10}/) } } });
    expect(answered.text).not.toContain('canary');
  });

  it('is assumed again when its keys end, once for many callers', async () => {
    const { connectionId } = (await connect()).body;
    await endToken(app, connectionId, -1_000);
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(connectionId, '/bucket/key')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(issued.size).toBe(2);
  });

  it('keeps the external id that the app has fixed, whatever the browser says', async () => {
    const defaults = { s3: { connection_config: { external_id: 'of-this-customer' } } };
    const token = await sessionToken(app, 's3', { integrations_config_defaults: defaults });
    const body = { role_arn: ROLE, external_id: 'of-somebody-else' };
    expect((await postCredential(node.url, '/auth/aws-sigv4/s3', token, body)).status).toBe(200);
    expect(server.requests[0]?.form.get('ExternalId')).toBe('of-this-customer');
  });

  it('demands the external id where the integration says so', async () => {
    // At the node that is asked afterwards: the other one would tell it a moment later.
    const change = (rule: string) =>
      fetch(`${node.url}/integrations/s3`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${app.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ integration_config: { service: 's3', external_id: rule } }),
      });
    const role = { role_arn: ROLE };
    const attempt = async (body: object, defaults?: object) => {
      const session = defaults && { integrations_config_defaults: { s3: { connection_config: defaults } } };
      const answered = await postCredential(
        node.url,
        '/auth/aws-sigv4/s3',
        await sessionToken(app, 's3', session),
        body,
      );
      return [answered.status, JSON.stringify(answered.body).includes('xternal id')];
    };
    expect((await change('required')).status).toBe(200);
    expect(await attempt(role)).toEqual([400, true]);
    expect((await attempt({ ...role, external_id: 'typed' }))[0]).toBe(200);
    expect((await change('fixed')).status).toBe(200);
    expect(await attempt({ ...role, external_id: 'typed' })).toEqual([400, true]);
    expect((await attempt(role, { external_id: 'of-this-customer' }))[0]).toBe(200);
    expect((await change('optional')).status).toBe(200);
    expect((await attempt(role))[0]).toBe(200);
  });

  it('needs keys in the integration', async () => {
    const body = { provider: 'aws-sigv4', unique_key: 'none', integration_config: { service: 's3' } };
    expect(await app.api('POST', '/integrations', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_body' } },
    });
  });
});

describe('a call signed for AWS', () => {
  it.each<[string, string, RequestInit]>([
    ['a plain path', '/bucket/key', {}],
    ['a path and a query with everything', '/bucket/a%20b/c+d(1)?list-type=2&prefix=a%2Fb+c&delimiter', {}],
    ['JSON', '/bucket/key', { method: 'PUT', body: '{"a":1}', headers: { 'content-type': 'application/json' } }],
    ['headers of the service', '/bucket/key', { headers: { 'nango-proxy-x-amz-acl': 'private' } }],
  ])('is right for %s', async (_, path, init) => {
    for (const key of ['s3', 'dynamodb']) {
      const { connectionId } = (await connect(key)).body;
      const answered = await call(connectionId, path, init, key);
      expect([answered.status, problems]).toEqual([200, []]);
    }
  });

  it('streams a large body unsigned where the service takes that, and not elsewhere', async () => {
    const body = randomBytes(9 * 1024 * 1024);
    const headers = { 'content-type': 'application/octet-stream' };
    const s3 = (await connect('s3')).body['connectionId'];
    const stored = await call(s3, '/bucket/big', { method: 'PUT', body, headers });
    expect([stored.status, problems]).toEqual([200, []]);
    const seen = server.to('/bucket/big')[0];
    expect(seen?.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    expect(hex(seen?.body ?? '')).toBe(hex(body));
    const dynamodb = (await connect('dynamodb')).body['connectionId'];
    const refused = await call(dynamodb, '/big', { method: 'POST', body, headers }, 'dynamodb');
    expect(refused.status).toBe(413);
    expect(server.to('/big')).toHaveLength(1);
  });

  it('covers a body of middle size', async () => {
    const body = randomBytes(2 * 1024 * 1024);
    const { connectionId } = (await connect('dynamodb')).body;
    const answered = await call(connectionId, '/middle', { method: 'POST', body }, 'dynamodb');
    expect([answered.status, problems]).toEqual([200, []]);
    expect(server.to('/middle')[0]?.headers['x-amz-content-sha256']).toBe(hex(body));
  });
});

it('no key is in a log', () => {
  expect(log.text()).not.toContain('canary');
});
