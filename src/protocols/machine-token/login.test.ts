import { describe, expect, it } from 'vitest';
import type { LoginSpec, ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { checkProvider } from '../../../catalogue/_spec/check.ts';
import { isHawserError } from '../../base/errors.ts';
import { planLogin } from './login.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const FIELDS = { user: 'me@example.com', secret: 'secret-canary', region: 'eu' };

function providerWith(login: LoginSpec): ProviderSpec {
  return {
    name: 'sample',
    displayName: 'Sample',
    categories: ['other'],
    authMode: 'TWO_STEP',
    docsUrl: 'https://example.com',
    summary: 'Sample.',
    credentials: {
      user: { title: 'User', description: 'User.', kind: 'text' },
      secret: { title: 'Secret', description: 'Secret.', kind: 'text', secret: true },
      region: { title: 'Region', description: 'Region.', kind: 'enum', options: ['eu', 'us'] },
    },
    login,
    api: {
      baseUrl: 'https://api.example.com',
      auth: { in: 'header', name: 'Authorization', value: 'Bearer ${accessToken}' },
      headers: { 'x-user': '${credentials.user}' },
    },
    disconnect: { kind: 'nothing' },
    gotchas: [],
    sources: ['https://example.com (read 2026-11)'],
  };
}

function plan(login: LoginSpec) {
  const provider = providerWith(login);
  expect(checkProvider(provider)).toEqual([]);
  const made = planLogin({
    spec: login,
    provider,
    fields: FIELDS,
    connectionConfig: {},
    integrationConfig: {},
    nowMs: NOW,
  });
  if (made.kind !== 'request') throw new Error('a login is a request');
  return made;
}

const TOKEN = { url: 'https://${credentials.region}.login.example.com/login' };
const answer = (value: unknown, status = 200) => ({
  status,
  headers: {},
  body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
});
const jwt = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

describe('a login request', () => {
  it('is JSON unless the file says otherwise', () => {
    const params = { user: '${credentials.user}', password: '${credentials.secret}', kind: 'api' };
    const json = plan({ token: { ...TOKEN, params, headers: { 'X-Fixed': 'yes' } } }).last([]);
    expect(json).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json', 'x-fixed': 'yes' } });
    expect(json.url.href).toBe('https://eu.login.example.com/login');
    expect(JSON.parse(json.body ?? '')).toEqual({ user: FIELDS.user, password: FIELDS.secret, kind: 'api' });
    const form = plan({ token: { ...TOKEN, method: 'PUT', body: 'form', params } }).last([]);
    expect([form.method, form.body]).toEqual(['PUT', 'user=me%40example.com&password=secret-canary&kind=api']);
  });

  it('carries the login in a header where the server wants it there', () => {
    const basic = { username: '${credentials.user}', password: '${credentials.secret}' };
    const request = plan({ token: { ...TOKEN, method: 'GET', basic } }).last([]);
    const expected = Buffer.from(`${FIELDS.user}:${FIELDS.secret}`).toString('base64');
    expect(request).toMatchObject({ method: 'GET', headers: { authorization: `Basic ${expected}` } });
    expect(request.body).toBeUndefined();
    expect(request.url.href).not.toContain('secret');
  });

  it('has what earlier steps brought', () => {
    const made = plan({
      steps: [
        { url: 'https://login.example.com/one', keep: { nonce: 'data.nonce' } },
        { url: 'https://login.example.com/two', params: { n: '${step1.nonce}' }, keep: { ticket: 'ticket' } },
      ],
      token: { ...TOKEN, params: { n: '${step1.nonce}', t: '${step2.ticket}' } },
    });
    const [one, two] = made.earlier;
    const first = { data: { nonce: 42 } };
    expect(one?.([]).url.pathname).toBe('/one');
    expect(JSON.parse(two?.([first]).body ?? '')).toEqual({ n: '42' });
    expect(JSON.parse(made.last([first, { ticket: 'abc' }]).body ?? '')).toEqual({ n: '42', t: 'abc' });
    for (const broken of [{}, { data: { nonce: '' } }, { data: { nonce: {} } }]) {
      let error: unknown;
      try {
        two?.([broken]);
      } catch (thrown) {
        error = thrown;
      }
      expect(isHawserError(error, 'credential_incomplete')).toBe(true);
    }
  });
});

describe('the answer of a login', () => {
  it.each<[string, LoginSpec['response'], unknown, number | undefined]>([
    ['a life in seconds', {}, { access_token: 't', expires_in: 60 }, NOW + 60_000],
    [
      'a moment',
      { accessToken: ['session.id'], expiry: { path: 'session.until', kind: 'at' } },
      { session: { id: 't', until: '2026-11-21T13:00:00Z' } },
      NOW + 3_600_000,
    ],
    ['a fixed life', { accessToken: ['id'], lifetimeSeconds: 900 }, { id: 't' }, NOW + 900_000],
    ['nothing', { accessToken: ['id'] }, { id: 't' }, undefined],
  ])('tells the end by %s', (_, response, body, expiresAtMs) => {
    const read = plan({ token: TOKEN, response }).read(answer(body), NOW);
    expect(read).toMatchObject({ ok: true, accessToken: 't' });
    expect(read.ok && read.expiresAtMs).toBe(expiresAtMs);
  });

  it('tells the end by the token itself when it is a JWT', () => {
    const token = jwt({ exp: NOW / 1_000 + 120 });
    const read = plan({ token: TOKEN }).read(answer({ access_token: token }), NOW);
    expect(read).toMatchObject({ ok: true, expiresAtMs: NOW + 120_000 });
  });

  it.each([
    [answer({ error: 'invalid_client' }, 401), 'refused'],
    [answer({ message: 'wrong password for secret-canary' }, 403), 'refused'],
    [answer('<html>', 502), 'provider_down'],
    [answer({}, 429), 'rate_limited'],
    [answer('<html>', 200), 'malformed'],
  ])('is a refusal of the customer’s login, never of the integration', (reply, kind) => {
    const read = plan({ token: TOKEN }).read(reply, NOW);
    expect(read).toMatchObject({ ok: false, kind });
    expect(JSON.stringify(read)).not.toContain('secret-canary');
  });
});

describe('the rules for a login', () => {
  const problems = (login: LoginSpec) => checkProvider(providerWith(login)).join('\n');

  it.each<[LoginSpec, string]>([
    [{ token: { ...TOKEN, method: 'GET', params: { a: 'b' } } }, 'a GET would carry them in its URL'],
    [{ token: { url: 'https://login.example.com/${credentials.secret}' } }, 'a secret may not stand in a URL'],
    [{ token: { ...TOKEN, params: { a: '${credentials.nobody}' } } }, '${credentials.nobody} is not declared'],
    [{ token: { ...TOKEN, params: { a: '${step1.x}' } } }, '${step1.x} is not declared'],
    [
      {
        steps: [{ url: 'https://login.example.com/', params: { a: '${step1.x}' }, keep: { x: 'x' } }],
        token: TOKEN,
      },
      '${step1.x} is not known yet',
    ],
  ])('find the fault of %j', (login, words) => {
    expect(problems(login)).toContain(words);
  });
});
