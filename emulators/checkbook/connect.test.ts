import * as oauth from 'oauth4webapi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlainBrowser } from '../engine/browser-testing.ts';
import {
  createManualClock,
  type EmulatorEvent,
  type EmulatorHandle,
  type Emulators,
  startEmulators,
} from '../index.ts';

const REDIRECT = 'https://app.example/checkbook';
const DAYS_180 = 15_552_000;
const PLAIN_HTTP = { [oauth.allowInsecureRequests]: true };

let clock: ReturnType<typeof createManualClock>;
let emulators: Emulators;
let checkbook: EmulatorHandle;
let app: ReturnType<EmulatorHandle['registerApp']>;
let browser: PlainBrowser;
let server: oauth.AuthorizationServer;
let client: oauth.Client;

beforeEach(async () => {
  clock = createManualClock();
  emulators = await startEmulators({ clock });
  checkbook = emulators.get('checkbook');
  app = checkbook.registerApp({ name: 'Payday', redirectUri: REDIRECT });
  browser = new PlainBrowser(emulators.url);
  server = { issuer: checkbook.url, token_endpoint: `${checkbook.url}/web/v1/auth/oauth/token` };
  client = { client_id: app.clientId };
});
afterEach(() => emulators.close());

const asked = (scope = 'check') => ({
  client_id: app.clientId,
  response_type: 'code',
  scope,
  redirect_uri: REDIRECT,
  state: 's1',
});
const authorizeUrl = (query: Record<string, string>) =>
  `${checkbook.url}/oauth/authorize?${new URLSearchParams(query).toString()}`;
const auth = () => oauth.ClientSecretPost(app.liveSecret);

async function connect(scope = 'check') {
  const back = await browser.connect(authorizeUrl(asked(scope)), checkbook.users()[0]?.id ?? '');
  const params = oauth.validateAuthResponse(server, client, back, 's1');
  const response = await oauth.authorizationCodeGrantRequest(server, client, auth(), params, REDIRECT, oauth.nopkce, {
    ...PLAIN_HTTP,
    additionalParameters: { scope },
  });
  return await oauth.processAuthorizationCodeResponse(server, client, response);
}

async function refresh(token: string | undefined) {
  const response = await oauth.refreshTokenGrantRequest(server, client, auth(), token ?? '', PLAIN_HTTP);
  return await oauth.processRefreshTokenResponse(server, client, response);
}

async function post(fields: Record<string, string>, path = '/web/v1/auth/oauth/token') {
  const response = await fetch(`${checkbook.url}${path}`, { method: 'POST', body: new URLSearchParams(fields) });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

async function status(token: string | undefined, path = '/v3/user') {
  return (await fetch(`${checkbook.url}${path}`, { headers: { authorization: `bearer ${token}` } })).status;
}

const send = (token: string | undefined, headers: Record<string, string> = {}, amount = 12.5) =>
  fetch(`${checkbook.url}/v3/check/digital`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ recipient: 'payee@example.com', name: 'Payee', amount }),
  });

const id = async (response: Response) => ((await response.json()) as { id: string }).id;

