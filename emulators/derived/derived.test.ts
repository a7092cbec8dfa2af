/** A derived emulator demands what its provider file declares; each deviation by itself is refused. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import { createManualClock, type ManualClock } from '../engine/manual-clock.ts';
import type { App } from '../engine/types.ts';
import { startDerived, type Derived, type DerivedHandle } from './index.ts';
import { capture, pathPatterns, setAt } from './template.ts';

const REDIRECT = 'https://app.example/callback';
const VERIFIER = 'v'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

const ODD: ProviderSpec = {
  name: 'odd',
  displayName: 'Odd',
  categories: ['other'],
  authMode: 'OAUTH2',
  docsUrl: 'https://example.com',
  summary: 'Odd.',
  oauth2: {
    authorize: {
      url: 'https://${connectionConfig.shop}.odd.example/${connectionConfig.tenant}/authorize',
      params: { response_type: null, access: 'offline' },
      rename: { client_id: 'client_key', state: 'custom' },
    },
    callback: { code: 'grant_code', state: 'custom', stateEcho: 'always', metadata: ['realm'] },
    scopes: { default: ['a', 'b'], allowed: ['a', 'b', 'c'], separator: ',' },
    pkce: 'S256',
    token: {
      url: 'https://${connectionConfig.shop}.odd.example/${connectionConfig.tenant}/token',
      body: 'json',
      clientAuth: 'basic',
      omit: ['redirect_uri'],
      rename: { code: 'auth_code' },
      params: { kind: 'web' },
      headers: { Accept: 'application/json', 'Odd-Version': '7' },
    },
    response: {
      accessToken: ['data.token', 'user.token'],
      success: { path: 'code', equals: 0 },
      expiry: { path: 'expires_at', kind: 'at' },
      metadata: { account: 'data.owner.id' },
      errorStatus: 200,
      errorKinds: { code_is_dead: 'invalid_grant' },
    },
    refresh: {
      url: 'https://odd.example/renew',
      rotation: { kind: 'overlap', graceSeconds: 60 },
      params: { kind: 'renew' },
    },
  },
  connectionConfig: {
    shop: { title: 'Shop', description: 'Shop.', kind: 'label' },
    tenant: { title: 'Tenant', description: 'Tenant.', kind: 'segment' },
    realm: { title: 'Realm', description: 'Realm.', kind: 'segment', automated: true },
    account: { title: 'Account', description: 'Account.', kind: 'segment', automated: true },
  },
  api: {
    baseUrl: 'https://api.odd.example/v2',
    auth: { in: 'header', name: 'X-Odd', value: 'Odd ${accessToken}' },
    headers: { 'Odd-Version': '7' },
  },
  disconnect: { kind: 'rfc7009', url: 'https://odd.example/revoke' },
  account: { idFrom: 'account' },
  gotchas: [],
  sources: ['https://example.com (read 2026-11)'],
};

let derived: Derived;
let odd: DerivedHandle;
let app: App;
let clock: ManualClock;

beforeAll(async () => {
  clock = createManualClock(Date.parse('2026-11-21T12:00:00Z'));
  derived = await startDerived(ODD, { clock });
  odd = derived.get('odd');
  app = odd.registerApp({ name: 'App', redirectUri: REDIRECT });
});
afterAll(() => derived.close());

const good = () => ({
  client_key: app.clientId,
  redirect_uri: REDIRECT,
  scope: 'a,b',
  custom: 'state-1',
  access: 'offline',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
});

function authorize(change: Record<string, string | undefined> = {}): string {
  const pairs = Object.entries({ ...good(), ...change }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return `${odd.url}/acme/authorize?${new URLSearchParams(pairs)}`;
}

function code(): string {
  return new URL(odd.consent(authorize())).searchParams.get('grant_code') ?? '';
}

interface Sent {
  path?: string;
  headers?: Record<string, string | undefined>;
  params?: Record<string, string | undefined>;
  form?: boolean;
}

async function token(
  sent: Sent,
): Promise<{ status: number; type: string; body: Record<string, unknown>; text: string }> {
  const basic = Buffer.from(`${app.clientId}:${app.liveSecret}`).toString('base64');
  const headers: Record<string, string | undefined> = {
    authorization: `Basic ${basic}`,
    accept: 'application/json',
    'odd-version': '7',
    'content-type': sent.form === true ? 'application/x-www-form-urlencoded' : 'application/json',
    ...sent.headers,
  };
  const params = Object.fromEntries(Object.entries(sent.params ?? {}).filter((pair) => pair[1] !== undefined));
  const response = await fetch(`${odd.url}${sent.path ?? '/acme/token'}`, {
    method: 'POST',
    headers: Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined),
    body:
      sent.form === true ? new URLSearchParams(params as Record<string, string>).toString() : JSON.stringify(params),
  });
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, type, text, body: type.includes('json') ? JSON.parse(text) : {} };
}

const exchangeParams = (auth_code: string) => ({
  grant_type: 'authorization_code',
  auth_code,
  code_verifier: VERIFIER,
  kind: 'web',
});
const exchange = (change: Sent = {}) => token({ ...change, params: { ...exchangeParams(code()), ...change.params } });

describe('the authorize page', () => {
  it('takes what the file declares, and tells what it declares', () => {
    const back = new URL(odd.consent(authorize()));
    expect(Object.fromEntries(back.searchParams)).toEqual({
      grant_code: expect.stringMatching(/^\w{40}$/),
      custom: 'state-1',
      realm: expect.stringMatching(/^realm-/),
    });
  });

  it.each<[string, Record<string, string | undefined>, RegExp]>([
    ['a removed parameter', { response_type: 'code' }, /"response_type" must not be sent/],
    ['a standard name where there is another', { client_id: 'x' }, /"client_id" is called "client_key"/],
    ['no client id', { client_key: undefined }, /lacks "client_key"/],
    ['no redirect', { redirect_uri: undefined }, /lacks "redirect_uri"/],
    ['a foreign redirect', { redirect_uri: 'https://evil.example' }, /not the one registered/],
    ['no extra parameter', { access: undefined }, /lacks "access"/],
    ['another extra parameter', { access: 'online' }, /"access" must be "offline"/],
    ['no challenge', { code_challenge: undefined }, /PKCE is required/],
    ['a plain challenge', { code_challenge_method: 'plain' }, /method S256/],
  ])('refuses %s', (_, change, message) => {
    expect(() => odd.consent(authorize(change))).toThrow(message);
  });

  it.each(['a b', 'a,d', 'a,'])('refuses the scope %j', (scope) => {
    expect(new URL(odd.consent(authorize({ scope }))).searchParams.get('error')).toBe('invalid_scope');
  });

  it('shows a page to a browser', async () => {
    expect((await fetch(authorize())).status).toBe(200);
    expect((await fetch(authorize({ access: undefined }))).status).toBe(400);
  });
});

describe('the token endpoint', () => {
  it('answers in the shape that the file declares', async () => {
    const answer = await exchange();
    expect(answer).toMatchObject({ status: 200, type: expect.stringContaining('json') });
    expect(answer.body).toEqual({
      code: 0,
      data: {
        token: expect.any(String),
        token_type: 'bearer',
        scope: 'a,b',
        refresh_token: expect.any(String),
        expires_at: '2026-11-21T13:00:00.000Z',
        owner: { id: odd.accounts()[0]?.id },
      },
    });
  });

  it.each<[string, Sent, RegExp]>([
    ['a form', { form: true }, /body must be json/],
    ['an omitted parameter', { params: { redirect_uri: REDIRECT } }, /"redirect_uri" must not be sent/],
    ['a standard name where there is another', { params: { code: 'x' } }, /"code" is not known/],
    ['an unknown parameter', { params: { audience: 'x' } }, /"audience" is not known/],
    ['a scope nobody asks for', { params: { scope: 'a,b' } }, /"scope" must not be sent/],
    ['no extra parameter', { params: { kind: undefined } }, /"kind" is missing/],
    ['another extra parameter', { params: { kind: 'x' } }, /"kind" must be "web"/],
    ['no version header', { headers: { 'odd-version': undefined } }, /Odd-Version is missing/],
    ['the secret in the body', { params: { client_secret: 'x' } }, /secret must not stand in the body/],
    ['no Basic', { headers: { authorization: undefined } }, /HTTP Basic is missing/],
    ['a wrong secret', { headers: { authorization: `Basic ${btoa('x:y')}` } }, /client id or secret/],
    ['no verifier', { params: { code_verifier: undefined } }, /code is not valid/],
    ['a wrong verifier', { params: { code_verifier: 'w'.repeat(43) } }, /code is not valid/],
    ['the address of a refresh', { path: '/renew' }, /not the address/],
  ])('refuses %s, in the provider’s way', async (_, sent, message) => {
    const answer = await exchange(sent);
    // This provider fails with 200.
    expect([answer.status, answer.body['code']]).toEqual([200, 1]);
    expect(answer.body['error_description']).toMatch(message);
  });

  it('has its own word for a dead code, and answers a form unless JSON is asked for', async () => {
    const used = code();
    const first = await token({ params: exchangeParams(used), headers: { accept: '*/*' } });
    expect([first.status, first.type]).toEqual([200, 'application/x-www-form-urlencoded']);
    expect((await token({ params: exchangeParams(used) })).body).toMatchObject({ code: 1, error: 'code_is_dead' });
  });

  it('refreshes at its own address, with the declared grace', async () => {
    const first = (await exchange()).body['data'] as Record<string, string>;
    const renew = (refresh_token: string | undefined, path = '/renew') =>
      token({ path, params: { grant_type: 'refresh_token', refresh_token, kind: 'renew' } });
    const second = (await renew(first['refresh_token'])).body['data'] as Record<string, string>;
    expect(second['refresh_token']).not.toBe(first['refresh_token']);
    expect((await renew(first['refresh_token'])).body['code']).toBe(0);
    clock.advance(61_000);
    expect((await renew(first['refresh_token'])).body).toMatchObject({ code: 1, error: 'code_is_dead' });
    expect((await renew(second['refresh_token'], '/acme/token')).body['error_description']).toMatch(/not the address/);
  });

  it('puts the token into another of its places', async () => {
    odd.setKnob('tokenPlace', 1);
    const { body } = await exchange();
    odd.setKnob('tokenPlace', 0);
    expect(body['user']).toMatchObject({ token: expect.any(String), refresh_token: expect.any(String) });
    expect((body['data'] as Record<string, unknown>)['token']).toBeUndefined();
  });
});

