import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type EmulatorName, type Emulators, startEmulators } from '../index.ts';
import { FAULT_NAMES } from './faults.ts';

const REDIRECT = 'https://app.example/callback';

let clock: ReturnType<typeof createManualClock>;
let emulators: Emulators;

beforeEach(async () => {
  // 09:30:15, so that the next full minute is 45 seconds away.
  clock = createManualClock(Date.UTC(2026, 10, 2, 9, 30, 15));
  emulators = await startEmulators({ clock });
});
afterEach(() => emulators.close());

/** The same few steps at each of the three providers. */
function visitor(name: EmulatorName) {
  const emulator = emulators.get(name);
  const app = emulator.ensureApp('Shiftly', { redirectUri: REDIRECT });
  const isCheckbook = name.startsWith('checkbook');
  const scope = isCheckbook ? 'check' : 'read_write';
  const path = isCheckbook
    ? '/oauth/authorize'
    : name === 'xref'
      ? `/oauth/open-api/${app.clientId}`
      : `/authorize/${app.clientId}`;
  const query = new URLSearchParams({ client_id: app.clientId, response_type: 'code', scope, redirect_uri: REDIRECT });
  const authorizeUrl = `${emulator.url}${path}?${query.toString()}`;
  const tokenUrl = `${emulator.url}${isCheckbook ? '/web/v1/auth/oauth/token' : '/oauth/tokens'}`;
  const fields = { client_id: app.clientId, client_secret: app.liveSecret };

  const newCode = () => new URL(emulator.consent(authorizeUrl)).searchParams.get('code') ?? '';
  const postToken = (body: Record<string, string>, init: RequestInit = {}) =>
    name === 'xref'
      ? fetch(tokenUrl, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
          ...init,
        })
      : fetch(tokenUrl, { method: 'POST', body: new URLSearchParams(body), ...init });
  const exchange = (code: string, init?: RequestInit) =>
    postToken({ ...fields, grant_type: 'authorization_code', code, scope, redirect_uri: REDIRECT }, init);
  const refresh = (token: string) => postToken({ ...fields, grant_type: 'refresh_token', refresh_token: token });
  const connect = async () => {
    const body = (await (await exchange(newCode())).json()) as { access_token: string; refresh_token: string };
    const authorization =
      name === 'xref'
        ? `Token ${body.access_token}`
        : isCheckbook
          ? `bearer ${body.access_token}`
          : `Basic ${Buffer.from(`${body.access_token}:`).toString('base64')}`;
    const call = (at: string, init: RequestInit = {}) =>
      fetch(`${emulator.url}${at}`, {
        ...init,
        headers: { authorization, ...(init.headers as Record<string, string>) },
      });
    return { ...body, call };
  };
  return { emulator, authorizeUrl, newCode, exchange, refresh, connect };
}

const api = { checkr: '/v1/account', xref: '/users', checkbook: '/v3/user' } as const;
const names = ['checkr', 'xref', 'checkbook'] as const;

describe.each(names)('token faults at %s', (name) => {
  it('lost-reply: the code is spent and the tokens exist, nobody hears of it', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    const code = newCode();
    emulator.setFault({ name: 'lost-reply', on: 'token' });
    await expect(exchange(code)).rejects.toThrow();
    expect(emulator.grants()).toHaveLength(1);
    expect(emulator.tokenRequestCount()).toBe(1);
    expect(emulator.requests().at(-1)?.status).toBe(0);
    expect((await exchange(code)).status).toBe(400);
  });

  it('reset: the connection is cut and nothing has happened', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    const code = newCode();
    emulator.setFault({ name: 'reset', on: 'token' });
    await expect(exchange(code)).rejects.toThrow();
    expect(emulator.grants()).toHaveLength(0);
    expect((await exchange(code)).status).toBe(200);
  });

  it('slow: the code is spent although the client has given up', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    const code = newCode();
    emulator.setFault({ name: 'slow', on: 'token', delayMs: 60_000 });
    const impatience = new AbortController();
    const waiting = exchange(code, { signal: impatience.signal });
    await expect.poll(() => emulator.grants().length).toBe(1);
    impatience.abort();
    await expect(waiting).rejects.toThrow();
    expect((await exchange(code)).status).toBe(400);
  });

  it('slow: the answer comes when the time has passed', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    emulator.setFault({ name: 'slow', on: 'token' });
    let answered = false;
    const waiting = exchange(newCode()).then((response) => {
      answered = true;
      return response.status;
    });
    await expect.poll(() => emulator.grants().length).toBe(1);
    clock.advance(9_999);
    expect(answered).toBe(false);
    await expect
      .poll(() => {
        clock.advance(1);
        return answered;
      })
      .toBe(true);
    expect(await waiting).toBe(200);
  });

  it('truncated: the answer stops in the middle, its effect stays', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    emulator.setFault({ name: 'truncated', on: 'token' });
    const response = await exchange(newCode());
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect(emulator.grants()).toHaveLength(1);
  });

  it.each([
    ['server-error', 500, 'application/json'],
    ['bad-gateway-html', 502, 'text/html'],
    ['html', 200, 'text/html'],
    ['ok-with-error', 200, 'application/json'],
    ['empty', 204, null],
    ['login-redirect', 302, null],
    ['rate-limited', 429, 'application/json'],
  ] as const)('%s: answers %i and leaves the code alone', async (fault, status, type) => {
    const { emulator, newCode, exchange } = visitor(name);
    const code = newCode();
    emulator.setFault({ name: fault, on: 'token' });
    const response = await exchange(code, { redirect: 'manual' });
    expect(response.status).toBe(status);
    if (type !== null) expect(response.headers.get('content-type')).toContain(type);
    if (fault === 'ok-with-error') expect(await response.text()).toContain('error');
    if (fault === 'login-redirect') expect(response.headers.get('location')).toBe(`${emulator.url}/login`);
    expect((await exchange(code)).status).toBe(200);
  });

  it('revoked: the code is void', async () => {
    const { emulator, newCode, exchange } = visitor(name);
    const code = newCode();
    emulator.setFault({ name: 'revoked', on: 'token' });
    const response = await exchange(code);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('invalid_grant')]);
    expect((await exchange(code)).status).toBe(400);
  });

  it('revoked: the grant of a call ends before the call is answered', async () => {
    const { emulator, connect } = visitor(name);
    const { call } = await connect();
    emulator.setFault({ name: 'revoked', on: 'api' });
    expect((await call(api[name])).status).toBe(401);
    expect((await call(api[name])).status).toBe(401);
    expect(emulator.grants()[0]?.state).toBe('revoked');
  });
});