describe('authorize', () => {
  it.each(['client_id', 'response_type', 'scope', 'redirect_uri'])('shows an error page without %s', async (name) => {
    const { [name as 'scope']: _left, ...query } = asked();
    const visit = await browser.open(authorizeUrl(query));
    expect(visit.status).toBe(400);
    expect(visit.html).toContain(name);
    expect(visit.location).toBeUndefined();
  });

  it('redirects nobody to an address that is not exactly the registered one', async () => {
    const visit = await browser.open(authorizeUrl({ ...asked(), redirect_uri: `${REDIRECT}/` }));
    expect([visit.status, visit.location]).toEqual([400, undefined]);
  });

  it.each(['check check_receive', 'everything'])('reports scope "%s" as invalid', async (scope) => {
    const visit = await browser.open(authorizeUrl(asked(scope)));
    expect(visit.location).toBe(`${REDIRECT}?error=invalid_scope&state=s1`);
  });

  it('reports another response type to the app', async () => {
    const visit = await browser.open(authorizeUrl({ ...asked(), response_type: 'token' }));
    expect(visit.location).toBe(`${REDIRECT}?error=unsupported_response_type&state=s1`);
  });

  it('says in plain words what each scope allows', async () => {
    const page = await browser.open(authorizeUrl(asked('single-use')));
    const consent = await browser.press(page, ['user', checkbook.users()[0]?.id ?? '']);
    expect(consent.html).toContain('Send or request one check, once');
  });

  it('sends back the code, and the state unless told not to', async () => {
    const user = checkbook.users()[0]?.id ?? '';
    const back = await browser.connect(authorizeUrl(asked()), user);
    expect([...back.searchParams.keys()]).toEqual(['code', 'state']);
    expect(back.searchParams.get('code')).toMatch(/^[A-Za-z0-9]{30}$/);
    checkbook.setKnob('echoState', false);
    expect([...(await browser.connect(authorizeUrl(asked()), user)).searchParams.keys()]).toEqual(['code']);
    const denied = await browser.connect(authorizeUrl(asked()), user, 'deny');
    expect(denied.search).toBe('?error=access_denied');
  });
});

describe('token', () => {
  it('satisfies a strict client for code and refresh', async () => {
    const first = await connect();
    expect(first).toMatchObject({ token_type: 'bearer', expires_in: DAYS_180, scope: 'check' });
    expect(first.access_token).toMatch(/^[A-Za-z0-9]{30}$/);
    expect(await status(first.access_token)).toBe(200);
    const second = await refresh(first.refresh_token);
    expect(second.refresh_token).toMatch(/^[A-Za-z0-9]{30}$/);
    expect(await status(second.access_token)).toBe(200);
  });

  it('also answers at the address of before 2021', async () => {
    const code = new URL(checkbook.consent(authorizeUrl(asked()))).searchParams.get('code') ?? '';
    const fields = { ...asked(), client_secret: app.liveSecret, grant_type: 'authorization_code', code };
    expect((await post(fields, '/oauth/token')).status).toBe(200);
  });

  it('refuses an exchange that lacks or changes something, without spending the code', async () => {
    const code = new URL(checkbook.consent(authorizeUrl(asked()))).searchParams.get('code') ?? '';
    const good = {
      client_id: app.clientId,
      client_secret: app.liveSecret,
      grant_type: 'authorization_code',
      scope: 'check',
      redirect_uri: REDIRECT,
      code,
    };
    for (const name of Object.keys(good)) {
      const { status: missing, body } = await post({ ...good, [name]: '' });
      expect([name, missing, body.error]).toEqual([name, 400, 'invalid_request']);
    }
    expect((await post({ ...good, grant_type: 'password' })).body.error).toBe('unsupported_grant_type');
    expect((await post({ ...good, client_secret: 'x' })).status).toBe(401);
    expect((await post({ ...good, redirect_uri: `${REDIRECT}/` })).body.error).toBe('invalid_grant');
    expect((await post({ ...good, scope: 'check_receive' })).body.error).toBe('invalid_scope');
    expect((await post(good)).status).toBe(200);
    expect((await post(good)).body.error).toBe('invalid_grant');
  });

  it('ends tokens after 180 days, and codes after 10 minutes', async () => {
    const first = await connect();
    const code = new URL(checkbook.consent(authorizeUrl(asked()))).searchParams.get('code') ?? '';
    clock.advance(600_000);
    const late = { ...asked(), client_secret: app.liveSecret, grant_type: 'authorization_code', code };
    expect((await post(late)).body.error).toBe('invalid_grant');
    clock.advance((DAYS_180 - 600) * 1_000 - 1);
    expect(await status(first.access_token)).toBe(200);
    clock.advance(1);
    expect(await status(first.access_token)).toBe(401);
    expect(await status((await refresh(first.refresh_token)).access_token)).toBe(200);
  });

  it('moves its clock by the knob clockSkew', async () => {
    const { access_token: token } = await connect();
    checkbook.setKnob('clockSkew', DAYS_180);
    expect(await status(token)).toBe(401);
  });
});

