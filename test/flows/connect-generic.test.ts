/** The flow against an authorization server of our own: PKCE, issuer, answers of every kind, the customer's client. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, sessionToken } from '../support/connect.ts';
import { followBack, startTinyServer, type TinyServer } from './connect-helpers.ts';

let server: TinyServer;
let other: TinyServer;
let app: TestApp;

beforeAll(async () => {
  server = await startTinyServer();
  other = await startTinyServer();
  app = await startTestApp({ settings: { HAWSER_EGRESS_ALLOW: `${server.pair},${other.pair}` } });
  const integration = (key: string, at: TinyServer, more: object) =>
    app.api('POST', '/integrations', {
      provider: 'oauth2-generic',
      unique_key: key,
      credentials: { type: 'OAUTH2', client_id: `client-${key}`, client_secret: `secret-${key}`, scopes: 'a,b' },
      integration_config: {
        issuer: `${at.url}/`,
        authorization_url: `${at.url}/authorize`,
        token_url: `${at.url}/token`,
        ...more,
      },
    });
  for (const answer of [
    await integration('generic', server, {}),
    await integration('basic', server, { token_auth: 'basic' }),
    await integration('no-pkce', server, { pkce: 'off' }),
    await integration('other', other, {}),
  ]) {
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  }
});
afterAll(async () => {
  await app?.close();
  await server?.close();
  await other?.close();
});
const good = () => ({ body: JSON.stringify({ access_token: 'at-1', token_type: 'Bearer', expires_in: 3600 }) });
beforeEach(() => {
  server.requests.length = 0;
  other.requests.length = 0;
  server.answer = good;
  other.answer = good;
});

async function flowOf(key: string, query: Record<string, string> = {}) {
  const flow = await beginFlow(app.url, key, await sessionToken(app, key), query);
  const asked = new URL(flow.location);
  return { ...flow, asked, state: asked.searchParams.get('state') as string };
}

describe('PKCE', () => {
  it('abuse 4: binds the code to the flow with S256, a new verifier each time', async () => {
    const verifiers = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const flow = await flowOf('generic');
      expect(flow.asked.searchParams.get('code_challenge_method')).toBe('S256');
      expect((await followBack(app, `?state=${flow.state}&code=c1`, flow.cookie)).status).toBe(200);
      const { form } = server.requests.at(-1) as (typeof server.requests)[number];
      const verifier = form.get('code_verifier') as string;
      expect(createHash('sha256').update(verifier).digest('base64url')).toBe(
        flow.asked.searchParams.get('code_challenge'),
      );
      expect(form.get('redirect_uri')).toBe(`${app.url}/oauth/callback`);
      expect(form.get('grant_type')).toBe('authorization_code');
      expect([form.get('client_id'), form.get('client_secret')]).toEqual(['client-generic', 'secret-generic']);
      verifiers.add(verifier);
    }
    expect(verifiers.size).toBe(3);
  });

  it('abuse 4: cannot be talked down by the browser', async () => {
    const flow = await flowOf('generic', {
      'authorization_params[code_challenge_method]': 'plain',
      'authorization_params[code_challenge]': 'undefined',
    });
    expect(flow.asked.searchParams.get('code_challenge_method')).toBe('S256');
    expect(flow.asked.searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
  });

  it('is left out where the integration says so', async () => {
    const flow = await flowOf('no-pkce');
    expect(flow.asked.searchParams.has('code_challenge')).toBe(false);
    expect((await followBack(app, `?state=${flow.state}&code=c1`, flow.cookie)).status).toBe(200);
    expect(server.requests.at(-1)?.form.has('code_verifier')).toBe(false);
  });
});

describe('the issuer', () => {
  it('that was asked may answer', async () => {
    const flow = await flowOf('generic');
    const iss = encodeURIComponent(`${server.url}/`);
    expect((await followBack(app, `?state=${flow.state}&code=c1&iss=${iss}`, flow.cookie)).status).toBe(200);
  });

  it.each(['https://evil.example', 'x', 'http://127.0.0.1', '%00'])(
    'abuse 5: %s is refused before the code goes anywhere',
    async (iss) => {
      const flow = await flowOf('generic');
      const response = await followBack(
        app,
        `?state=${flow.state}&code=c1&iss=${encodeURIComponent(iss)}`,
        flow.cookie,
      );
      expect(response.status).toBe(400);
      expect(server.requests).toHaveLength(0);
    },
  );

  it('abuse 5: of another integration is refused: the code is not redeemed at the wrong server', async () => {
    const flow = await flowOf('generic');
    const iss = encodeURIComponent(`${other.url}/`);
    expect((await followBack(app, `?state=${flow.state}&code=c1&iss=${iss}`, flow.cookie)).status).toBe(400);
    expect([server.requests.length, other.requests.length]).toEqual([0, 0]);
  });
});

describe('a provider that always echoes the state', () => {
  it.each(['', '&state=', '&state[]=x', '&State=x', '&payload=x', '&customField=x'])(
    'is not matched by the cookie (%s)',
    async (search) => {
      const flow = await flowOf('generic');
      expect((await followBack(app, `?code=c1${search}`, flow.cookie)).status).toBe(400);
      expect(server.requests).toHaveLength(0);
    },
  );
});

describe('client authentication', () => {
  it('goes into the Basic header where the integration says so', async () => {
    const flow = await flowOf('basic');
    expect((await followBack(app, `?state=${flow.state}&code=c1`, flow.cookie)).status).toBe(200);
    const { headers, form } = server.requests.at(-1) as (typeof server.requests)[number];
    expect(headers.authorization).toBe(`Basic ${Buffer.from('client-basic:secret-basic').toString('base64')}`);
    expect(form.has('client_secret')).toBe(false);
  });

  it('takes the customer’s own client, which is kept with the credential', async () => {
    const flow = await flowOf('generic', {
      'credentials[oauth_client_id_override]': 'theirs',
      'credentials[oauth_client_secret_override]': 'their-secret',
      'credentials[oauth_refresh_token_override]': 'planted',
    });
    expect(flow.asked.searchParams.get('client_id')).toBe('theirs');
    expect((await followBack(app, `?state=${flow.state}&code=c1`, flow.cookie)).status).toBe(200);
    expect(server.requests.at(-1)?.form.get('client_secret')).toBe('their-secret');
    const [row] = await app.db.query<{ connection_id: string; row: string }>(
      'SELECT connection_id, to_jsonb(c)::text AS row FROM connection c ORDER BY id DESC LIMIT 1',
    );
    const { body } = await app.api(
      'GET',
      `/connections/${row?.connection_id}?provider_config_key=generic&refresh_token=true`,
    );
    expect(body.credentials.config_override).toEqual({ client_id: 'theirs', client_secret: 'their-secret' });
    expect(JSON.stringify(body)).not.toContain('planted');
    expect(row?.row).not.toContain('their-secret');
  });
});

describe('answers of the token endpoint', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  it.each<[string, { status?: number; body: string; type?: string }]>([
    ['an error with 400', { status: 400, body: '{"error":"invalid_grant","error_description":"<b>no</b>"}' }],
    ['an error with 200', { body: '{"error":"invalid_grant"}' }],
    ['HTML', { body: '<html><script>alert(1)</script></html>', type: 'text/html' }],
    ['nothing', { body: '' }],
    ['an array', { body: '["at"]' }],
    ['a number', { body: '42' }],
    ['a token that is a number', { body: '{"access_token":42}' }],
    ['a token that is empty', { body: '{"access_token":""}' }],
    ['a prototype', { body: '{"__proto__":{"access_token":"x"}}' }],
    ['half a JSON', { body: '{"access_token":"at' }],
    ['deep nesting', { body: deep }],
    ['too much', { body: `{"access_token":"${'x'.repeat(300_000)}"}` }],
    ['a redirect', { status: 302, body: '' }],
    ['500 with markup', { status: 500, body: '{"error":"<img src=x onerror=alert(1)>"}' }],
  ])('%s: no connection, no markup, no secret', async (_, answer) => {
    server.answer = () => answer;
    const count = async () => (await app.db.query('SELECT 1 FROM connection')).length;
    const before = await count();
    const flow = await flowOf('generic');
    const response = await followBack(app, `?state=${flow.state}&code=the-code`, flow.cookie);
    const html = await response.text();
    expect(response.status).toBe(400);
    expect(html).toContain('token_err');
    const body = html.slice(html.indexOf('<body'));
    expect(body).not.toMatch(/<(script|img|b|html)[\s>]/);
    expect(body).not.toContain('the-code');
    expect(body).not.toContain('secret-generic');
    expect(server.requests).toHaveLength(1);
    expect(await count()).toBe(before);
  });

  it('abuse 12: without scope grants what was asked; with a smaller one, that', async () => {
    const scopeOf = async (): Promise<string | null | undefined> =>
      (
        await app.db.query<{ scope: string | null }>('SELECT scope FROM credential ORDER BY connection_id DESC LIMIT 1')
      )[0]?.scope;
    const one = await flowOf('generic');
    await followBack(app, `?state=${one.state}&code=c`, one.cookie);
    expect(await scopeOf()).toBe('a b');
    server.answer = () => ({ body: '{"access_token":"at-2","token_type":"Bearer","scope":"a"}' });
    const two = await flowOf('generic');
    await followBack(app, `?state=${two.state}&code=c`, two.cookie);
    expect(await scopeOf()).toBe('a');
  });
});

describe('a server that is not there', () => {
  it('is told as such; the flow does not hang', async () => {
    const gone = await startTinyServer();
    await gone.close();
    const answer = await app.api('POST', '/integrations', {
      provider: 'oauth2-generic',
      unique_key: 'gone',
      credentials: { type: 'OAUTH2', client_id: 'c', client_secret: 's' },
      integration_config: {
        authorization_url: 'https://login.example.com/authorize',
        token_url: 'https://127.0.0.1:1/token',
      },
    });
    expect(answer.status).toBe(200);
    const flow = await flowOf('gone');
    const response = await followBack(app, `?state=${flow.state}&code=c`, flow.cookie);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('HAWSER_EGRESS_ALLOW');
  });
});