describe('refresh', () => {
  it('lost-reply: the old refresh token is dead, the new one unknown', async () => {
    const { emulator, connect, refresh } = visitor('checkbook');
    const first = await connect();
    emulator.setFault({ name: 'lost-reply', on: 'token' });
    await expect(refresh(first.refresh_token)).rejects.toThrow();
    const retried = await refresh(first.refresh_token);
    expect([retried.status, await retried.json()]).toEqual([400, expect.objectContaining({ error: 'invalid_grant' })]);
    expect((await first.call('/v3/user')).status).toBe(401);
  });

  it('lost-reply with grace: the old refresh token saves the connection', async () => {
    const { emulator, connect, refresh } = visitor('checkbook');
    emulator.setKnob('refreshRotation', 'grace');
    const first = await connect();
    emulator.setFault({ name: 'lost-reply', on: 'token' });
    await expect(refresh(first.refresh_token)).rejects.toThrow();
    expect((await refresh(first.refresh_token)).status).toBe(200);
  });

  it('revoked: the refresh is refused and the access token is dead', async () => {
    const { emulator, connect, refresh } = visitor('checkbook');
    const first = await connect();
    emulator.setFault({ name: 'revoked', on: 'token' });
    expect((await refresh(first.refresh_token)).status).toBe(400);
    expect((await first.call('/v3/user')).status).toBe(401);
  });
});

describe('limits', () => {
  it.each([
    [
      'checkr',
      {
        'x-ratelimit-limit': '1200',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '2026-11-02T09:31:00Z',
        'retry-after': null,
      },
    ],
    ['xref', { 'x-ratelimit-reset': null, 'retry-after': '45' }],
    ['checkbook', { 'x-ratelimit-reset': null, 'retry-after': '45' }],
  ] as const)('rate-limited: %s answers in its own dialect', async (name, headers) => {
    const { emulator, connect } = visitor(name);
    const { call } = await connect();
    emulator.setFault({ name: 'rate-limited', on: 'api' });
    const response = await call(api[name]);
    expect(response.status).toBe(429);
    for (const [header, value] of Object.entries(headers))
      expect([header, response.headers.get(header)]).toEqual([header, value]);
    expect((await call(api[name])).status).toBe(200);
  });

  it.each([
    ['retry-after', '45'],
    ['retry-after-date', 'Mon, 02 Nov 2026 09:31:00 GMT'],
    ['none', null],
  ] as const)('rate-limited: takes the dialect %s', async (dialect, value) => {
    const { emulator, connect } = visitor('checkr');
    const { call } = await connect();
    emulator.setFault({ name: 'rate-limited', on: 'api', dialect });
    const response = await call('/v1/account');
    expect([response.headers.get('retry-after'), response.headers.get('x-ratelimit-reset')]).toEqual([value, null]);
  });

  it('answers 429 to the call after the last one of the minute, with the knobs’ numbers and body', async () => {
    const { emulator, connect } = visitor('checkr');
    const { call } = await connect();
    emulator.setKnob('rateLimit.perMinute', 3);
    emulator.setKnob('rateLimit.body', { error: 'slow down' });
    const left: (string | null)[] = [];
    for (let count = 0; count < 3; count += 1)
      left.push((await call('/v1/account')).headers.get('x-ratelimit-remaining'));
    expect(left).toEqual(['2', '1', '0']);
    const refused = await call('/v1/packages');
    expect([refused.status, await refused.json()]).toEqual([429, { error: 'slow down' }]);
    clock.advance(45_000);
    expect((await call('/v1/account')).status).toBe(200);
  });
});