describe('refresh habits', () => {
  const invalid = { status: 400, error: 'invalid_grant' };

  it('rotate: the old tokens die at once', async () => {
    const first = await connect();
    const second = await refresh(first.refresh_token);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await status(first.access_token)).toBe(401);
    await expect(refresh(first.refresh_token)).rejects.toMatchObject(invalid);
    expect(await status(second.access_token)).toBe(200);
  });

  it('rotate: of two parallel refreshes one wins and the other is refused', async () => {
    const first = await connect();
    const outcomes = await Promise.allSettled([refresh(first.refresh_token), refresh(first.refresh_token)]);
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(await status(won[0]?.value.access_token)).toBe(200);
  });

  it('same: the refresh token stays, old access tokens live on', async () => {
    checkbook.setKnob('refreshRotation', 'same');
    const first = await connect();
    const second = await refresh(first.refresh_token);
    expect(second.refresh_token).toBe(first.refresh_token);
    expect(await status(first.access_token)).toBe(200);
    expect(await status((await refresh(first.refresh_token)).access_token)).toBe(200);
  });

  it('grace: the old refresh token works on for graceSeconds', async () => {
    checkbook.setKnob('refreshRotation', 'grace');
    checkbook.setKnob('graceSeconds', 30);
    const first = await connect();
    const second = await refresh(first.refresh_token);
    clock.advance(29_999);
    const third = await refresh(first.refresh_token);
    expect(await status(first.access_token)).toBe(200);
    clock.advance(1);
    await expect(refresh(first.refresh_token)).rejects.toMatchObject(invalid);
    expect(await status(first.access_token)).toBe(401);
    clock.advance(60_000);
    expect(await status((await refresh(third.refresh_token)).access_token)).toBe(200);
    expect(third.refresh_token).not.toBe(second.refresh_token);
  });

  it('family: reuse of an old refresh token revokes the whole grant', async () => {
    checkbook.setKnob('refreshRotation', 'family');
    const events: EmulatorEvent[] = [];
    checkbook.onEvent((event) => void events.push(event));
    const first = await connect();
    const second = await refresh(first.refresh_token);
    expect(await status(second.access_token)).toBe(200);
    await expect(refresh(first.refresh_token)).rejects.toMatchObject(invalid);
    expect(await status(second.access_token)).toBe(401);
    await expect(refresh(second.refresh_token)).rejects.toMatchObject(invalid);
    expect(checkbook.grants()[0]?.state).toBe('revoked');
  });

  it('wants the secret for a refresh unless told not to', async () => {
    const first = await connect();
    const bare = { client_id: app.clientId, grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' };
    expect((await post(bare)).body).toMatchObject({ error: 'invalid_request' });
    checkbook.setKnob('refreshRequiresSecret', false);
    expect((await post({ ...bare, client_secret: 'wrong' })).status).toBe(401);
    expect((await post(bare)).status).toBe(200);
  });

  it('refuses the refresh token of another client', async () => {
    const { refresh_token: token = '' } = await connect();
    const other = checkbook.registerApp({ name: 'Other', redirectUri: REDIRECT });
    const fields = { client_id: other.clientId, client_secret: other.liveSecret, grant_type: 'refresh_token' };
    expect((await post({ ...fields, refresh_token: token })).body.error).toBe('invalid_grant');
  });
});

