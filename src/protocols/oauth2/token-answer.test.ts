import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenResponseSpec } from '../../../catalogue/_spec/index.ts';
import { SPEC } from './testing.ts';
import { readTokenAnswer, type TokenAnswer } from './token-answer.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');

function read(
  body: unknown,
  options: {
    status?: number;
    headers?: Record<string, string | string[]>;
    response?: TokenResponseSpec;
    secrets?: string[];
  } = {},
): TokenAnswer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const spec = options.response === undefined ? SPEC : { ...SPEC, response: options.response };
  return readTokenAnswer(
    spec,
    { status: options.status ?? 200, headers: options.headers ?? {}, body: bytes },
    NOW,
    options.secrets,
  );
}

function good(answer: TokenAnswer) {
  if (!answer.ok) throw new Error(`${answer.kind} ${answer.error ?? ''}`);
  return answer;
}

describe('success', () => {
  it('reads the standard answer', () => {
    const data = { access_token: 'at', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt', scope: 'a b' };
    expect(read(data)).toEqual({
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
    expect(read({ access_token: 'at' })).toEqual({
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
    expect(read({ ok: true, ...bot, user }, { response })).toMatchObject({
      accessToken: 'bot-at',
      refreshToken: 'bot-rt',
      expiresAtMs: NOW + 3_600_000,
      scope: 'b',
    });
    expect(read({ ok: true, user }, { response })).toMatchObject({
      accessToken: 'user-at',
      refreshToken: 'user-rt',
      expiresAtMs: NOW + 60_000,
      scope: 'u',
    });
    const plain = good(read({ ok: true, ...bot, user: { id: 1 } }, { response }));
    expect(plain.accessToken).toBe('bot-at');
  });

  it('falls back to the declared place of a fact, when the nested token has none', () => {
    const response = { accessToken: ['data.token'], refreshToken: 'data.renewal', scope: 'granted' };
    expect(read({ data: { token: 'at', renewal: 'rt' }, granted: 'a', expires_in: 60 }, { response })).toMatchObject({
      accessToken: 'at',
      refreshToken: 'rt',
      scope: 'a',
      expiresAtMs: NOW + 60_000,
    });
  });

  it('believes no expiry where the provider tells none', () => {
    const response = { expiry: { kind: 'none' as const } };
    expect(good(read({ access_token: 'at', expires_in: 5 }, { response })).expiresAtMs).toBeUndefined();
    expect(
      good(read({ access_token: 'at', expires_in: 5 }, { response: { ...response, lifetimeSeconds: 60 } })).expiresAtMs,
    ).toBe(NOW + 60_000);
  });

  it.each([200, 201, 202, 203, 299])('takes status %d', (status) => {
    expect(read({ access_token: 'at' }, { status }).ok).toBe(true);
  });

  it.each(['application/json', 'text/plain', 'text/html', 'application/x-www-form-urlencoded', ''])(
    'reads JSON and form under content type %j',
    (type) => {
      const headers = { 'content-type': type };
      expect(good(read('{"access_token":"at"}', { headers })).accessToken).toBe('at');
      const form = good(read('access_token=at%2B1&expires_in=60&scope=a%2Cb&refresh_token=rt', { headers }));
      expect(form).toMatchObject({ accessToken: 'at+1', expiresAtMs: NOW + 60_000, scope: 'a,b', refreshToken: 'rt' });
    },
  );

  it('finds nested tokens, the first path that holds one', () => {
    const response = {
      accessToken: ['authed_user.access_token', 'data.0.token'],
      refreshToken: 'authed_user.refresh_token',
    };
    expect(read({ authed_user: { access_token: 'at', refresh_token: 'rt' } }, { response })).toMatchObject({
      accessToken: 'at',
      refreshToken: 'rt',
    });
    expect(read({ access_token: 'no', data: [{ token: 'at2' }] }, { response })).toMatchObject({ accessToken: 'at2' });
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
    expect(good(read(body, response === undefined ? {} : { response })).expiresAtMs).toBe(expected);
  });

  it('joins a scope list and ignores odd scopes', () => {
    expect(good(read({ access_token: 'at', scope: ['a', 'b', 3] })).scope).toBe('a b');
    expect(good(read({ access_token: 'at', scope: 7 })).scope).toBeUndefined();
    expect(good(read({ access_token: 'at', data: { s: 'x' } }, { response: { scope: 'data.s' } })).scope).toBe('x');
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
    expect(good(read(body, { response: { metadata } })).metadata).toEqual({
      id: 'T1',
      flag: 'true',
      big: '12345678901234567890',
    });
  });

  it('keeps no refresh token that is none', () => {
    for (const refresh_token of ['', null, 7, {}, 'a b', 'a\u0000', 'x'.repeat(16_385)]) {
      expect(good(read({ access_token: 'at', refresh_token })).refreshToken).toBeUndefined();
    }
  });

  it('honours a success predicate', () => {
    const response = { success: { path: 'code', equals: 0 }, accessToken: ['data.access_token'] };
    expect(read({ code: 0, data: { access_token: 'at' } }, { response }).ok).toBe(true);
    expect(read('code=0&data.x=1', { response: { ...response, accessToken: ['code'] } }).ok).toBe(true);
    expect(read({ code: 40_100, message: 'Auth code expired', data: { access_token: 'at' } }, { response })).toEqual({
      ok: false,
      kind: 'refused',
      status: 200,
      error: '40100',
      description: 'Auth code expired',
    });
  });

  it('lets a token win over an error beside it', () => {
    expect(read({ access_token: 'at', error: '', errors: [] }).ok).toBe(true);
    expect(read({ access_token: 'at', error: 'deprecated_endpoint' }).ok).toBe(true);
  });

  it('drops a byte order mark', () => {
    expect(read('\ufeff{"access_token":"at"}').ok).toBe(true);
  });

  it('keeps prototypes clean', () => {
    const answer = good(read('{"access_token":"at","__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}'));
    expect(Object.hasOwn(answer.raw, '__proto__')).toBe(false);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((answer.raw['a'] as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(JSON.stringify(answer.raw)).toBe('{"access_token":"at","a":{}}');
    expect(good(read('access_token=at&__proto__=x&constructor=y')).raw).toEqual({
      access_token: 'at',
      constructor: 'y',
    });
  });
});

describe('failure', () => {
  it.each<[string, unknown, object]>([
    [
      'RFC',
      { error: 'invalid_grant', error_description: 'Code expired' },
      { kind: 'invalid_grant', error: 'invalid_grant', description: 'Code expired' },
    ],
    ['client', { error: 'invalid_client' }, { kind: 'invalid_client' }],
    ['unauthorized client', { error: 'unauthorized_client' }, { kind: 'invalid_client' }],
    ['scope', { error: 'invalid_scope' }, { kind: 'invalid_scope' }],
    ['other code', { error: 'consent_required' }, { kind: 'refused', error: 'consent_required' }],
    ['upper case', { error: 'INVALID_GRANT' }, { kind: 'invalid_grant' }],
    [
      'sentence',
      { error: 'Authorization code is not valid.' },
      { kind: 'refused', error: 'Authorization code is not valid.' },
    ],
    ['object', { error: { type: 'invalid_grant', message: 'Gone' } }, { kind: 'invalid_grant', description: 'Gone' }],
    ['object without type', { error: { message: 'Gone away' } }, { kind: 'refused', error: 'Gone away' }],
    ['list', { error: ['invalid_grant', 'x'] }, { kind: 'invalid_grant' }],
    ['errors list', { errors: ['Code is bad'] }, { kind: 'refused', error: 'Code is bad' }],
    [
      'errors objects',
      { errors: [{ code: 'invalid_grant', detail: 'Bad' }] },
      { kind: 'invalid_grant', description: 'Bad' },
    ],
    ['errors by field', { errors: { code: ['is unknown here'] } }, { kind: 'refused' }],
    ['message', { message: 'No such code' }, { kind: 'refused', error: 'No such code', description: 'No such code' }],
    [
      'form',
      'error=bad_verification_code&error_description=The+code+is+wrong',
      { error: 'bad_verification_code', description: 'The code is wrong' },
    ],
    ['nothing', {}, { kind: 'refused' }],
    ['empty', '', { kind: 'refused' }],
  ])('reads %s', (_, body, expected) => {
    expect(read(body, { status: 400 })).toMatchObject({ ok: false, status: 400, ...expected });
  });

  it('finds an error in a 200', () => {
    expect(read({ error: 'invalid_grant' })).toMatchObject({ ok: false, kind: 'invalid_grant', status: 200 });
    expect(read('error=bad_code&error_description=no')).toMatchObject({
      ok: false,
      kind: 'refused',
      error: 'bad_code',
    });
    expect(
      read({ ok: false, error: 'invalid_code' }, { response: { success: { path: 'ok', equals: true } } }),
    ).toMatchObject({
      kind: 'refused',
      error: 'invalid_code',
    });
  });

  it('translates a provider’s own codes', () => {
    const response = { errorKinds: { bad_refresh_token: 'invalid_grant' as const } };
    expect(read({ error: 'bad_refresh_token' }, { response })).toMatchObject({
      kind: 'invalid_grant',
      error: 'bad_refresh_token',
    });
    expect(read({ error: 'constructor' }, { response })).toMatchObject({ kind: 'refused' });
  });

  it.each([500, 502, 503, 504, 599, 408])('takes %d as an outage whatever the body says', (status) => {
    for (const body of [{ error: 'invalid_grant' }, '<html>Bad gateway</html>', '', { access_token: 'at' }]) {
      expect(read(body, { status })).toMatchObject({ ok: false, kind: 'provider_down', status });
    }
    expect(read({ error: 'temporarily_unavailable' }, { status: 400 })).toMatchObject({ kind: 'provider_down' });
  });

  it('reads when to come back', () => {
    const wait = (value: string | string[], status = 429) => {
      const answer = read({}, { status, headers: { 'Retry-After': value } });
      return answer.ok ? undefined : answer.retryAfterMs;
    };
    expect(wait('30')).toBe(30_000);
    expect(wait(['30', '60'])).toBe(30_000);
    expect(wait('Sat, 21 Nov 2026 12:01:00 GMT')).toBe(60_000);
    expect(wait('Sat, 21 Nov 2026 11:00:00 GMT')).toBe(0);
    expect(wait('999999999')).toBe(24 * 3600 * 1000);
    expect(wait('soon')).toBeUndefined();
    expect(wait('30', 503)).toBe(30_000);
    expect(wait('30', 400)).toBeUndefined();
  });

  it('repeats no secret, neither a known one nor one that looks like one', () => {
    const secrets = ['hunter-secret', 'my refresh & token'];
    const forms = secrets.flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('hex'),
    ]);
    for (const form of [
      ...forms,
      '0a1b2c3d4e5f60718293a4b5',
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
      'XyZabcDeFGhIjKlmNoPQ',
    ]) {
      for (const body of [
        { error: form },
        { error: 'invalid_grant', error_description: `Refresh token ${form} is dead` },
        { error: { type: 'x', message: `token=${form};` } },
        { message: [`(${form})`], errors: [`<${form}>`] },
        `error=${encodeURIComponent(form)}`,
      ]) {
        const answer = read(body, { status: 400, secrets });
        expect(JSON.stringify(answer)).not.toContain(form);
      }
    }
  });

  it('keeps codes and sentences readable', () => {
    const description =
      'The provided authorization grant is invalid, see https://example.com/docs/errors (urn:ietf:params:oauth)';
    expect(read({ error: 'unsupported_grant_type', error_description: description }, { status: 400 })).toMatchObject({
      error: 'unsupported_grant_type',
      description,
    });
  });
});

/** Bodies that no rule of the protocol explains; read under several statuses. */
const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
const CANARY = 'canary0123456789canary';
const MALFORMED: (string | Buffer)[] = [
  '',
  ' ',
  '\n\n',
  '\u0000',
  `\u0000{"access_token":"${CANARY}"}`,
  '<html><body>Sign in</body></html>',
  `<!doctype html><title>${CANARY}</title>`,
  '<?xml version="1.0"?><access_token>x</access_token>',
  '{',
  `{"access_token":"${CANARY}`,
  `{"access_token":"${CANARY}",}`,
  `{"access_token":"${CANARY}"}}`,
  `{"access_token":"${CANARY}"} trailing`,
  `{'access_token':'${CANARY}'}`,
  `{access_token:"${CANARY}"}`,
  `{"access_token":"${CANARY}\u0000"}`,
  '[]',
  `["${CANARY}"]`,
  `[{"access_token":"${CANARY}"}]`,
  'null',
  'true',
  '7',
  '"text"',
  `"${CANARY}"`,
  'undefined',
  'NaN',
  CANARY,
  'ok',
  '{"access_token":null}',
  '{"access_token":7}',
  '{"access_token":true}',
  '{"access_token":""}',
  '{"access_token":" "}',
  '{"access_token":["a"]}',
  '{"access_token":{"a":1}}',
  `{"access_token":"${CANARY} two"}`,
  `{"access_token":"${CANARY}\\r\\nX: y"}`,
  `{"access_token":"${CANARY}\\u0000"}`,
  '{"access_token":"\\ud800"}',
  '{"access_token":"ü"}',
  `{"access_token":"${'x'.repeat(16_385)}"}`,
  '{"__proto__":{"access_token":"x"}}',
  '{"constructor":{"prototype":{"access_token":"x"}}}',
  '{"Access_Token":"x"}',
  '{"expires_in":1e999}',
  `{"a":${deep('[', ']', 33)},"access_token":"x"}`,
  `{"a":${deep('{"a":', '}', 33).replace(/:}/, ':1}')},"access_token":"x"}`,
  deep('[', ']', 100_000),
  '{"a":'.repeat(100_000),
  `access_token=${CANARY}&access_token=b`,
  'access_token=',
  'access_token',
  '=x',
  `access_token ${CANARY}`,
  Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  Buffer.from([0x1f, 0x8b, 0x08, 0x00]),
  Buffer.concat([Buffer.from('{"access_token":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
  Buffer.alloc(300_000, 'a'),
];

describe('malformed answers', () => {
  it.each(MALFORMED.map((body, index) => [index, body] as const))(
    'body %i is classified, never thrown or repeated',
    (_, body) => {
      for (const status of [100, 200, 201, 204, 302, 400, 401, 403, 404, 418, 429, 500, 502]) {
        const answer = read(body, { status });
        expect([status, answer.ok]).toEqual([status, false]);
        if (answer.ok) return;
        const kinds =
          status === 429
            ? ['rate_limited']
            : status >= 500
              ? ['provider_down']
              : status < 400
                ? ['malformed']
                : ['malformed', 'refused'];
        expect(kinds).toContain(answer.kind);
        expect(JSON.stringify(answer)).not.toContain('canary0123');
        expect((answer.error ?? '').length).toBeLessThanOrEqual(100);
      }
    },
  );

  it('abuse 12: covers at least forty bodies', () => {
    expect(MALFORMED.length).toBeGreaterThanOrEqual(40);
  });

  it('abuse 12: classifies any bytes and any JSON', () => {
    const status = fc.constantFrom(200, 204, 302, 400, 401, 429, 500);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map(Buffer.from),
          fc.webQueryParameters().map(Buffer.from),
        ),
        status,
        (body, code) => {
          const answer = read(Buffer.from(body), { status: code });
          if (answer.ok) return;
          expect(answer.error ?? '').toMatch(/^[^\p{C}]{0,100}$/u);
          expect(answer.description ?? '').toMatch(/^[^\p{C}]{0,300}$/u);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