describe('lists', () => {
  it('looping-cursor: next_href leads to the same page', async () => {
    const { emulator, connect } = visitor('checkr');
    const { call } = await connect();
    emulator.setFault({ name: 'looping-cursor', on: 'api', times: 0 });
    const first = (await (await call('/v1/packages?per_page=1')).json()) as { next_href: string; data: unknown };
    expect(first.next_href).toBe(`${emulator.url}/v1/packages?per_page=1`);
    const second = (await (await call('/v1/packages?per_page=1')).json()) as { next_href: string; data: unknown };
    expect(second).toEqual(first);
    emulator.clearFaults();
    const healthy = (await (await call('/v1/packages?per_page=1')).json()) as { next_href: string };
    expect(healthy.next_href).not.toBe(first.next_href);
  });

  it('looping-cursor: numbered pages never end and repeat the first', async () => {
    const { emulator, connect } = visitor('checkbook');
    const { call } = await connect();
    emulator.setFault({ name: 'looping-cursor', on: 'api', times: 0 });
    const read = async (page: number) =>
      (await (await call(`/v3/check?page=${page}`)).json()) as { checks: unknown[]; page: number; pages: number };
    const [first, tenth] = [await read(1), await read(10)];
    expect([first.page, first.pages, tenth.page, tenth.pages]).toEqual([1, 2, 10, 11]);
    expect(first.checks.length).toBeGreaterThan(0);
    expect(tenth.checks).toEqual(first.checks);
  });
});

describe('where and how often', () => {
  it('meets as many calls as told, at the endpoint and path told', async () => {
    const { emulator, connect } = visitor('checkr');
    const { call } = await connect();
    emulator.setFault({ name: 'server-error', on: 'api', times: 2, path: '/v1/packages' });
    expect((await call('/v1/account')).status).toBe(200);
    const broken = await call('/v1/packages');
    expect([broken.status, await broken.json()]).toEqual([500, { error: 'Something went wrong' }]);
    expect(emulator.faults()).toMatchObject([{ name: 'server-error', left: 1 }]);
    expect((await call('/v1/packages')).status).toBe(500);
    expect((await call('/v1/packages')).status).toBe(200);
    expect(emulator.faults()).toEqual([]);
  });

  it('breaks the authorize page and the deauthorize call too', async () => {
    const { emulator, authorizeUrl, connect } = visitor('checkr');
    emulator.setFault({ name: 'bad-gateway-html', on: 'authorize' });
    expect((await fetch(authorizeUrl)).status).toBe(502);
    expect((await fetch(authorizeUrl)).status).toBe(200);

    const { call } = await connect();
    emulator.setFault({ name: 'lost-reply', on: 'deauthorize' });
    await expect(call('/oauth/deauthorize', { method: 'POST' })).rejects.toThrow();
    expect(emulator.grants()[0]?.state).toBe('revoked');
    expect((await call('/oauth/deauthorize', { method: 'POST' })).status).toBe(401);
  });

  it('answers 409 to a twin while the first call with the same key waits', async () => {
    const { emulator, connect } = visitor('checkr');
    const { call } = await connect();
    const create = () =>
      call('/v1/candidates', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
        body: JSON.stringify({ email: 'twin@example.com' }),
      });
    emulator.setFault({ name: 'slow', on: 'api', delayMs: 5_000 });
    const first = create();
    await expect.poll(() => emulator.faults().length).toBe(0);
    const twin = await create();
    expect([twin.status, await twin.json()]).toEqual([409, { message: expect.stringContaining('in progress') }]);
    clock.advance(5_000);
    const made = await first;
    expect(made.status).toBe(201);
    const replay = await create();
    expect([replay.status, await replay.json()]).toEqual([201, await made.json()]);
  });

  it('refuses an unknown name, endpoint or number, and lists what there is', () => {
    const { emulator } = visitor('checkr');
    const set = (fault: unknown) => () => emulator.setFault(fault as never);
    expect(set({ name: 'gremlins', on: 'token' })).toThrow(FAULT_NAMES.join(', '));
    expect(set({ name: 'slow', on: 'webhooks' })).toThrow('token, api, authorize, deauthorize');
    expect(set({ name: 'slow', on: 'api', times: -1 })).toThrow('times');
    expect(set({ name: 'looping-cursor', on: 'token' })).toThrow('api');
    expect(emulator.faults()).toEqual([]);
  });

  it('keeps faults of one emulator away from the others', async () => {
    emulators.get('checkr').setFault({ name: 'server-error', on: 'authorize', times: 0 });
    expect((await fetch(visitor('checkr-staging').authorizeUrl)).status).toBe(200);
    expect((await fetch(visitor('checkr').authorizeUrl)).status).toBe(500);
  });
});
