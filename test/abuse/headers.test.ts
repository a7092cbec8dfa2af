/** What answers tell browsers: every route of the router (threats 2.6, cases 24 and 38). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp } from '../support/app.ts';
import { routesWithRows, startMatrix, type Matrix } from '../support/matrix.ts';

let matrix: Matrix;
beforeAll(async () => {
  matrix = await startMatrix();
});
afterAll(() => matrix?.close());

/** Headers that concern a browser's safety; of a policy with a nonce only the kind. */
const WATCHED = [
  'cache-control',
  'content-security-policy',
  'cross-origin-resource-policy',
  'cross-origin-opener-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'server',
  'x-powered-by',
];

function watched(headers: Headers): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of WATCHED) {
    const value = headers.get(name);
    if (value !== null) found[name] = value.replaceAll(/nonce-[0-9a-f]{64}/g, 'nonce-N').replaceAll(/'sha256-[^']+'/g, "'sha256-H'").replaceAll(/(?:localhost|127\.0\.0\.1):\d+/g, 'localhost:0'); // prettier-ignore
  }
  return found;
}

/** What every answer says, unless its line in the table below says otherwise. */
const DEFAULT = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

const ERROR_PAGE = {
  'content-security-policy': "default-src 'none'; style-src 'sha256-H'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", // prettier-ignore
};
const DEV_PAGE = {
  'content-security-policy': "default-src 'none'; style-src 'self'; img-src data:; form-action 'self' http://localhost:0; frame-ancestors 'none'; base-uri 'none'", // prettier-ignore
  // Without a referrer a form's Origin would be `null`.
  'referrer-policy': 'same-origin',
};

/** Ends a flow: one style, one script, both by nonce. */
const RESULT_PAGE = {
  'content-security-policy': "default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", // prettier-ignore
  'cross-origin-opener-policy': 'unsafe-none',
};

/** By route: how its answer to the rightful caller differs. */
const EXCEPTIONS: Record<string, Record<string, string>> = {
  'GET /': DEV_PAGE,
  'POST /dev/connect': ERROR_PAGE,
  'POST /dev/disconnect': ERROR_PAGE,
  'POST /dev/run': ERROR_PAGE,
  'GET /images/template-logos/:file': {
    'cache-control': 'public, max-age=86400',
    'content-security-policy': "default-src 'none'; sandbox",
    'cross-origin-resource-policy': 'cross-origin',
  },
  'GET /oauth/callback': RESULT_PAGE,
  'GET /app-auth/connect': RESULT_PAGE,
  'GET /connect-ui/': {
    'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws://localhost:0; base-uri 'none'; form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*", // prettier-ignore
    'cross-origin-opener-policy': 'unsafe-none',
  },
};

async function answerOf(one: ReturnType<typeof routesWithRows>[number], headers: Record<string, string> = {}) {
  const world = one.row.prepare === undefined ? matrix.dev : await one.row.prepare(matrix, matrix.dev);
  const call = one.row.call(world);
  const { auth } = one.route;
  const credential = auth.by === 'public' ? undefined : auth.by === 'session' ? world.session : world.key;
  return matrix.send(
    one.route,
    { ...call, headers: { ...call.headers, ...headers } },
    credential && `Bearer ${credential}`,
  );
}

async function askAll() {
  const all = [];
  for (const { name, route, ...one } of routesWithRows(matrix)) {
    const response = await answerOf({ name, route, ...one });
    await response.arrayBuffer();
    all.push({ name, route, status: response.status, headers: response.headers });
  }
  return all;
}

/** Answers of all routes to the rightful caller, asked once. */
let answers: ReturnType<typeof askAll> | undefined;
const allAnswers = () => (answers ??= askAll());

