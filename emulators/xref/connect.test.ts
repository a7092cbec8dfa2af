import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlainBrowser } from '../engine/browser-testing.ts';
import {
  createManualClock,
  type EmulatorEvent,
  type EmulatorHandle,
  type Emulators,
  startEmulators,
} from '../index.ts';

const REDIRECT = 'https://app.example/xref';
const clock = createManualClock();

let emulators: Emulators;
let xref: EmulatorHandle;
let app: ReturnType<EmulatorHandle['registerApp']>;
let browser: PlainBrowser;

beforeEach(async () => {
  emulators = await startEmulators({ only: 'xref', clock });
  xref = emulators.get('xref');
  app = xref.registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
  browser = new PlainBrowser(emulators.url);
});
afterEach(() => emulators.close());

const users = () => xref.users();
const authorizeUrl = (query = '?state=s1') => `${xref.url}/oauth/open-api/${app.clientId}${query}`;

async function exchange(fields: Record<string, string>) {
  const response = await fetch(`${xref.url}/oauth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id: app.clientId, client_secret: app.liveSecret, ...fields }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

async function connect(userIndex: number) {
  const person = new PlainBrowser(emulators.url);
  const back = await person.connect(authorizeUrl(), users()[userIndex]?.id ?? '');
  return (await exchange({ code: back.searchParams.get('code') ?? '' })).body;
}

const call = (path: string, authorization: string, method = 'POST') =>
  fetch(`${xref.url}${path}`, { method, headers: { authorization } });

describe('xref', () => {
  it('sends back state and code only, whatever else was asked for', async () => {
    const url = authorizeUrl('?state=s%2B1&redirect_uri=https%3A%2F%2Fevil.example&scope=all&response_type=code');
    const back = await browser.connect(url, users()[0]?.id ?? '');
    expect(back.origin + back.pathname).toBe(REDIRECT);
    expect([...back.searchParams.keys()]).toEqual(['state', 'code']);
    expect(back.searchParams.get('state')).toBe('s+1');
  });

  it('exchanges JSON without grant_type, and refuses a form', async () => {
    const back = await browser.connect(authorizeUrl(), users()[0]?.id ?? '');
    const code = back.searchParams.get('code') ?? '';
    const form = await fetch(`${xref.url}/oauth/tokens`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code }),
    });
    expect(form.status).toBe(415);
    const { status, body } = await exchange({ code });
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[0-9a-f]{40}$/),
      xref_account_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect((await exchange({ code })).body).toEqual({ error: 'invalid_grant' });
    expect((await exchange({ code, client_secret: 'x' })).status).toBe(401);
  });

  it('takes a form when the knob tokenBodyFormats allows it', async () => {
    xref.setKnob('tokenBodyFormats', ['form', 'json']);
    const code = new URL(xref.consent(authorizeUrl())).searchParams.get('code') ?? '';
    const body = new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code });
    expect((await fetch(`${xref.url}/oauth/tokens`, { method: 'POST', body })).status).toBe(200);
  });

  it('reports a denial with error and state', async () => {
    const back = await browser.connect(authorizeUrl(), users()[0]?.id ?? '', 'deny');
    expect(back.search).toBe('?error=access_denied&state=s1');
  });

  it('answers to the scheme word Token and to no other', async () => {
    const { access_token: token = '', xref_account_id: accountId } = await connect(0);
    const good = await call('/auth', `Token ${token}`);
    expect([good.status, await good.json()]).toEqual([200, { xref_account_id: accountId }]);
    expect((await call('/auth', `Bearer ${token}`)).status).toBe(401);
    expect((await call('/auth', `Basic ${Buffer.from(`${token}:`).toString('base64')}`)).status).toBe(401);
    expect((await call('/requests', `Token ${token}`, 'GET')).status).toBe(200);
  });

  it('gives two users of one account the same account id and two living tokens', async () => {
    const [first, second] = [await connect(0), await connect(1)];
    expect(users()[1]?.accountId).toBe(users()[0]?.accountId);
    expect(second.xref_account_id).toBe(first.xref_account_id);
    expect(second.access_token).not.toBe(first.access_token);
    for (const { access_token: token } of [first, second])
      expect((await call('/auth', `Token ${token}`)).status).toBe(200);
    const other = await connect(2);
    expect(other.xref_account_id).not.toBe(first.xref_account_id);
  });

  it('echoes the token on deauthorize, tells once, and leaves the other user’s token alone', async () => {
    const events: EmulatorEvent[] = [];
    const [{ access_token: token = '' }, { access_token: other = '' }] = [await connect(0), await connect(1)];
    const told = new Promise<void>((resolve) => {
      xref.onEvent((event) => {
        events.push(event);
        resolve();
      });
    });
    const reply = await call('/oauth/deauthorize', `Token ${token}`);
    expect([reply.status, await reply.json()]).toEqual([200, { access_token: token }]);
    await told;
    expect((await call('/oauth/deauthorize', `Token ${token}`)).status).toBe(401);
    expect((await call('/auth', `Token ${token}`)).status).toBe(401);
    expect((await call('/auth', `Token ${other}`)).status).toBe(200);
    expect(events).toMatchObject([{ type: 'token.deauthorized', accessToken: token, emulator: 'xref' }]);
  });

  it('lives at the root of its address when started alone', async () => {
    expect(xref.url).toBe(emulators.url);
    expect(() => emulators.get('checkr')).toThrow(/not started/);
    expect((await fetch(`${emulators.url}/`, { redirect: 'manual' })).headers.get('location')).toBe('/developer');
  });
});
