import { describe, expect, it } from 'vitest';
import type { TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import { good, NOW, readAnswer } from './testing.ts';

describe('success', () => {
  it('reads the standard answer', () => {
    const data = { access_token: 'at', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt', scope: 'a b' };
    expect(readAnswer(data)).toEqual({
      ok: true,
      accessToken: 'at',
      refreshToken: 'rt',
      expiresAtMs: NOW + 3_600_000,
      scope: 'a b',
      metadata: {},
      raw: data,
    });
  });

  it('needs nothing but a token', () => {
    expect(readAnswer({ access_token: 'at' })).toEqual({
      ok: true,
      accessToken: 'at',
      metadata: {},
      raw: { access_token: 'at' },
    });
  });

  it('reads the facts of a nested token beside it, never those of another token', () => {
    const response = { accessToken: ['access_token', 'user.access_token'], success: { path: 'ok', equals: true } };
    const user = { access_token: 'user-at', refresh_token: 'user-rt', expires_in: 60, scope: 'u' };
    const bot = { access_token: 'bot-at', refresh_token: 'bot-rt', expires_in: 3600, scope: 'b' };
    expect(readAnswer({ ok: true, ...bot, user }, { response })).toMatchObject({
      accessToken: 'bot-at',
      refreshToken: 'bot-rt',
      expiresAtMs: NOW + 3_600_000,
      scope: 'b',
    });
    expect(readAnswer({ ok: true, user }, { response })).toMatchObject({
      accessToken: 'user-at',
      refreshToken: 'user-rt',
      expiresAtMs: NOW + 60_000,
      scope: 'u',
    });
    const plain = good(readAnswer({ ok: true, ...bot, user: { id: 1 } }, { response }));
    expect(plain.accessToken).toBe('bot-at');
  });

  it('falls back to the declared place of a fact, when the nested token has none', () => {
    const response = { accessToken: ['data.token'], refreshToken: 'data.renewal', scope: 'granted' };
    expect(
      readAnswer({ data: { token: 'at', renewal: 'rt' }, granted: 'a', expires_in: 60 }, { response }),
    ).toMatchObject({
      accessToken: 'at',
      refreshToken: 'rt',
      scope: 'a',
      expiresAtMs: NOW + 60_000,
    });
  });

  it('believes no expiry where the provider tells none', () => {
    const response = { expiry: { kind: 'none' as const } };
    expect(good(readAnswer({ access_token: 'at', expires_in: 5 }, { response })).expiresAtMs).toBeUndefined();
    expect(
      good(readAnswer({ access_token: 'at', expires_in: 5 }, { response: { ...response, lifetimeSeconds: 60 } }))
        .expiresAtMs,
    ).toBe(NOW + 60_000);
  });

  it.each([200, 201, 202, 203, 299])('takes status %d', (status) => {
    expect(readAnswer({ access_token: 'at' }, { status }).ok).toBe(true);
  });

  it.each(['application/json', 'text/plain', 'text/html', 'application/x-www-form-urlencoded', ''])(
    'reads JSON and form under content type %j',
    (type) => {
      const headers = { 'content-type': type };
      expect(good(readAnswer('{"access_token":"at"}', { headers })).accessToken).toBe('at');
      const form = good(readAnswer('access_token=at%2B1&expires_in=60&scope=a%2Cb&refresh_token=rt', { headers }));
      expect(form).toMatchObject({ accessToken: 'at+1', expiresAtMs: NOW + 60_000, scope: 'a,b', refreshToken: 'rt' });
    },
  );

  it('finds nested tokens, the first path that holds one', () => {
    const response = {
      accessToken: ['authed_user.access_token', 'data.0.token'],
      refreshToken: 'authed_user.refresh_token',
    };
    expect(readAnswer({ authed_user: { access_token: 'at', refresh_token: 'rt' } }, { response })).toMatchObject({
      accessToken: 'at',
      refreshToken: 'rt',
    });
    expect(readAnswer({ access_token: 'no', data: [{ token: 'at2' }] }, { response })).toMatchObject({
      accessToken: 'at2',
    });
  });

  it.each<[string, TokenResponseSpec | undefined, unknown, number | undefined]>([
    ['seconds as text', undefined, { expires_in: '3600' }, NOW + 3_600_000],
    ['fractions', undefined, { expires_in: 1.5 }, NOW + 1500],
    ['zero', undefined, { expires_in: 0 }, undefined],
    ['negative', undefined, { expires_in: -1 }, undefined],
    ['absurd', undefined, { expires_in: 1e300 }, undefined],
    ['beyond numbers', undefined, '{"access_token":"at","expires_in":1e999}', undefined],
    ['wrong type', undefined, { expires_in: {} }, undefined],
    ['words', undefined, { expires_in: 'never' }, undefined],
    [
      'milliseconds',
      { expiry: { path: 'expires_in', kind: 'in', unit: 'milliseconds' } },
      { expires_in: 5000 },
      NOW + 5000,
    ],
    ['other path', { expiry: { path: 'data.ttl', kind: 'in', unit: 'seconds' } }, { data: { ttl: 5 } }, NOW + 5000],
    ['epoch seconds', { expiry: { path: 'expires_at', kind: 'at' } }, { expires_at: NOW / 1000 + 60 }, NOW + 60_000],
    ['epoch ms', { expiry: { path: 'expires_at', kind: 'at' } }, { expires_at: NOW + 60_000 }, NOW + 60_000],
    [
      'epoch ms as text',
      { expiry: { path: 'expires_at', kind: 'at', unit: 'milliseconds' } },
      { expires_at: `${NOW}` },
      NOW,
    ],
    ['ISO', { expiry: { path: 'expires_at', kind: 'at' } }, { expires_at: '2026-11-21T13:00:00+01:00' }, NOW],
    [
      'ISO without zone is UTC',
      { expiry: { path: 'expires_at', kind: 'at' } },
      { expires_at: '2026-11-21 12:00:00' },
      NOW,
    ],
    ['no date', { expiry: { path: 'expires_at', kind: 'at' } }, { expires_at: 'soon' }, undefined],
    ['fixed life', { lifetimeSeconds: 60 }, {}, NOW + 60_000],
    ['told life wins over fixed', { lifetimeSeconds: 60 }, { expires_in: 5 }, NOW + 5000],
  ])('expiry: %s', (_, response, data, expected) => {
    const body = typeof data === 'string' ? data : { access_token: 'at', ...(data as object) };
    expect(good(readAnswer(body, response === undefined ? {} : { response })).expiresAtMs).toBe(expected);
  });

  it('joins a scope list and ignores odd scopes', () => {
    expect(good(readAnswer({ access_token: 'at', scope: ['a', 'b', 3] })).scope).toBe('a b');
    expect(good(readAnswer({ access_token: 'at', scope: 7 })).scope).toBeUndefined();
    expect(good(readAnswer({ access_token: 'at', data: { s: 'x' } }, { response: { scope: 'data.s' } })).scope).toBe(
      'x',
    );
  });

  it('copies metadata of plain types', () => {
    const metadata = {
      id: 'team.id',
      flag: 'flag',
      big: 'big',
      obj: 'team',
      none: 'none',
      proto: '__proto__.x',
      empty: 'empty',
    };
    const body = '{"access_token":"at","team":{"id":"T1"},"flag":true,"big":12345678901234567890,"empty":""}';
    expect(good(readAnswer(body, { response: { metadata } })).metadata).toEqual({
      id: 'T1',
      flag: 'true',
      big: '12345678901234567890',
    });
  });

  it('keeps no refresh token that is none', () => {
    for (const refresh_token of ['', null, 7, {}, 'a b', 'a\u0000', 'x'.repeat(16_385)]) {
      expect(good(readAnswer({ access_token: 'at', refresh_token })).refreshToken).toBeUndefined();
    }
  });

  it('honours a success predicate', () => {
    const response = { success: { path: 'code', equals: 0 }, accessToken: ['data.access_token'] };
    expect(readAnswer({ code: 0, data: { access_token: 'at' } }, { response }).ok).toBe(true);
    expect(readAnswer('code=0&data.x=1', { response: { ...response, accessToken: ['code'] } }).ok).toBe(true);
    expect(
      readAnswer({ code: 40_100, message: 'Auth code expired', data: { access_token: 'at' } }, { response }),
    ).toEqual({
      ok: false,
      kind: 'refused',
      status: 200,
      error: '40100',
      description: 'Auth code expired',
    });
  });

  it('lets a token win over an error beside it', () => {
    expect(readAnswer({ access_token: 'at', error: '', errors: [] }).ok).toBe(true);
    expect(readAnswer({ access_token: 'at', error: 'deprecated_endpoint' }).ok).toBe(true);
  });

  it('drops a byte order mark', () => {
    expect(readAnswer('\ufeff{"access_token":"at"}').ok).toBe(true);
  });

  it('keeps prototypes clean', () => {
    const answer = good(
      readAnswer('{"access_token":"at","__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}'),
    );
    expect(Object.hasOwn(answer.raw, '__proto__')).toBe(false);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((answer.raw['a'] as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(JSON.stringify(answer.raw)).toBe('{"access_token":"at","a":{}}');
    expect(good(readAnswer('access_token=at&__proto__=x&constructor=y')).raw).toEqual({
      access_token: 'at',
      constructor: 'y',
    });
  });
});