describe('the API', () => {
  const get = (headers: Record<string, string>) => fetch(`${odd.url}/v2/anything`, { headers });

  it('checks scheme, place and version', async () => {
    const { token: accessToken } = (await exchange()).body['data'] as Record<string, string>;
    expect((await get({ 'x-odd': `Odd ${accessToken}`, 'odd-version': '7' })).status).toBe(200);
    expect((await get({ 'x-odd': `Odd ${accessToken}` })).status).toBe(400);
    expect((await get({ 'x-odd': `Bearer ${accessToken}`, 'odd-version': '7' })).status).toBe(401);
    expect((await get({ authorization: `Odd ${accessToken}`, 'odd-version': '7' })).status).toBe(401);
    expect((await get({ 'x-odd': 'Odd nothing', 'odd-version': '7' })).status).toBe(401);
  });

  it('revokes by RFC 7009: with the client, and unknown tokens too', async () => {
    const data = (await exchange()).body['data'] as Record<string, string>;
    const revoke = (secret: string, text: string) =>
      fetch(`${odd.url}/revoke`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${app.clientId}:${secret}`)}` },
        body: new URLSearchParams({ token: text }),
      });
    const api = () => get({ 'x-odd': `Odd ${data['token']}`, 'odd-version': '7' });
    expect((await revoke('wrong', data['token'] ?? '')).status).toBe(401);
    expect((await api()).status).toBe(200);
    expect((await revoke(app.liveSecret, 'unknown')).status).toBe(200);
    expect((await revoke(app.liveSecret, data['refresh_token'] ?? '')).status).toBe(200);
    expect((await api()).status).toBe(401);
  });

  it('remembers requests with their values', async () => {
    await get({ 'x-odd': 'Odd remembered' });
    expect(odd.seen().at(-1)).toMatchObject({
      method: 'GET',
      path: '/v2/anything',
      headers: { 'x-odd': 'Odd remembered' },
      status: 401,
    });
  });
});

