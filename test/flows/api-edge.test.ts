/** What holds for every route: requests that are not taken, other origins, headers, limits (wire contract A, B). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app?.close());

describe('strictness', () => {
  const key = 'provider_config_key=checkr-partner';
  it.each([
    ['GET', '/integrations?x=1', undefined, 400, 'invalid_query_params', ['query']],
    ['GET', '/connections?limit=5000', undefined, 400, 'invalid_query_params', ['limit']],
    ['GET', '/connections?nobody=1', undefined, 400, 'invalid_query_params', undefined],
    ['GET', '/connections?tags[1]=x', undefined, 400, 'invalid_query_params', undefined],
    ['GET', '/connections/a%00b?provider_config_key=x', undefined, 400, 'invalid_uri_params', ['connectionId']],
    ['GET', `/connections/${'a'.repeat(256)}?${key}`, undefined, 400, 'invalid_uri_params', ['connectionId']],
    ['GET', '/connections/nobody', undefined, 400, 'invalid_query_params', ['provider_config_key']],
    ['GET', `/connections/nobody?${key}`, undefined, 404, 'not_found', undefined],
    ['GET', `/connections/nobody?${key}&force_refresh=yes`, undefined, 400, 'invalid_query_params', ['force_refresh']],
    ['GET', '/connections/x?provider_config_key=nobody', undefined, 400, 'unknown_provider_config', undefined],
    ['PATCH', `/connections/nobody?${key}`, { tags: {} }, 404, 'not_found', undefined],
    ['PATCH', `/connections/nobody?${key}`, { unknown: 1 }, 400, 'invalid_body', undefined],
    ['DELETE', `/connections/nobody?${key}`, undefined, 400, 'unknown_connection', undefined],
    [
      'POST',
      '/connections/metadata',
      { connection_id: 'nobody', provider_config_key: 'checkr-partner', metadata: {} },
      404,
      'unknown_connection',
      undefined,
    ],
    [
      'POST',
      '/connections/metadata',
      { connection_id: [], provider_config_key: 'x', metadata: {} },
      400,
      'invalid_body',
      ['connection_id'],
    ],
    [
      'POST',
      '/connections/metadata',
      { connection_id: 'a', provider_config_key: 'x', metadata: [] },
      400,
      'invalid_body',
      ['metadata'],
    ],
    [
      'POST',
      '/connections',
      { provider_config_key: 'nobody', credentials: { type: 'NONE' } },
      404,
      'not_found',
      undefined,
    ],
    [
      'POST',
      '/connections',
      { provider_config_key: 'xref', credentials: { type: 'API_KEY', apiKey: 'k' } },
      400,
      'invalid_body',
      ['credentials', 'type'],
    ],
    [
      'POST',
      '/connections',
      { provider_config_key: 'xref', credentials: { type: 'OAUTH2' } },
      400,
      'invalid_body',
      ['credentials', 'access_token'],
    ],
    [
      'POST',
      '/connections',
      { provider_config_key: 'xref', credentials: { type: 'OAUTH2', access_token: 'a'.repeat(16_385) } },
      400,
      'invalid_body',
      ['credentials', 'access_token'],
    ],
    ['POST', '/integrations', { provider: 'xref' }, 400, 'invalid_body', ['unique_key']],
    ['POST', '/integrations', { provider: 'xref', unique_key: 'a', surprise: 1 }, 400, 'invalid_body', undefined],
    ['POST', '/integrations/quickstart', { provider: 'xref', unique_key: 'a' }, 400, 'invalid_body', undefined],
    ['PATCH', '/integrations/nobody', { display_name: 'x' }, 404, 'not_found', undefined],
    ['DELETE', '/integrations/nobody', undefined, 404, 'not_found', undefined],
    ['POST', '/connect/sessions', {}, 400, 'invalid_body', undefined],
    ['POST', '/connect/sessions', { end_user: { id: 'a', age: 4 } }, 400, 'invalid_body', ['end_user']],
    [
      'POST',
      '/connect/sessions',
      { end_user: { id: 'a' }, allowed_integrations: ['xref', 'nobody'] },
      400,
      'invalid_body',
      ['allowed_integrations', 1],
    ],
    ['POST', '/connect/sessions', { tags: { '1x': 'y' } }, 400, 'invalid_body', undefined],
    ['POST', '/connect/sessions', { tags: { A: 'y', a: 'z' } }, 400, 'invalid_body', undefined],
    [
      'POST',
      '/connect/sessions/reconnect',
      { connection_id: 'nobody', integration_id: 'xref' },
      400,
      'invalid_body',
      undefined,
    ],
    ['GET', '/providers/nobody', undefined, 404, 'not_found', undefined],
    ['GET', '/nothing/here', undefined, 404, 'not_found', undefined],
  ] as [string, string, unknown, number, string, (string | number)[] | undefined][])(
    '%s %s %j: %i %s',
    async (method, path, body, status, code, issuePath) => {
      const answer = await app.api(method, path, body);
      expect(answer.status).toBe(status);
      expect(answer.body.error.code).toBe(code);
      expect(answer.body.error.message).toEqual(expect.any(String));
      if (code.startsWith('invalid_') && issuePath !== undefined && issuePath[0] !== 'query') {
        expect(answer.body.error.errors[0]).toMatchObject({ code: expect.any(String), path: issuePath });
      }
    },
  );

  it('broken JSON, another content type and a body that is too large', async () => {
    const send = (body: string, type: string) =>
      fetch(`${app.url}/connect/sessions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${app.apiKey}`, 'content-type': type },
        body,
      });
    const cases: [string, string, number, string][] = [
      ['{"a":', 'application/json', 400, 'invalid_json'],
      ['{"__proto__":{"x":1}}', 'application/json', 400, 'invalid_json'],
      ['a=b', 'application/x-www-form-urlencoded', 415, 'invalid_content_type'],
      [JSON.stringify({ tags: { a: 'x'.repeat(1_100_000) } }), 'application/json', 413, 'request_too_large'],
    ];
    for (const [body, type, status, code] of cases) {
      const response = await send(body, type);
      expect(response.status).toBe(status);
      expect(((await response.json()) as { error: { code: string } }).error.code).toBe(code);
    }
  });
});

describe('edge', () => {
  it('health and readiness', async () => {
    expect(await (await fetch(`${app.url}/health`)).json()).toEqual({ result: 'ok' });
    const ready = await fetch(`${app.url}/ready`);
    expect(ready.status).toBe(200);
  });

  it('another origin may use what a connect session opens, never what an API key opens', async () => {
    const preflight = (path: string, method: string) =>
      fetch(app.url + path, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': method },
      });
    for (const [path, method] of [
      ['/connect/session', 'GET'],
      ['/integrations', 'GET'],
      ['/providers/xref', 'GET'],
      ['/api-auth/api-key/x', 'POST'],
    ] as const) {
      const response = await preflight(path, method);
      expect(response.status, path).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    }
    for (const [path, method] of [
      ['/connections', 'GET'],
      ['/connect/sessions', 'POST'],
      ['/proxy/v1/account', 'GET'],
    ] as const) {
      expect((await preflight(path, method)).headers.get('access-control-allow-origin'), path).toBeNull();
    }
  });

  it('every answer carries a request id and is not stored by caches', async () => {
    const answer = await app.api('GET', '/connections');
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('a limit per key: headers, then 429 with Retry-After', async () => {
    const node = await app.startNode({ settings: { HAWSER_RATE_LIMIT_PER_MINUTE: '3' } });
    const answers = [];
    for (let call = 0; call < 5; call += 1) answers.push(await callApi(node.url, app.apiKey, 'GET', '/integrations'));
    const limited = answers.filter((answer) => answer.status === 429);
    expect(limited.length).toBeGreaterThan(0);
    expect(limited[0]?.body.error).toEqual({
      code: 'too_many_request',
      message: expect.any(String),
      method: 'GET',
      path: '/integrations',
    });
    expect(Number(limited[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answers[0]?.headers.get('x-ratelimit-limit')).toBe('3');
  });
});