describe('abuse 38: security headers', () => {
  it('abuse 38: of every route, exactly', async () => {
    const wrong: unknown[] = [];
    for (const one of await allAnswers()) {
      const expected = { ...DEFAULT, ...EXCEPTIONS[one.name] };
      const found = watched(one.headers);
      try {
        expect(found).toEqual(expected);
      } catch {
        wrong.push([one.name, one.status, found]); // all of them are told together
      }
      expect([one.name, one.headers.get('x-request-id')]).toEqual([one.name, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    }
    expect(wrong).toEqual([]);
  });

  it('abuse 38: refusals say the same: no key, no route, a broken path, a broken request', async () => {
    for (const one of routesWithRows(matrix)) {
      if (one.route.auth.by === 'public') continue;
      const response = await matrix.send(one.route, one.row.call(matrix.dev));
      expect([one.name, response.status, watched(response.headers)]).toEqual([one.name, 401, DEFAULT]);
    }
    for (const [path, init] of [
      ['/nothing', {}],
      ['/connections/%zz', {}],
      ['/connections', { method: 'PURGE' }],
      [`/connections?${'a'.repeat(20_000)}`, {}],
      ['/connect/telemetry', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }],
    ] as const) {
      const response = await fetch(matrix.app.url + path, init);
      expect([path.slice(0, 30), watched(response.headers)]).toEqual([path.slice(0, 30), DEFAULT]);
    }
    const page = await fetch(`${matrix.app.url}/?connection_id=${'x'.repeat(300)}`);
    expect([page.status, watched(page.headers)]).toEqual([400, { ...DEFAULT, ...ERROR_PAGE }]);
  });

  it('abuse 38: no policy allows inline code, eval or any origin', async () => {
    for (const one of await allAnswers()) {
      const policy = one.headers.get('content-security-policy') ?? '';
      expect([one.name, policy]).toEqual([one.name, expect.stringMatching(/^default-src 'none';/)]);
      expect([one.name, policy]).not.toEqual([one.name, expect.stringMatching(/unsafe-|strict-dynamic|\*(?!\b)(?<!:\*)|data:(?! |;|$)/)]); // prettier-ignore
    }
  });
});

describe('abuse 38: other origins', () => {
  const origin = { origin: 'https://evil.example' };

  it('abuse 38: no answer lets a foreign page in with credentials, and none that an API key opens lets it in at all', async () => {
    for (const one of routesWithRows(matrix)) {
      const { headers } = await answerOf(one, origin);
      expect([one.name, headers.get('access-control-allow-credentials')]).toEqual([one.name, null]);
      const allowed = headers.get('access-control-allow-origin');
      expect([one.name, [null, '*'].includes(allowed)]).toEqual([one.name, true]);
      if (
        one.route.auth.by === 'key' ||
        one.route.path.startsWith('/dev/c') ||
        ['/oauth/callback', '/app-auth/connect'].includes(one.route.path)
      ) {
        expect([one.name, allowed]).toEqual([one.name, null]);
      }
    }
  });

  it('abuse 38: preflights exist for open routes only, and name no method that a key opens', async () => {
    const { routes } = matrix.app.hawser;
    const preflights = routes.filter(({ method }) => method === 'OPTIONS');
    expect(preflights.length).toBeGreaterThan(10);
    for (const { path } of preflights) {
      const response = await fetch(matrix.app.url + path.replaceAll(/:\w+/g, 'x'), {
        method: 'OPTIONS',
        headers: { ...origin, 'access-control-request-method': 'POST' },
      });
      expect([path, response.status]).toEqual([path, 204]);
      const methods = (response.headers.get('access-control-allow-methods') ?? '').split(', ');
      for (const method of methods) {
        const auth = routes.find((route) => route.method === method && route.path === path)?.auth;
        expect([path, method, auth?.by !== 'key' && auth !== undefined]).toEqual([path, method, true]);
      }
    }
    for (const { path, auth } of routes) {
      if (auth.by !== 'key' || preflights.some((one) => one.path === path)) continue;
      const response = await fetch(matrix.app.url + path.replaceAll(/:\w+|\*/g, 'x'), {
        method: 'OPTIONS',
        headers: origin,
      });
      expect([path, response.status, response.headers.get('access-control-allow-origin')]).toEqual([path, 404, null]);
    }
  });

  it('abuse 38: a form of another site presses no button and reaches no API', async () => {
    const before = await matrix.dump(matrix.dev);
    for (const foreign of [
      'https://evil.example',
      'null',
      matrix.app.url.replace('http:', 'https:'),
      `${matrix.app.url}.evil.example`,
    ]) {
      for (const path of ['/dev/connect', '/dev/disconnect', '/dev/run']) {
        const response = await matrix.send(
          { method: 'POST' },
          { path, form: true, body: { integration: 'xref', connection: 'x', sync: 'x' }, headers: { origin: foreign } },
        );
        expect([path, foreign, response.status]).toEqual([path, foreign, 403]);
      }
    }
    // What a form can send without a preflight, from a browser that holds all our cookies.
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      for (const one of routesWithRows(matrix)) {
        if (one.route.method !== 'POST' || one.route.auth.by !== 'key') continue;
        const call = one.row.call(matrix.dev);
        const response = await fetch(matrix.app.url + call.path, {
          method: 'POST',
          headers: { 'content-type': type, cookie: `hawser_browser=${'a'.repeat(64)}`, origin: 'https://evil.example' },
          body: JSON.stringify(call.body ?? {}),
        });
        expect([one.name, type, response.status]).toEqual([one.name, type, 401]);
      }
    }
    expect(await matrix.dump(matrix.dev)).toBe(before);
  });

  it('abuse 38: other kinds of body are refused with a key too', async () => {
    for (const one of routesWithRows(matrix)) {
      if (one.route.auth.by !== 'key' || one.route.path.startsWith('/proxy') || !['POST', 'PATCH'].includes(one.route.method)) continue; // prettier-ignore
      const response = await fetch(matrix.app.url + one.row.call(matrix.dev).path, {
        method: one.route.method,
        headers: { 'content-type': 'text/plain', authorization: `Bearer ${matrix.dev.key}` },
        body: '{}',
      });
      expect([one.name, response.status]).toEqual([one.name, 415]);
    }
  });
});