describe('a provider', () => {
  it('behind a fragment, or of a mode without an emulator, is refused', async () => {
    const fragment = structuredClone(ODD);
    if (fragment.oauth2 === undefined) throw new Error('no OAuth 2');
    fragment.oauth2.authorize = { url: 'https://odd.example/#/authorize', paramsIn: 'fragment' };
    await expect(startDerived(fragment)).rejects.toThrow(/behind a fragment/);
    expect(() => derived.get('nobody')).toThrow(/No emulator of "nobody"/);
  });
});

describe('templates read backwards', () => {
  it('capture values', () => {
    expect(capture('Bearer ${accessToken}', 'Bearer a.b c')).toEqual({ accessToken: 'a.b c' });
    expect(capture('a.${x}', 'aXb')).toBeUndefined();
    expect(capture('${a} || ${b}', 'v')).toEqual({ a: 'v' });
    expect(capture('${a}:${a}', 'v:v')).toEqual({ a: 'v' });
    expect(capture('${a}:${a}', 'v:w')).toBeUndefined();
    expect(capture('plain', 'plain')).toEqual({});
  });

  it('give paths', () => {
    expect(pathPatterns('https://${connectionConfig.shop}.x.example/a/${clientId}/b?c=d', {})).toEqual([
      '/a/:client_id/b',
    ]);
    expect(pathPatterns('https://x.example', {})).toEqual(['/']);
    expect(pathPatterns('${connectionConfig.origin}/token || https://x.example/t', {})).toEqual(['/token', '/t']);
    expect(pathPatterns('${integrationConfig.url}/more', { url: 'https://own.example/base/' })).toEqual(['/base/more']);
    expect(pathPatterns('${integrationConfig.url}', {})).toEqual([]);
  });

  it('set values deep inside', () => {
    const body = {};
    setAt(body, 'a.b', 1);
    setAt(body, 'a.c.d', 2);
    setAt(body, 'e', 3);
    expect(body).toEqual({ a: { b: 1, c: { d: 2 } }, e: 3 });
  });
});
