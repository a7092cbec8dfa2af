import { get as httpGet, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlainBrowser } from '../engine/browser-testing.ts';
import {
  createManualClock,
  type EmulatorEvent,
  type EmulatorHandle,
  type Emulators,
  startEmulators,
} from '../index.ts';

const REDIRECT = 'https://app.example/callback';
const basic = (token: string) => `Basic ${Buffer.from(`${token}:`).toString('base64')}`;

let emulators: Emulators;
let checkr: EmulatorHandle;
let app: ReturnType<EmulatorHandle['registerApp']>;
let browser: PlainBrowser;
const clock = createManualClock();

beforeEach(async () => {
  emulators = await startEmulators({ clock });
  checkr = emulators.get('checkr');
  app = checkr.registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
  browser = new PlainBrowser(emulators.url);
});
afterEach(() => emulators.close());

const user = (index: number) => {
  const found = checkr.users()[index];
  if (found === undefined) throw new Error(`The seed has no user ${index}.`);
  return found;
};
const authorizeUrl = (query = 'state=st-1', path = `/authorize/${app.clientId}`) => `${checkr.url}${path}?${query}`;

async function exchange(fields: Record<string, string>, format: 'form' | 'json' = 'form') {
  const full = { client_id: app.clientId, client_secret: app.liveSecret, ...fields };
  const response = await fetch(`${checkr.url}/oauth/tokens`, {
    method: 'POST',
    ...(format === 'form'
      ? { body: new URLSearchParams(full) }
      : { body: JSON.stringify(full), headers: { 'content-type': 'application/json' } }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, string>,
  };
}

async function getCode(userIndex = 0): Promise<string> {
  const back = await browser.connect(authorizeUrl(), user(userIndex).id);
  return back.searchParams.get('code') ?? '';
}

async function getToken(userIndex = 0): Promise<string> {
  const { body } = await exchange({ code: await getCode(userIndex) });
  return body.access_token ?? '';
}

const call = (method: string, path: string, headers: Record<string, string>, body?: string) =>
  fetch(`${checkr.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });

const deauthorize = (token: string) => call('POST', '/oauth/deauthorize', { authorization: basic(token) });

const order = async (token: string) => {
  const headers = { authorization: basic(token), 'content-type': 'application/json' };
  const made = await call('POST', '/v1/candidates', headers, JSON.stringify({ email: 'cand@example.com' }));
  const { id } = (await made.json()) as { id: string };
  const invitation = { candidate_id: id, package: 'tasker_standard' };
  return await call('POST', '/v1/invitations', headers, JSON.stringify(invitation));
};

describe('connect', () => {
  it('leads from the path client id over sign-in and consent to a callback with scope, code and state', async () => {
    const back = await browser.connect(authorizeUrl('state=a%26b%20c'), user(0).id);
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
    const { secretKey = '', publishableKey = '' } = checkr.accounts()[1]?.apiKey ?? {};
    const good = await call('GET', '/v1/account', { authorization: basic(secretKey) });
    expect(await good.json()).toMatchObject({ id: checkr.accounts()[1]?.id });
    expect((await call('GET', '/v1/account', { authorization: basic(publishableKey) })).status).toBe(401);
  });

  it('blocks a client that does not say who it is, unless told otherwise', async () => {
    const authorization = basic(await getToken());
    const bare = async () => {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        httpGet(`${checkr.url}/v1/account`, { headers: { authorization } }, resolve).once('error', reject);
      });
      return [response.statusCode, await json(response)];
    };
    expect(await bare()).toEqual([403, { error: 'Request blocked' }]);
    checkr.setKnob('requireUserAgent', false);
    expect(await bare()).toEqual([200, expect.objectContaining({ object: 'account' })]);
  });

  it('gives one token for a code that comes many times at once', async () => {
    const code = await getCode();
    const answers = await Promise.all(Array.from({ length: 6 }, () => exchange({ code })));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400, 400, 400, 400, 400]);
    expect(checkr.grants()).toHaveLength(1);
  });

  it('takes the misplaced colon of a known sample only with the knob basicLenient', async () => {
    const authorization = `Basic ${Buffer.from(await getToken()).toString('base64')}:`;
    expect((await call('GET', '/v1/account', { authorization })).status).toBe(401);
    checkr.setKnob('basicLenient', true);
    expect((await call('GET', '/v1/account', { authorization })).status).toBe(200);
  });

  it('lets the secret decide between live and test tokens', async () => {
    await exchange({ code: await getCode() });
    await exchange({ code: await getCode(), client_secret: app.testSecret });
    expect(checkr.grants().map((grant) => grant.mode)).toEqual(['live', 'test']);
  });

  it.each([
    ['/authorize/ID/signin', 'scope=read_write&state=s'],
    ['/oauth/authorize/ID', 'scope=read_write'],
    [
      '/authorize/ID',
      'response_type=code&client_id=ID&redirect_uri=https%3A%2F%2Fapp.example%2Fother&code_challenge=x',
    ],
  ])('knows the address %s?%s', async (path, query) => {
    const url = authorizeUrl(query.replace('ID', app.clientId), path.replace('ID', app.clientId));
    const back = await browser.connect(url, user(0).id);
    expect(back.pathname).toBe(query.includes('other') ? '/other' : '/callback');
    expect(back.searchParams.get('state')).toBe(query.includes('state=s') ? 's' : null);
    expect((await exchange({ code: back.searchParams.get('code') ?? '' })).status).toBe(200);
  });

  it('signs a new company up, uncredentialed, and goes on to consent', async () => {
    const page = await browser.open(authorizeUrl('state=s', `/authorize/${app.clientId}/signup`));
    const fields = { company: 'Kite & Co', full_name: 'Ann <b>Kite</b>', email: 'ann@kite.example', password: 'pw' };
    const consent = await browser.press(page, undefined, fields);
    expect(consent.html).toContain('wants to connect to Kite &#38; Co');
    expect(consent.html).not.toContain('<b>Kite</b>');
    const back = await browser.press(consent, ['decision', 'allow']);
    const { body } = await exchange({ code: new URL(back.location ?? '').searchParams.get('code') ?? '' });
    expect(checkr.accounts().find((account) => account.id === body.checkr_account_id)).toMatchObject({
      name: 'Kite & Co',
      ready: false,
    });
  });

  it('signs in by email and password, and refuses a wrong one', async () => {
    const page = await browser.open(authorizeUrl());
    const { email, password } = user(2);
    const wrong = await browser.press(page, undefined, { email, password: `${password}x` });
    expect(wrong.status).toBe(401);
    const consent = await browser.press(wrong, undefined, { email: email.toUpperCase(), password });
    expect(consent.html).toContain('Pinecone Couriers');
    expect(consent.html).toContain('not credentialed yet');
  });

  it('goes straight to consent when signed in, and lets the user change', async () => {
    await browser.connect(authorizeUrl(), user(0).id);
    const consent = await browser.open(authorizeUrl());
    expect(consent.html).toContain('name="decision" value="allow"');
    const again = await browser.press(consent, ['action', 'sign-out']);
    expect(again.html).toContain('name="user"');
  });
});

describe('refusals', () => {
  it('reports a denial with error and without code', async () => {
    const back = await browser.connect(authorizeUrl(), user(0).id, 'deny');
    expect(Object.fromEntries(back.searchParams)).toEqual({ error: 'access_denied', state: 'st-1' });
    checkr.setKnob('denyErrorCode', 'denied');
    checkr.setKnob('sendErrorDescription', true);
    checkr.setKnob('echoState', false);
    const other = await browser.connect(authorizeUrl(), user(0).id, 'deny');
    expect(Object.fromEntries(other.searchParams)).toEqual({
      error: 'denied',
      error_description: 'The customer denied the request.',
    });
  });

  it('reports an unknown scope to the app, before anybody signs in', async () => {
    const visit = await browser.open(authorizeUrl('scope=everything&state=s'));
    expect(visit.location).toBe(`${REDIRECT}?error=invalid_scope&state=s`);
  });

  it.each([
    ['an unknown client', 404, '', `/authorize/${'0'.repeat(24)}`],
    ['a redirect to another host', 400, 'redirect_uri=https%3A%2F%2Fevil.example%2Fcallback', undefined],
    ['a redirect without TLS', 400, 'redirect_uri=http%3A%2F%2Fapp.example%2Fcallback', undefined],
    ['a redirect that is no URL', 400, 'redirect_uri=javascript:alert(1)', undefined],
  ])('shows a page for %s and redirects nobody', async (_what, status, query, path) => {
    const visit = await browser.open(authorizeUrl(query, path));
    expect(visit.status).toBe(status);
    expect(visit.location).toBeUndefined();
  });

  it('refuses a consent form of another session', async () => {
    const other = new PlainBrowser(emulators.url);
    await other.press(await other.open(authorizeUrl()), ['user', user(0).id]);
    await browser.press(await browser.open(authorizeUrl()), ['user', user(1).id]);
    const foreign = await other.open(authorizeUrl());
    const visit = await browser.press(foreign, ['decision', 'allow']);
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
    const other = checkr.registerApp({ name: 'Other', redirectUri: REDIRECT });
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
    const odd = await fetch(`${checkr.url}/oauth/tokens`, { method: 'POST', body: 'code=1' });
    expect(odd.status).toBe(415);
    const broken = await fetch(`${checkr.url}/oauth/tokens`, {
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
    checkr.setKnob('tokenErrorShape', shape);
    expect((await exchange({})).body).toEqual(body);
  });
});

describe('credentialing', () => {
  it('refuses orders with 403 until the account is credentialed, then takes them', async () => {
    const events: EmulatorEvent[] = [];
    checkr.onEvent((event) => void (event.type === 'resource' || events.push(event)));
    const token = await getToken(2);
    expect(events).toEqual([]);
    const before = await order(token);
    expect(before.status).toBe(403);
    expect(await before.json()).toEqual({ error: expect.stringContaining('not approved for production') });
    await checkr.makeReady(user(2).accountId);
    expect(events).toMatchObject([
      {
        type: 'account.credentialed',
        emulator: 'checkr',
        account: { id: user(2).accountId },
        app: { name: 'Shiftly' },
      },
    ]);
    expect((await order(token)).status).toBe(201);
  });

  it('tells of a credentialed account after the token, or before it with early-event', async () => {
    const told: [string, number][] = [];
    let answered = 0;
    const both = new Promise<void>((resolve) => {
      checkr.onEvent((event) => {
        told.push([event.type, answered]);
        if (told.length === 2) resolve();
      });
    });
    checkr.setKnob('credentialing', 'early-event');
    const code = await getCode(2);
    await exchange({ code });
    answered += 1;
    checkr.setKnob('credentialing', 'by-account');
    const second = await getCode(0);
    await exchange({ code: second });
    await both;
    expect(told[0]).toEqual(['account.credentialed', 0]);
    expect(told.map(([type]) => type)).toEqual(['account.credentialed', 'account.credentialed']);
  });

  it('credentials an account some seconds after the token with credentialing = after', async () => {
    const told = new Promise<EmulatorEvent>((resolve) => {
      checkr.onEvent((event) => void (event.type === 'account.credentialed' && resolve(event)));
    });
    checkr.setKnob('credentialing', 'after');
    checkr.setKnob('credentialAfterSec', 90);
    const token = await getToken(2);
    clock.advance(89_999);
    expect((await order(token)).status).toBe(403);
    clock.advance(1);
    expect(await told).toMatchObject({ type: 'account.credentialed' });
    expect(checkr.accounts()[1]?.ready).toBe(true);
  });
});

describe('disconnect', () => {
  it('echoes the token, tells once, and answers 401 afterwards', async () => {
    const events: EmulatorEvent[] = [];
    const token = await getToken();
    const told = new Promise<void>((resolve) => {
      checkr.onEvent((event) => {
        events.push(event);
        resolve();
      });
    });
    const reply = await deauthorize(token);
    expect([reply.status, await reply.json()]).toEqual([200, { access_token: token }]);
    await told;
    const again = await deauthorize(token);
    expect([again.status, await again.json()]).toEqual([401, { error: 'Bad authentication error' }]);
    expect((await call('GET', '/v1/account', { authorization: basic(token) })).status).toBe(401);
    expect(events).toMatchObject([
      { type: 'token.deauthorized', accessToken: token, by: 'app', app: { name: 'Shiftly' } },
    ]);
    const other = await getToken();
    expect(other).not.toBe(token);
    expect((await call('GET', '/v1/account', { authorization: basic(other) })).status).toBe(200);
  });

  it('ends a connection from the customer’s side, once', async () => {
    const token = await getToken();
    const events: EmulatorEvent[] = [];
    checkr.onEvent((event) => void events.push(event));
    const [grant] = checkr.grants();
    await checkr.revokeGrant(grant?.id ?? '');
    await checkr.revokeGrant(grant?.id ?? '');
    expect(events).toMatchObject([{ type: 'token.deauthorized', accessToken: token, by: 'customer' }]);
    expect((await call('GET', '/v1/account', { authorization: basic(token) })).status).toBe(401);
  });

  it('gives another account id on reconnect only with the knob', async () => {
    const first = await exchange({ code: await getCode() });
    const same = await exchange({ code: await getCode() });
    expect(same.body.checkr_account_id).toBe(first.body.checkr_account_id);
    checkr.setKnob('rotateAccountIdOnReconnect', true);
    const rotated = await exchange({ code: await getCode() });
    expect(rotated.body.checkr_account_id).not.toBe(first.body.checkr_account_id);
    const account = await call('GET', '/v1/account', { authorization: basic(first.body.access_token ?? '') });
    expect(await account.json()).toMatchObject({ id: rotated.body.checkr_account_id });
  });
});

describe('worlds', () => {
  it('shares nothing between production and staging', async () => {
    const staging = emulators.get('checkr-staging');
    const token = await getToken();
    expect(staging.apps()).toEqual([]);
    const url = `${staging.url}/v1/account`;
    expect((await fetch(url, { headers: { authorization: basic(token) } })).status).toBe(401);
    const visit = await browser.open(`${staging.url}/authorize/${app.clientId}`);
    expect(visit.status).toBe(404);
  });

  it('has nodes only with the knob hierarchyEnabled', async () => {
    const authorization = basic(await getToken());
    expect((await call('GET', '/v1/nodes', { authorization })).status).toBe(403);
    checkr.setKnob('hierarchyEnabled', true);
    expect((await call('GET', '/v1/nodes', { authorization })).status).toBe(200);
  });

  it('tells what happens to resources', async () => {
    const authorization = basic(await getToken());
    const told = new Promise<EmulatorEvent>((resolve) => {
      checkr.onEvent((event) => void (event.type === 'resource' && resolve(event)));
    });
    await call(
      'POST',
      '/v1/candidates',
      { authorization },
      new URLSearchParams({ email: 'new@example.com' }).toString(),
    );
    expect(await told).toMatchObject({
      account: { id: user(0).accountId },
      resource: { type: 'candidate.created', object: { email: 'new@example.com' } },
    });
  });

  it('lists pages, reads bracketed forms, and answers unknown paths in the provider’s shape', async () => {
    const authorization = basic(await getToken());
    const list = (await (await call('GET', '/v1/packages', { authorization })).json()) as { object: string };
    expect(list.object).toBe('list');
    const form = 'email=f%40example.com&work_locations[][state]=CA&work_locations[][city]=Oakland&metadata[ref]=7';
    const type = 'application/x-www-form-urlencoded';
    const made = await call('POST', '/v1/candidates', { authorization, 'content-type': type }, form);
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({
      work_locations: [{ state: 'CA', city: 'Oakland' }],
      metadata: { ref: '7' },
    });
    const unknown = await call('GET', '/v1/nothing', { authorization });
    expect([unknown.status, await unknown.json()]).toEqual([404, { error: 'Resource not found' }]);
    expect((await call('GET', '/v1/account', { authorization })).headers.get('x-ratelimit-limit')).toBe('1200');
  });
});