describe('calls', () => {
  it('takes bearer and Bearer, the raw key pair of the account, and nothing else', async () => {
    const { access_token: token } = await connect();
    const { publishableKey = '', secretKey = '' } = checkbook.accounts()[0]?.apiKey ?? {};
    const get = async (authorization: string) =>
      (await fetch(`${checkbook.url}/v3/user`, { headers: { authorization } })).status;
    expect(await get(`bearer ${token}`)).toBe(200);
    expect(await get(`Bearer ${token}`)).toBe(200);
    expect(await get(`${publishableKey}:${secretKey}`)).toBe(200);
    expect(await get(`${publishableKey}:wrong`)).toBe(401);
    expect(await get(`wrong:${secretKey}`)).toBe(401);
    expect(await get(`Basic ${Buffer.from(`${publishableKey}:${secretKey}`).toString('base64')}`)).toBe(401);
    expect(await get(`Token ${token}`)).toBe(401);
  });

  it('spends a single-use grant on one write; reading goes on, refreshing does not', async () => {
    const { access_token: token, refresh_token: refreshToken } = await connect('single-use');
    expect(await status(token, '/v3/check')).toBe(200);
    const bad = await send(token, {}, -1);
    expect(bad.status).toBe(400);
    expect(checkbook.grants()[0]?.state).toBe('active');
    expect((await send(token, { 'idempotency-key': 'k1' })).status).toBe(201);
    expect(checkbook.grants()[0]?.state).toBe('spent');
    expect((await send(token, { 'idempotency-key': 'k1' })).status).toBe(201);
    const second = await send(token, {}, 99);
    expect([second.status, await second.json()]).toEqual([401, { message: 'invalid_token' }]);
    expect(await status(token, '/v3/check')).toBe(200);
    await expect(refresh(refreshToken)).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('spends a single-use grant on a read with singleUseConsumes = any', async () => {
    checkbook.setKnob('singleUseConsumes', 'any');
    const { access_token: token } = await connect('single-use');
    expect(await status(token, '/v3/check')).toBe(200);
    expect(await status(token, '/v3/check')).toBe(401);
  });

  it('lets check_receive read, and not send', async () => {
    const { access_token: token } = await connect('check_receive');
    expect(await status(token, '/v3/check')).toBe(200);
    expect((await send(token)).status).toBe(403);
  });

  it('replays the same key and body, and makes a second check for the same key with another body', async () => {
    const { access_token: token } = await connect();
    const first = await id(await send(token, { 'idempotency-key': 'k' }));
    expect(await id(await send(token, { 'idempotency-key': 'k' }))).toBe(first);
    expect(await id(await send(token, { 'idempotency-key': 'k' }, 13))).not.toBe(first);
  });

  it('limits per token and endpoint, told by Retry-After only', async () => {
    checkbook.setKnob('rateLimit.perMinute', 2);
    const { access_token: token } = await connect();
    const get = (path: string) => fetch(`${checkbook.url}${path}`, { headers: { authorization: `bearer ${token}` } });
    await get('/v3/check');
    const allowed = await get('/v3/check');
    expect([allowed.status, allowed.headers.get('x-ratelimit-limit')]).toEqual([200, null]);
    const refused = await get('/v3/check');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60']);
    expect((await get('/v3/user')).status).toBe(200);
    clock.advance(60_000);
    expect((await get('/v3/check')).status).toBe(200);
  });

  it('has no revocation call; the customer’s own revocation ends the token', async () => {
    const { access_token: token } = await connect();
    const headers = { authorization: `bearer ${token}` };
    expect((await fetch(`${checkbook.url}/oauth/deauthorize`, { method: 'POST', headers })).status).toBe(404);
    await checkbook.revokeGrant(checkbook.grants()[0]?.id ?? '');
    expect(await status(token)).toBe(401);
  });

  it('keeps the sandbox apart', async () => {
    const { access_token: token } = await connect();
    const url = `${emulators.get('checkbook-sandbox').url}/v3/user`;
    expect((await fetch(url, { headers: { authorization: `bearer ${token}` } })).status).toBe(401);
  });
});
