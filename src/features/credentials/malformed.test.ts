/** Answers that are no token answers: classified, journalled, and without effect on the stored refresh token (fault 7). */
import { beforeEach, describe, expect, it } from 'vitest';
import { accessOf, useStage, type Stage, type Subject } from '../../../test/support/credentials.ts';
import type { TokenFault } from '../../../test/support/token-server.ts';
import { isHawserError } from '../../base/errors.ts';

const CANARY = 'canary-7f3a91';

let stage: Stage;
let subject: Subject;
let strict: Subject;

useStage(async (made) => {
  stage = made;
  stage.server.habit = 'same';
  subject = await stage.connected({ rotation: 'none' });
  strict = await stage.connected({ rotation: 'strict' });
});

beforeEach(() => {
  stage.server.habit = 'same';
  stage.core.logged.length = 0;
});

const raw = (status: number, body: string, type = 'application/json'): TokenFault => ({
  kind: 'raw',
  status,
  body,
  headers: { 'content-type': type },
});
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** `rt` and `at` are the connection's own tokens: a provider may echo what it was sent. */
const corpus: [string, (tokens: { rt: string; at: string }) => TokenFault][] = [
  ['empty 200', () => raw(200, '')],
  ['empty 204', () => raw(204, '')],
  ['blank', () => raw(200, '   \n')],
  ['HTML 200', () => raw(200, `<html><body>${CANARY}</body></html>`, 'text/html')],
  ['HTML 502', () => raw(502, `<h1>Bad gateway</h1>${CANARY}`, 'text/html')],
  ['HTML that says it is JSON', () => raw(200, `<!doctype html>${CANARY}`)],
  ['null', () => raw(200, 'null')],
  ['true', () => raw(200, 'true')],
  ['a number', () => raw(200, '42')],
  ['a string', () => raw(200, `"${CANARY}"`)],
  ['an array', () => raw(200, `[{"access_token":"${CANARY}"}]`)],
  ['an empty object', () => raw(200, '{}')],
  ['cut JSON', () => raw(200, `{"access_token":"${CANARY}`)],
  ['JSON with a tail', () => raw(200, `{"access_token":"a"} ${CANARY}`)],
  ['single quotes', () => raw(200, `{'access_token':'${CANARY}'}`)],
  ['NUL bytes', () => raw(200, '{"access_token":"a\u0000b"}')],
  ['a byte order mark alone', () => raw(200, '\ufeff')],
  ['binary', () => raw(200, '\u0001\u0002\u0003\ufffd\ufffd')],
  ['token null', () => raw(200, '{"access_token":null}')],
  ['token empty', () => raw(200, '{"access_token":""}')],
  ['token blank', () => raw(200, '{"access_token":"   "}')],
  ['token with a line break', () => raw(200, '{"access_token":"a\\r\\nX-Evil: 1"}')],
  ['token a number', () => raw(200, '{"access_token":12345}')],
  ['token an object', () => raw(200, `{"access_token":{"value":"${CANARY}"}}`)],
  ['token an array', () => raw(200, `{"access_token":["${CANARY}"]}`)],
  ['token far too long', () => raw(200, `{"access_token":"${'x'.repeat(20_000)}"}`)],
  ['only a refresh token', () => raw(200, `{"refresh_token":"${CANARY}"}`)],
  ['__proto__', () => raw(200, `{"__proto__":{"access_token":"${CANARY}"}}`)],
  ['nested too deep', () => raw(200, deep(2_000))],
  ['a wide object', () => raw(200, `{${Array.from({ length: 5_000 }, (_, index) => `"k${index}":1`).join()}}`)],
  ['200 with an error', () => raw(200, `{"error":"server_error","error_description":"${CANARY}"}`)],
  ['200 with error false', () => raw(200, '{"error":false}')],
  ['error an object', () => raw(400, `{"error":{"code":"weird","message":"${CANARY}"}}`)],
  ['error an array', () => raw(400, `{"errors":["${CANARY}"]}`)],
  ['error a number', () => raw(400, '{"error":17}')],
  ['400 without a body', () => raw(400, '')],
  ['400 HTML', () => raw(400, `<html>${CANARY}</html>`, 'text/html')],
  ['403 from a firewall', () => raw(403, `<html>blocked ${CANARY}</html>`, 'text/html')],
  ['404', () => raw(404, `not found ${CANARY}`, 'text/plain')],
  ['301', () => ({ kind: 'raw', status: 301, body: CANARY, headers: { location: 'http://127.0.0.1:9/token' } })],
  ['429 without a header', () => raw(429, CANARY)],
  ['429 with a senseless header', () => ({ kind: 'raw', status: 429, body: '', headers: { 'retry-after': 'soon' } })],
  ['500 with a stack', () => raw(500, `Error: ${CANARY}\n    at refresh`)],
  [
    '503 with a past date',
    () => ({ kind: 'raw', status: 503, body: '', headers: { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' } }),
  ],
  ['418', () => raw(418, '{"error":"teapot"}')],
  ['larger than any answer', () => raw(200, `{"access_token":"${'y'.repeat(300_000)}"}`)],
  ['half an answer', () => ({ kind: 'half-reply' })],
  ['no answer', () => ({ kind: 'reset' })],
  ['the refresh token echoed as the error', ({ rt }) => raw(400, JSON.stringify({ error: rt, error_description: rt }))],
  [
    'the secrets echoed in words',
    ({ rt, at }) => raw(400, JSON.stringify({ error: 'nope', error_description: `${rt} ${at} client-secret-value` })),
  ],
  [
    'the request echoed in HTML',
    ({ rt }) => raw(500, `<pre>refresh_token=${rt}&client_secret=client-secret-value</pre>`),
  ],
];

describe('fault 7: a token endpoint that answers', () => {
  it('is tried with at least forty answers', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(40);
  });

  it.each(corpus)(
    '%s: keeps the refresh token, names no secret, and works again afterwards',
    async (_name, faultOf) => {
      const { refresh_token: rt } = subject.tokens;
      const at = accessOf(await stage.read(stage.core.node, subject)) as string;
      const fault = faultOf({ rt, at });
      // A provider that does not rotate is asked up to three times more when the answer is lost.
      stage.server.fault(
        ...Array.from({ length: 'body' in fault && fault.body.length < 262_144 ? 1 : 4 }, () => fault),
      );
      const error = await stage.read(stage.core.node, subject, true).catch((thrown: unknown) => thrown);
      expect(isHawserError(error, 'refresh_token_external_error')).toBe(true);
      const before = await stage.row(subject.connection);
      expect(await stage.refreshTokenOf(subject.connection)).toBe(rt);
      await stage.core.node.activity.flush();
      const everything = JSON.stringify([
        isHawserError(error) && [
          error.message,
          error.payload,
          error.detail,
          error.code,
          error.stack,
          String(error.cause),
        ],
        stage.core.logged,
        await stage.core.node.activity.list({ environmentId: stage.core.environment.id, limit: 100 }),
        await stage.events(subject.connection),
        before?.last_failure,
      ]);
      for (const secret of [CANARY, rt, at, 'client-secret-value', 'X-Evil']) expect(everything).not.toContain(secret);
      const again = await stage.read(stage.core.node, subject, true);
      expect(again.generation).toBe((before?.gen ?? 0) + 1);
      expect(again.connection.state).toBe('active');
    },
  );

  it('with garbage after it has rotated strictly: the access token is served to its end, then the loss is explained', async () => {
    stage.server.habit = 'family';
    await stage.endsIn(strict.connection, 20_000);
    stage.server.fault({ kind: 'garbled', status: 200, body: `<html>${CANARY}</html>` });
    expect(accessOf(await stage.read(stage.core.node, strict))).toBe(strict.tokens.access_token);
    expect(await stage.refreshTokenOf(strict.connection)).toBe(strict.tokens.refresh_token);
    expect((await stage.row(strict.connection))?.intent_at).not.toBeNull();
    await stage.endsIn(strict.connection, -1);
    await stage.forgetFailure(strict.connection);
    await expect(stage.read(stage.core.node, strict)).rejects.toMatchObject({ code: 'connection_needs_reauth' });
    const states = (await stage.events(strict.connection)).filter(({ type }) => type === 'connection.state');
    expect(states.map(({ payload }) => payload)).toEqual([{ state: 'needs_reauth', reason: 'lost_rotation' }]);
    expect(await stage.refreshTokenOf(strict.connection)).toBe(strict.tokens.refresh_token);
  });
});
