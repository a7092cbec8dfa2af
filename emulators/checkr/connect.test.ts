import { get as httpGet, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { PlainBrowser } from '../engine/browser-testing.ts';
import { basic, REDIRECT, useCheckr } from './connect-testing.ts';

const stage = useCheckr();
const { authorizeUrl, call, clock, exchange, getCode, getToken, user } = stage;

describe('connect', () => {
  it('leads from the path client id over sign-in and consent to a callback with scope, code and state', async () => {
    const back = await stage.browser.connect(authorizeUrl('state=a%26b%20c'), user(0).id);
    expect(back.origin + back.pathname).toBe(REDIRECT);
    expect([...back.searchParams.keys()]).toEqual(['scope', 'code', 'state']);
    expect(back.searchParams.get('scope')).toBe('read_write');
    expect(back.searchParams.get('state')).toBe('a&b c');
    expect(back.searchParams.get('code')).toMatch(/^[0-9a-f]{40}$/);
  });

  it('exchanges by form and by JSON, with and without grant_type, for the whole account', async () => {
    for (const [format, extra] of [
      ['form', {}],
      ['json', {}],
      ['form', { grant_type: 'authorization_code' }],
      ['json', { grant_type: 'authorization_code', redirect_uri: REDIRECT, code_verifier: 'x' }],
    ] as const) {
      const { status, body, headers } = await exchange({ code: await getCode(1), ...extra }, format);
      expect(status).toBe(200);
      expect(body).toEqual({
        access_token: expect.stringMatching(/^[0-9a-f]{40}$/),
        scope: 'read_write',
        checkr_account_id: user(0).accountId,
      });
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect(user(1).accountId).toBe(user(0).accountId);
  });

  it('answers GET /v1/account by Basic with an empty password and by nothing else', async () => {
    const token = await getToken();
    const good = await call('GET', '/v1/account', { authorization: basic(token) });
    expect(good.status).toBe(200);
    expect(await good.json()).toMatchObject({ id: user(0).accountId, object: 'account', authorized: true });
    const refused = [
      { authorization: `Bearer ${token}` },
      { authorization: `Basic ${Buffer.from(`${token}:x`).toString('base64')}` },
      { authorization: `Basic ${Buffer.from(token).toString('base64')}` },
      { authorization: basic('0'.repeat(40)) },
      {},
    ];
    for (const headers of refused) {
      const response = await call('GET', '/v1/account', headers as Record<string, string>);
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: 'Bad authentication error' });
    }
  });

  it('takes the secret key of the account itself', async () => {
    const { secretKey = '', publishableKey = '' } = stage.checkr.accounts()[1]?.apiKey ?? {};
    const good = await call('GET', '/v1/account', { authorization: basic(secretKey) });
    expect(await good.json()).toMatchObject({ id: stage.checkr.accounts()[1]?.id });
    expect((await call('GET', '/v1/account', { authorization: basic(publishableKey) })).status).toBe(401);
  });

  it('blocks a client that does not say who it is, unless told otherwise', async () => {
    const authorization = basic(await getToken());
    const bare = async () => {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        httpGet(`${stage.checkr.url}/v1/account`, { headers: { authorization } }, resolve).once('error', reject);
      });
      return [response.statusCode, await json(response)];
    };
    expect(await bare()).toEqual([403, { error: 'Request blocked' }]);
    stage.checkr.setKnob('requireUserAgent', false);
    expect(await bare()).toEqual([200, expect.objectContaining({ object: 'account' })]);
  });

  it('gives one token for a code that comes many times at once', async () => {
    const code = await getCode();
    const answers = await Promise.all(Array.from({ length: 6 }, () => exchange({ code })));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400, 400, 400, 400, 400]);
    expect(stage.checkr.grants()).toHaveLength(1);
  });

  it('takes the misplaced colon of a known sample only with the knob basicLenient', async () => {
    const authorization = `Basic ${Buffer.from(await getToken()).toString('base64')}:`;
    expect((await call('GET', '/v1/account', { authorization })).status).toBe(401);
    stage.checkr.setKnob('basicLenient', true);
    expect((await call('GET', '/v1/account', { authorization })).status).toBe(200);
  });

  it('lets the secret decide between live and test tokens', async () => {
    await exchange({ code: await getCode() });
    await exchange({ code: await getCode(), client_secret: stage.app.testSecret });
    expect(stage.checkr.grants().map((grant) => grant.mode)).toEqual(['live', 'test']);
  });

  it.each([
    ['/authorize/ID/signin', 'scope=read_write&state=s'],
    ['/oauth/authorize/ID', 'scope=read_write'],
    [
      '/authorize/ID',
      'response_type=code&client_id=ID&redirect_uri=https%3A%2F%2Fapp.example%2Fother&code_challenge=x',
    ],
  ])('knows the address %s?%s', async (path, query) => {
    const url = authorizeUrl(query.replace('ID', stage.app.clientId), path.replace('ID', stage.app.clientId));
    const back = await stage.browser.connect(url, user(0).id);
    expect(back.pathname).toBe(query.includes('other') ? '/other' : '/callback');
    expect(back.searchParams.get('state')).toBe(query.includes('state=s') ? 's' : null);
    expect((await exchange({ code: back.searchParams.get('code') ?? '' })).status).toBe(200);
  });

  it('signs a new company up, uncredentialed, and goes on to consent', async () => {
    const page = await stage.browser.open(authorizeUrl('state=s', `/authorize/${stage.app.clientId}/signup`));
    const fields = { company: 'Kite & Co', full_name: 'Ann <b>Kite</b>', email: 'ann@kite.example', password: 'pw' };
    const consent = await stage.browser.press(page, undefined, fields);
    expect(consent.html).toContain('wants to connect to Kite &#38; Co');
    expect(consent.html).not.toContain('<b>Kite</b>');
    const back = await stage.browser.press(consent, ['decision', 'allow']);
    const { body } = await exchange({ code: new URL(back.location ?? '').searchParams.get('code') ?? '' });
    expect(stage.checkr.accounts().find((account) => account.id === body.checkr_account_id)).toMatchObject({
      name: 'Kite & Co',
      ready: false,
    });
  });

  it('signs in by email and password, and refuses a wrong one', async () => {
    const page = await stage.browser.open(authorizeUrl());
    const { email, password } = user(2);
    const wrong = await stage.browser.press(page, undefined, { email, password: `${password}x` });
    expect(wrong.status).toBe(401);
    const consent = await stage.browser.press(wrong, undefined, { email: email.toUpperCase(), password });
    expect(consent.html).toContain('Pinecone Couriers');
    expect(consent.html).toContain('not credentialed yet');
  });

  it('goes straight to consent when signed in, and lets the user change', async () => {
    await stage.browser.connect(authorizeUrl(), user(0).id);
    const consent = await stage.browser.open(authorizeUrl());
    expect(consent.html).toContain('name="decision" value="allow"');
    const again = await stage.browser.press(consent, ['action', 'sign-out']);
    expect(again.html).toContain('name="user"');
  });
});