describe('abuse 38: text from outside on pages', () => {
  it('abuse 38: 80 payloads are text on every page', async () => {
    const payloads = scriptPayloads();
    expect(payloads.length).toBeGreaterThanOrEqual(80);
    for (const payload of payloads) {
      const pages: [string, Record<string, string>][] = [
        ['/', { error: payload.slice(0, 100), error_description: payload, connection_id: payload }],
        ['/oauth/callback', { error: payload, error_description: payload, state: payload }],
        ['/connect-ui/', { session_token: payload, lang: payload }],
        [`/oauth/connect/${encodeURIComponent(payload)}`, { [`params[${payload}]`]: payload, return_to: payload }],
        [
          '/oauth/connect/crm',
          { connect_session_token: matrix.dev.session, 'params[a]': payload, user_scope: payload },
        ],
      ];
      for (const [path, query] of pages) {
        const response = await fetch(`${matrix.app.url}${path}?${new URLSearchParams(query)}`, {
          redirect: 'manual',
          headers: { accept: 'text/html', 'accept-language': payload.replaceAll(/[^\x20-\x7e]/g, '') },
        });
        const text = await response.text();
        expect([path, response.status < 500]).toEqual([path, true]);
        const isPage = response.headers.get('content-type')?.startsWith('text/html') ?? false;
        expect([path, payload, isPage && text.includes(payload)]).toEqual([path, payload, false]);
      }
    }
  });

  it('abuse 38: stored names are text on the first page', async () => {
    // Of what the page shows, ids of connections may hold the most.
    const id = `"' onfocus="alert(1)" autofocus`.replaceAll('(1)', '');
    await matrix.newConnection(matrix.dev, id);
    const response = await fetch(matrix.app.url);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).not.toContain('onfocus="');
    expect(html).toContain('value="&#34;&#39; onfocus=&#34;alert&#34; autofocus"');
  });
});

describe('abuse 24: secrets and what browsers remember', () => {
  it('abuse 24: no route that takes a credential lets its answer be stored', async () => {
    for (const one of await allAnswers()) {
      if (one.route.auth.by === 'public' && !/oauth|auth/.test(one.route.path)) continue;
      expect([one.name, one.headers.get('cache-control')]).toEqual([one.name, 'no-store']);
    }
  });

  it('abuse 24: with an https URL: the cookie is __Host-, Secure, HttpOnly and Lax; browsers stay on https', async () => {
    const app = await startTestApp({ settings: { HAWSER_PUBLIC_URL: 'https://connect.example.com' } });
    try {
      const local = `http://127.0.0.1:${app.hawser.port}`;
      const made = await callApi(local, app.apiKey, 'POST', '/connect/sessions', { end_user: { id: 'u' } });
      expect(made.headers.get('strict-transport-security')).toBe('max-age=15552000');
      const started = await fetch(`${local}/oauth/connect/xref?connect_session_token=${made.body.data.token}`, { redirect: 'manual' }); // prettier-ignore
      expect(started.status).toBe(302);
      const [cookie = '', ...more] = started.headers.getSetCookie();
      expect(more).toEqual([]);
      const [pair = '', ...flags] = cookie.split('; ');
      expect(pair).toMatch(/^__Host-hawser_browser=[0-9a-f]{64}$/);
      expect(flags.filter((flag) => !flag.startsWith('Max-Age=')).toSorted()).toEqual(['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure']); // prettier-ignore
      expect(started.headers.get('referrer-policy')).toBe('no-referrer');
      expect(started.headers.get('cache-control')).toBe('no-store');
      expect(started.headers.get('location')).not.toContain(made.body.data.token);
    } finally {
      await app.close();
    }
  });

  it('abuse 24: no other route sets a cookie', async () => {
    for (const one of await allAnswers()) {
      if (one.name === 'GET /oauth/connect/:providerConfigKey') continue;
      expect([one.name, one.headers.getSetCookie()]).toEqual([one.name, []]);
    }
  });
});

/** Markup that one context or another would run. */
function scriptPayloads(): string[] {
  const tags = ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg onload=alert(1)>', '<iframe srcdoc="<b>">', '<b>x</b>', '<!--', '<a href="javascript:alert(1)">', '<style>*{}</style>', '<base href=//evil.example>', '<meta http-equiv=refresh content=0>', '</title><script>', '</main><script>', '<math><mi//xlink:href="data:x,<script>">', '<object data=x>', '<form action=//evil.example>']; // prettier-ignore
  const breakouts = ['"', "'", '">', "'>", '" onload="alert(1)', "' autofocus onfocus='alert(1)", '"/>', '`"<', '&quot;><', '&lt;script&gt;<', '\u2028"', '<\u0000script>', '"\n<']; // prettier-ignore
  const combined = tags.flatMap((tag) => ['', '">', "'>", '</script>'].map((start) => start + tag));
  const json = ['{"a":"</script><script>"}', '";alert(1)//', "';alert(1)//", '\\"<', '${"<"}', '{{"<"}}', '<%= "<" %>', '<scr<script>ipt>', '<SCRIPT SRC=//evil.example></SCRIPT>']; // prettier-ignore
  return [...combined, ...breakouts.map((start) => `${start}<x>"'`), ...json];
}
