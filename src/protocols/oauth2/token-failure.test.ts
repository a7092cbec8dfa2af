import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyQuery } from '../../../test/support/texts.ts';
import { readAnswer } from './testing.ts';

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
    expect(readAnswer(body, { status: 400 })).toMatchObject({ ok: false, status: 400, ...expected });
  });

  it('finds an error in a 200', () => {
    expect(readAnswer({ error: 'invalid_grant' })).toMatchObject({ ok: false, kind: 'invalid_grant', status: 200 });
    expect(readAnswer('error=bad_code&error_description=no')).toMatchObject({
      ok: false,
      kind: 'refused',
      error: 'bad_code',
    });
    expect(
      readAnswer({ ok: false, error: 'invalid_code' }, { response: { success: { path: 'ok', equals: true } } }),
    ).toMatchObject({
      kind: 'refused',
      error: 'invalid_code',
    });
  });

  it('translates a provider’s own codes', () => {
    const response = { errorKinds: { bad_refresh_token: 'invalid_grant' as const } };
    expect(readAnswer({ error: 'bad_refresh_token' }, { response })).toMatchObject({
      kind: 'invalid_grant',
      error: 'bad_refresh_token',
    });
    expect(readAnswer({ error: 'constructor' }, { response })).toMatchObject({ kind: 'refused' });
  });

  it.each([500, 502, 503, 504, 599, 408])('takes %d as an outage whatever the body says', (status) => {
    for (const body of [{ error: 'invalid_grant' }, '<html>Bad gateway</html>', '', { access_token: 'at' }]) {
      expect(readAnswer(body, { status })).toMatchObject({ ok: false, kind: 'provider_down', status });
    }
    expect(readAnswer({ error: 'temporarily_unavailable' }, { status: 400 })).toMatchObject({ kind: 'provider_down' });
  });

  it('reads when to come back', () => {
    const wait = (value: string | string[], status = 429) => {
      const answer = readAnswer({}, { status, headers: { 'Retry-After': value } });
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
        const answer = readAnswer(body, { status: 400, secrets });
        expect(JSON.stringify(answer)).not.toContain(form);
      }
    }
  });

  it('keeps codes and sentences readable', () => {
    const description =
      'The provided authorization grant is invalid, see https://example.com/docs/errors (urn:ietf:params:oauth)';
    expect(
      readAnswer({ error: 'unsupported_grant_type', error_description: description }, { status: 400 }),
    ).toMatchObject({
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
        const answer = readAnswer(body, { status });
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
        fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(Buffer.from), anyQuery().map(Buffer.from)),
        status,
        (body, code) => {
          const answer = readAnswer(Buffer.from(body), { status: code });
          if (answer.ok) return;
          expect(answer.error ?? '').toMatch(/^[^\p{C}]{0,100}$/u);
          expect(answer.description ?? '').toMatch(/^[^\p{C}]{0,300}$/u);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