describe('refusals', () => {
  it('reports a denial with error and without code', async () => {
    const back = await stage.browser.connect(authorizeUrl(), user(0).id, 'deny');
    expect(Object.fromEntries(back.searchParams)).toEqual({ error: 'access_denied', state: 'st-1' });
    stage.checkr.setKnob('denyErrorCode', 'denied');
    stage.checkr.setKnob('sendErrorDescription', true);
    stage.checkr.setKnob('echoState', false);
    const other = await stage.browser.connect(authorizeUrl(), user(0).id, 'deny');
    expect(Object.fromEntries(other.searchParams)).toEqual({
      error: 'denied',
      error_description: 'The customer denied the request.',
    });
  });

  it('reports an unknown scope to the app, before anybody signs in', async () => {
    const visit = await stage.browser.open(authorizeUrl('scope=everything&state=s'));
    expect(visit.location).toBe(`${REDIRECT}?error=invalid_scope&state=s`);
  });

  it.each([
    ['an unknown client', 404, '', `/authorize/${'0'.repeat(24)}`],
    ['a redirect to another host', 400, 'redirect_uri=https%3A%2F%2Fevil.example%2Fcallback', undefined],
    ['a redirect without TLS', 400, 'redirect_uri=http%3A%2F%2Fapp.example%2Fcallback', undefined],
    ['a redirect that is no URL', 400, 'redirect_uri=javascript:alert(1)', undefined],
  ])('shows a page for %s and redirects nobody', async (_what, status, query, path) => {
    const visit = await stage.browser.open(authorizeUrl(query, path));
    expect(visit.status).toBe(status);
    expect(visit.location).toBeUndefined();
  });

  it('refuses a consent form of another session', async () => {
    const other = new PlainBrowser(stage.emulators.url);
    await other.press(await other.open(authorizeUrl()), ['user', user(0).id]);
    await stage.browser.press(await stage.browser.open(authorizeUrl()), ['user', user(1).id]);
    const foreign = await other.open(authorizeUrl());
    const visit = await stage.browser.press(foreign, ['decision', 'allow']);
    expect(visit.status).toBe(403);
    expect(visit.location).toBeUndefined();
  });

  it('refuses a code the second time, and keeps the token it gave', async () => {
    const code = await getCode();
    const first = await exchange({ code });
    const second = await exchange({ code });
    expect([second.status, second.body]).toEqual([400, { error: 'invalid_grant' }]);
    const account = await call('GET', '/v1/account', { authorization: basic(first.body.access_token ?? '') });
    expect(account.status).toBe(200);
  });

  it('refuses a code after 5 minutes', async () => {
    const code = await getCode();
    const late = await getCode();
    clock.advance(5 * 60_000 - 1);
    expect((await exchange({ code })).status).toBe(200);
    clock.advance(1);
    expect((await exchange({ code: late })).body).toEqual({ error: 'invalid_grant' });
  });

  it('refuses a code of another client, and does not spend it', async () => {
    const other = stage.checkr.registerApp({ name: 'Other', redirectUri: REDIRECT });
    const code = await getCode();
    const stolen = await exchange({ code, client_id: other.clientId, client_secret: other.liveSecret });
    expect([stolen.status, stolen.body]).toEqual([400, { error: 'invalid_grant' }]);
    expect((await exchange({ code })).status).toBe(200);
  });

  it('refuses a wrong client, a missing field and a foreign content type', async () => {
    const code = await getCode();
    const wrong = await exchange({ code, client_secret: 'nope' });
    expect([wrong.status, wrong.body]).toEqual([401, { error: 'invalid_client' }]);
    const missing = await exchange({});
    expect([missing.status, missing.body]).toEqual([400, { error: 'code is missing' }]);
    const odd = await fetch(`${stage.checkr.url}/oauth/tokens`, { method: 'POST', body: 'code=1' });
    expect(odd.status).toBe(415);
    const broken = await fetch(`${stage.checkr.url}/oauth/tokens`, {
      method: 'POST',
      body: '{"code":',
      headers: { 'content-type': 'application/json' },
    });
    expect(broken.status).toBe(400);
    expect((await exchange({ code })).status).toBe(200);
  });

  it.each([
    ['errors', { errors: ['code is missing'] }],
    ['message', { message: 'code is missing' }],
    ['oauth2', { error: 'invalid_request', error_description: 'code is missing' }],
  ])('words token errors by knob tokenErrorShape = %s', async (shape, body) => {
    stage.checkr.setKnob('tokenErrorShape', shape);
    expect((await exchange({})).body).toEqual(body);
  });
});
