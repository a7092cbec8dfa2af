/** The connect flow over plain HTTP: start, callback, reconnect, failures of the provider. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, connectAccount, sessionToken } from '../support/connect.ts';
import { answeredFlow, followBack } from './connect-helpers.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ settings: { HAWSER_RETURN_ORIGINS: 'https://app.example.com' } });
});
afterAll(async () => {
  await app?.close();
});
afterEach(() => {
  for (const name of ['checkr', 'xref', 'checkbook'] as const) app.emulators.get(name).clearFaults();
});

async function credentialsOf(key: string, connectionId: string): Promise<Record<string, unknown>> {
  const { body } = await app.api('GET', `/connections/${connectionId}?provider_config_key=${key}`);
  return body;
}

async function reconnectToken(key: string, connectionId: string, more: object = {}): Promise<string> {
  const { body } = await app.api('POST', '/connect/sessions/reconnect', {
    connection_id: connectionId,
    integration_id: key,
    ...more,
  });
  return body.data.token;
}

describe('a whole flow', () => {
  it.each([
    ['checkr-partner', 'checkr_account_id'],
    ['xref', 'xref_account_id'],
    ['checkbook', undefined],
  ])('connects %s and stores what the provider told', async (key, accountField) => {
    const { connectionId } = await connectAccount(app, key);
    const { body } = await app.api('GET', `/connections/${connectionId}?provider_config_key=${key}`);
    expect(body.credentials.type).toBe('OAUTH2');
    expect(body.credentials.access_token).toMatch(/.{20}/);
    expect(body.end_user).toMatchObject({ id: 'user-1', email: 'user@example.com' });
    expect(body.tags).toMatchObject({ end_user_id: 'user-1', end_user_email: 'user@example.com' });
    const [row] = await app.db.query<{ account_id: string | null }>(
      'SELECT account_id FROM connection WHERE connection_id = $1',
      [connectionId],
    );
    expect(row?.account_id ?? undefined).toBe(accountField && body.connection_config[accountField]);
    if (accountField !== undefined) expect(row?.account_id).toMatch(/^[0-9a-f]{8}/);
  });

  it('abuse 6: sets a cookie that only the server reads and sends nothing to a cache or a referrer', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const url = `${app.url}/oauth/connect/checkr-partner?connect_session_token=${token}`;
    const response = await fetch(url, { redirect: 'manual' });
    expect(response.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^hawser_browser=[0-9a-f]{64}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/),
    ]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(new URL(response.headers.get('location') ?? '').searchParams.get('state')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('writes one auth event and one activity line', async () => {
    const { connectionId } = await connectAccount(app, 'xref');
    await app.services.activity.flush();
    const events = await app.db.query<{ payload: Record<string, unknown> }>(
      `SELECT e.payload FROM event e JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id
       WHERE c.connection_id = $1 AND e.type = 'auth'`,
      [connectionId],
    );
    expect(events.map((event) => event.payload)).toEqual([
      expect.objectContaining({
        operation: 'creation',
        success: true,
        connectionId,
        providerConfigKey: 'xref',
        provider: 'xref',
        authMode: 'OAUTH2',
        environment: 'dev',
        endUser: { endUserId: 'user-1', endUserEmail: 'user@example.com', tags: {} },
      }),
    ]);
    const lines = await app.db.query(
      `SELECT a.summary, a.ok FROM activity a JOIN connection c ON c.id = a.connection_id WHERE c.connection_id = $1`,
      [connectionId],
    );
    expect(lines).toEqual([{ summary: 'Connected', ok: true }]);
  });

  it('asks for the one scope the session chose, and remembers what was granted', async () => {
    const token = await sessionToken(app, 'checkbook', {
      integrations_config_defaults: {
        checkbook: { connection_config: { oauth_scopes_override: 'single-use', team: 'blue' } },
      },
    });
    const flow = await answeredFlow(app, { key: 'checkbook', emulator: 'checkbook', token });
    expect(new URL(flow.location).searchParams.get('scope')).toBe('single-use');
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const [row] = await app.db.query<{ scope: string; connection_config: object }>(
      `SELECT r.scope, c.connection_config FROM credential r
       JOIN connection c ON c.environment_id = r.environment_id AND c.id = r.connection_id
       ORDER BY c.id DESC LIMIT 1`,
    );
    expect(row).toEqual({ scope: 'single-use', connection_config: { team: 'blue' } });
  });
});

describe('a redirect flow', () => {
  it('comes back to an allowed origin with the result', async () => {
    const query = { return_to: 'https://app.example.com/settings?tab=2#x' };
    const flow = await answeredFlow(app, { query });
    const response = await followBack(app, flow.back, flow.cookie);
    expect(response.status).toBe(302);
    const back = new URL(response.headers.get('location') ?? '');
    expect(`${back.origin}${back.pathname}${back.hash}`).toBe('https://app.example.com/settings#x');
    expect(Object.fromEntries(back.searchParams)).toEqual({
      tab: '2',
      provider_config_key: 'checkr-partner',
      connection_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: 'success',
    });
  });

  it('comes back with the error, also when the flow could not start', async () => {
    const query = { return_to: `${app.url}/connect-ui/` };
    const flow = await answeredFlow(app, { query, decision: 'deny' });
    const refused = await followBack(app, flow.back, flow.cookie);
    expect(refused.headers.get('location')).toBe(
      `${app.url}/connect-ui/?provider_config_key=checkr-partner&status=error&error=access_denied`,
    );
    const token = await sessionToken(app, 'xref');
    const search = new URLSearchParams({ connect_session_token: token, ...query });
    const early = await fetch(`${app.url}/oauth/connect/checkr-partner?${search}`, { redirect: 'manual' });
    expect(early.headers.get('location')).toContain('status=error&error=integration_not_allowed');
  });
});

describe('reconnect', () => {
  it('keeps id, tags and metadata and replaces the credential', async () => {
    const { connectionId } = await connectAccount(app, 'xref', { session: { tags: { plan: 'gold' } } });
    await app.api('POST', '/connections/metadata', {
      connection_id: connectionId,
      provider_config_key: 'xref',
      metadata: { a: 1 },
    });
    const before = await credentialsOf('xref', connectionId);
    const token = await reconnectToken('xref', connectionId);
    const flow = await answeredFlow(app, { key: 'xref', emulator: 'xref', token });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const after = await credentialsOf('xref', connectionId);
    expect(after).toMatchObject({
      id: before['id'],
      connection_id: connectionId,
      tags: before['tags'],
      metadata: { a: 1 },
      end_user: before['end_user'],
    });
    expect(after['credentials']).not.toEqual(before['credentials']);
    const [event] = await app.db.query<{ payload: { operation: string } }>(
      `SELECT payload FROM event WHERE type = 'auth' ORDER BY id DESC LIMIT 1`,
    );
    expect(event?.payload.operation).toBe('override');
  });

  it('for another end user: its tags follow, those of the app stay', async () => {
    const { connectionId } = await connectAccount(app, 'xref', {
      session: { end_user: { id: 'before', email: 'before@example.com' } },
    });
    await app.db.query(`UPDATE connection SET tags = tags || '{"plan":"gold"}' WHERE connection_id = $1`, [
      connectionId,
    ]);
    const token = await reconnectToken('xref', connectionId, { end_user: { id: 'after' } });
    const flow = await answeredFlow(app, { key: 'xref', emulator: 'xref', token });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const after = await credentialsOf('xref', connectionId);
    expect(after).toMatchObject({ end_user: { id: 'after' }, tags: { end_user_id: 'after', plan: 'gold' } });
    expect(after['tags']).not.toHaveProperty('end_user_email');
  });

  it('repairs only its own connection', async () => {
    const { connectionId } = await connectAccount(app, 'xref');
    const token = await reconnectToken('xref', connectionId);
    const url = `${app.url}/oauth/connect/checkr-partner?connect_session_token=${token}`;
    const response = await fetch(url, { redirect: 'manual', headers: { accept: 'application/json' } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'integration_not_allowed' } });
  });

  it('does not bring a deleted connection back to life', async () => {
    const { connectionId } = await connectAccount(app, 'xref');
    const token = await reconnectToken('xref', connectionId);
    const flow = await answeredFlow(app, { key: 'xref', emulator: 'xref', token });
    await app.api('DELETE', `/connections/${connectionId}?provider_config_key=xref`);
    const response = await followBack(app, flow.back, flow.cookie);
    expect(response.status).toBe(400);
    const { body } = await app.api('GET', `/connections?connectionId=${connectionId}`);
    expect(body.connections).toEqual([]);
  });

  it('keeps the working credential when the customer refuses or the provider fails', async () => {
    const { connectionId } = await connectAccount(app, 'checkr-partner');
    const before = await credentialsOf('checkr-partner', connectionId);
    const token = await reconnectToken('checkr-partner', connectionId);
    const refused = await answeredFlow(app, { token, decision: 'deny' });
    expect((await followBack(app, refused.back, refused.cookie)).status).toBe(400);
    for (const name of ['server-error', 'html', 'truncated', 'reset', 'ok-with-error', 'empty'] as const) {
      app.emulators.get('checkr').setFault({ name, on: 'token' });
      const flow = await answeredFlow(app, { token });
      const response = await followBack(app, flow.back, flow.cookie);
      expect([name, response.status]).toEqual([name, 400]);
    }
    const after = await credentialsOf('checkr-partner', connectionId);
    expect(after['credentials']).toEqual(before['credentials']);
    expect(after['errors']).toEqual([]);
    // The session was not spent by failures.
    const flow = await answeredFlow(app, { token });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
  });
});

describe('failures after the flow is found', () => {
  it.each([
    ['server-error', 'token_err'],
    ['bad-gateway-html', 'token_err'],
    ['rate-limited', 'token_err'],
    ['html', 'token_err'],
    ['ok-with-error', 'token_err'],
    ['empty', 'token_err'],
    ['login-redirect', 'token_err'],
    ['truncated', 'token_err'],
    ['lost-reply', 'token_err'],
    ['reset', 'token_err'],
  ] as const)('%s at the token endpoint is told as %s, to the developer too', async (name, type) => {
    app.emulators.get('xref').setFault({ name, on: 'token' });
    const flow = await answeredFlow(app, { key: 'xref', emulator: 'xref' });
    const code = flow.back.searchParams.get('code') as string;
    const response = await followBack(app, flow.back, flow.cookie);
    const html = await response.text();
    expect(response.status).toBe(400);
    expect(html).toContain(`<code>${type}</code>`);
    expect(html).not.toContain(code);
    await app.services.activity.flush();
    const [line] = await app.db.query<{ ok: boolean; summary: string }>(
      `SELECT ok, summary FROM activity WHERE kind = 'connect' ORDER BY id DESC LIMIT 1`,
    );
    expect(line?.ok).toBe(false);
    expect(line?.summary).toMatch(/[Xx]ref|127\.0\.0\.1|localhost/);
    expect(line?.summary).not.toContain(code);
    const [event] = await app.db.query<{ payload: object }>(
      `SELECT payload FROM event WHERE type = 'auth' ORDER BY id DESC LIMIT 1`,
    );
    expect(event?.payload).toMatchObject({ operation: 'creation', success: false, providerConfigKey: 'xref' });
  });

  it('a refusal says so calmly', async () => {
    const flow = await answeredFlow(app, { decision: 'deny' });
    const response = await followBack(app, flow.back, flow.cookie, { 'accept-language': 'de-CH,fr;q=0.5' });
    const html = await response.text();
    expect(response.status).toBe(400);
    expect(html).toContain('<html lang="de">');
    expect(html).toContain('Der Zugriff wurde nicht erlaubt');
    expect(html).toContain('callback_err');
  });

  it('an answer with neither code nor error is refused', async () => {
    const flow = await answeredFlow(app);
    flow.back.searchParams.delete('code');
    const before = app.emulators.get('checkr').tokenRequestCount();
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(400);
    expect(app.emulators.get('checkr').tokenRequestCount()).toBe(before);
  });
});

describe('the callback page', () => {
  it('abuse 11: has an exact policy, no cache, no referrer, and speaks to our own origin only', async () => {
    const flow = await answeredFlow(app, { query: { ws_client_id: '6f1d9f4e-6e3e-4b0c-9a51-0d2f9d1f9a11' } });
    const response = await followBack(app, flow.back, flow.cookie);
    const html = await response.text();
    const policy = response.headers.get('content-security-policy') ?? '';
    const nonce = /script-src 'nonce-([0-9a-f]{64})'/.exec(policy)?.[1] as string;
    expect(policy).toBe(
      `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).toMatch(
      new RegExp(`<script src="/connect-ui/assets/callback-[A-Z0-9]+\\.js" nonce="${nonce}" defer></script>`),
    );
    expect(html).toContain(`data-origin="${app.url}"`);
    const message = /data-message="([^"]*)"/.exec(html)?.[1]?.replaceAll('&#34;', '"') ?? '';
    expect(JSON.parse(message)).toEqual({
      type: 'nango_oauth_callback_success',
      payload: {
        providerConfigKey: 'checkr-partner',
        connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        clientId: '6f1d9f4e-6e3e-4b0c-9a51-0d2f9d1f9a11',
      },
    });
  });

  it('abuse 12: keeps markup in the provider’s words as text', async () => {
    const payloads = [
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      "' onmouseover='alert(1)",
      '</body><svg onload=alert(1)>',
      '&lt;script&gt;alert(1)&lt;/script&gt;',
      '{{constructor.constructor("alert(1)")()}}',
      '<!--<script>',
      '\u2028<iframe src=javascript:alert(1)>',
    ];
    for (const payload of payloads) {
      const flow = await answeredFlow(app, { decision: 'deny' });
      flow.back.searchParams.set('error', payload);
      flow.back.searchParams.set('error_description', payload);
      const html = await (await followBack(app, flow.back, flow.cookie)).text();
      const body = html.slice(html.indexOf('<body'));
      expect(body).not.toMatch(/<(script|img|svg|iframe|!--)/);
      // Attributes end only where we end them.
      expect(body.match(/<body class="standalone" data-origin="[^"]*" data-message="[^"]*">/)).not.toBeNull();
    }
  });
});

describe('starting a flow', () => {
  const start = (key: string, query: Record<string, string>, accept = 'application/json') =>
    fetch(`${app.url}/oauth/connect/${key}?${new URLSearchParams(query)}`, { redirect: 'manual', headers: { accept } });

  it.each([
    ['no token', {}, 401, 'invalid_connect_session_token_format'],
    [
      'a malformed token',
      { connect_session_token: 'nango_connect_session_12' },
      401,
      'invalid_connect_session_token_format',
    ],
    [
      'an unknown token',
      { connect_session_token: `nango_connect_session_${'0'.repeat(64)}` },
      401,
      'unknown_connect_session_token',
    ],
    ['a public key', { public_key: '6f1d9f4e-6e3e-4b0c-9a51-0d2f9d1f9a11' }, 401, 'deprecated_authentication'],
  ])('with %s is refused', async (_, query, status, code) => {
    const response = await start('checkr-partner', query as Record<string, string>);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code, message: expect.any(String) } });
  });

  it('refuses a connection id, an unknown parameter and a foreign integration', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const base = { connect_session_token: token };
    const named = await start('checkr-partner', { ...base, connection_id: 'mine' });
    expect(named.status).toBe(400);
    expect(await named.json()).toMatchObject({
      error: { code: 'invalid_query_params', errors: [{ path: ['connection_id'] }] },
    });
    const odd = await start('checkr-partner', { ...base, evil: '1' });
    expect(await odd.json()).toMatchObject({ error: { code: 'invalid_query_params', errors: [{ path: ['evil'] }] } });
    const foreign = await start('xref', base);
    expect(await foreign.json()).toMatchObject({ error: { code: 'integration_not_allowed' } });
    const unknown = await start('nothing', base);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ error: { code: 'unknown_provider_config' } });
  });

  it('shows a person a page instead', async () => {
    const response = await start('checkr-partner', {}, 'text/html,application/xhtml+xml');
    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(await response.text()).toContain('This link is no longer valid');
  });

  it('takes what the published client always sends', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const flow = await beginFlow(app.url, 'checkr-partner', token, {
      ws_client_id: '6f1d9f4e-6e3e-4b0c-9a51-0d2f9d1f9a11',
      user_scope: '',
      hmac: '',
      'params[a]': 'b',
      'authorization_params[prompt]': 'consent',
    });
    expect(new URL(flow.location).searchParams.get('prompt')).toBe('consent');
  });
});
