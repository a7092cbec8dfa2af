/** Who may call what, what connections look like over the API, and what two nodes make of it (wire contract A, B). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount, sessionToken } from '../support/connect.ts';

let app: TestApp;
let connectionId: string;
beforeAll(async () => {
  app = await startTestApp();
  connectionId = (await connectAccount(app, 'checkr-partner')).connectionId;
});
afterAll(() => app?.close());

interface Operation {
  method: string;
  path: string;
}

/** Every documented route, from the server's own description. */
async function operations(): Promise<Operation[]> {
  const { body } = await callApi(app.url, app.apiKey, 'GET', '/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  return Object.entries(body.paths as Record<string, Record<string, unknown>>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
}

/** A call without key, with another header, or with another key. */
function raw(operation: Operation, headers: Record<string, string>) {
  const path = operation.path.replaceAll(/\{[^}]+\}/g, 'some');
  return fetch(app.url + path, { method: operation.method, headers, redirect: 'manual' });
}

/** Routes that nobody's secret opens, with the reason they are open. */
const PUBLIC = [/^\/api-auth\//, /^\/auth\//, /^\/oauth2?\//, /^\/connect\/telemetry$/, /^\/images\//];

describe('auth', () => {
  it('every documented route but the browser ones asks for a key, and says what is wrong with it', async () => {
    const all = await operations();
    // An answer to HEAD has no body to look at.
    const closed = all.filter(({ method, path }) => method !== 'HEAD' && !PUBLIC.some((pattern) => pattern.test(path)));
    expect(closed.length).toBeGreaterThan(15);
    for (const operation of closed) {
      const name = `${operation.method} ${operation.path}`;
      const cases: [Record<string, string>, string[]][] = [
        [{}, ['missing_auth_header']],
        [{ authorization: 'Basic eDp5' }, ['malformed_auth_header']],
        [{ authorization: 'Bearer not-a-uuid' }, ['invalid_secret_key_format', 'invalid_connect_session_token_format']],
        [
          { authorization: `Bearer ${crypto.randomUUID()}` },
          ['unknown_account', 'invalid_connect_session_token_format'],
        ],
      ];
      for (const [headers, codes] of cases) {
        const response = await raw(operation, headers);
        expect(response.status, name).toBe(401);
        const { error } = (await response.json()) as { error: { code: string; message: string } };
        expect(codes, name).toContain(error.code);
        expect(error.message.length).toBeGreaterThan(10);
      }
    }
  });

  it('a key of one environment sees nothing of another', async () => {
    const other = (method: string, path: string, body?: unknown) =>
      callApi(app.url, app.prodApiKey, method, path, body);
    expect((await other('GET', '/connections')).body.connections).toEqual([]);
    expect((await other('GET', '/integrations')).body.data).toEqual([]);
    expect((await other('GET', '/integrations/checkr-partner')).status).toBe(404);
    const query = '?provider_config_key=checkr-partner';
    expect((await other('GET', `/connections/${connectionId}${query}`)).body.error.code).toBe(
      'unknown_provider_config',
    );
    expect((await other('DELETE', `/connections/${connectionId}${query}`)).status).toBe(400);
    const proxied = await callApi(app.url, app.prodApiKey, 'GET', '/proxy/v1/account', undefined, {
      'provider-config-key': 'checkr-partner',
      'connection-id': connectionId,
    });
    expect(proxied.status).toBe(404);
  });

  it('a key with fewer scopes does only that, and is told the scope it lacks', async () => {
    const environment = (await app.services.environments.byName('dev')) as { id: number };
    const { secret } = await app.services.environments.createKey({
      environmentId: environment.id,
      displayName: 'reader',
      scopes: ['environment:connections:read', 'environment:integrations:*'],
    });
    const limited = (method: string, path: string) => callApi(app.url, secret, method, path);
    expect((await limited('GET', '/integrations')).status).toBe(200);
    const listed = await limited('GET', '/connections');
    expect(listed.status).toBe(403);
    expect(listed.body.error).toEqual({
      code: 'forbidden',
      message:
        'Insufficient scope. Required one of: environment:connections:list or environment:connections:list_credentials',
    });
    const path = `/connections/${connectionId}?provider_config_key=checkr-partner`;
    const read = await limited('GET', path);
    expect(read.status).toBe(200);
    expect(read.body.credentials).toEqual({});
    expect((await limited('GET', `${path}&force_refresh=true`)).body.error.code).toBe('forbidden');
    expect((await limited('GET', `${path}&refresh_token=true`)).status).toBe(403);
    const proxied = await callApi(app.url, secret, 'GET', '/proxy/v1/account', undefined, {
      'provider-config-key': 'checkr-partner',
      'connection-id': connectionId,
    });
    expect(proxied.body.error).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('environment:proxy'),
    });
  });

  it('a connect session opens its own routes and no route of the app’s backend', async () => {
    const token = await sessionToken(app, 'xref');
    const asSession = (method: string, path: string) => callApi(app.url, token, method, path);
    const integrations = await asSession('GET', '/integrations');
    expect(integrations.body.data.map((one: { unique_key: string }) => one.unique_key)).toEqual(['xref']);
    expect((await asSession('GET', '/connect/session')).status).toBe(200);
    expect((await asSession('GET', '/providers/xref')).status).toBe(200);
    for (const path of [
      '/connections',
      '/integrations/xref',
      `/connections/${connectionId}?provider_config_key=xref`,
    ]) {
      expect((await asSession('GET', path)).status).toBe(401);
    }
    expect((await asSession('DELETE', '/connect/session')).status).toBe(204);
    expect((await asSession('GET', '/connect/session')).body.error.code).toBe('unknown_connect_session_token');
  });
});

describe('proxy', () => {
  it('the address of the provider itself can be called: /proxy/ with nothing behind', async () => {
    const place = { 'provider-config-key': 'checkr-partner', 'connection-id': connectionId };
    const headers = { ...place, authorization: `Bearer ${app.apiKey}` };
    for (const path of ['/proxy/', '/proxy/?a=1']) {
      const { status, headers: given } = await fetch(app.url + path, { headers, redirect: 'manual' });
      // Where the emulator of Checkr sends whoever opens its address.
      expect([status, given.get('location')], path).toEqual([302, '/checkr/developer']);
    }
    expect((await callApi(app.url, app.apiKey, 'GET', '/proxy', undefined, place)).body.error.code).toBe(
      'invalid_endpoint',
    );
    expect((await fetch(`${app.url}/proxy/`)).status).toBe(401);
  });
});

describe('syncs', () => {
  const place = { provider_config_key: 'checkr-partner', connection_id: 'none' };

  it('a variant gets no name that lists and records could not tell from another', async () => {
    for (const name of ['a,b', 'a::b', 'a b', 'ä']) {
      const { status, body } = await app.api('POST', `/sync/packages/variant/${encodeURIComponent(name)}`, place);
      expect([status, body.error.code], name).toEqual([400, 'invalid_uri_params']);
    }
    expect((await app.api('POST', '/sync/packages/variant/eu-1_B', place)).body.error.code).toBe('unknown_connection');
  });

  it('a frequency that is none is called so', async () => {
    const put = (frequency: string) =>
      app.api('PUT', '/sync/update-connection-frequency', { ...place, sync_name: 'packages', frequency });
    expect((await put('hourly')).body.error.message).toContain('"hourly" is no period');
    expect((await put('40 days')).body.error).toMatchObject({
      code: 'sync_interval_too_short',
      message: expect.stringContaining('31 days'),
    });
  });
});

describe('connections', () => {
  it('imports OAuth 2, API key, Basic and none; the same id again overrides; the dates of this answer end in Z', async () => {
    const make = (provider: string) =>
      app.api('POST', '/integrations', { provider, unique_key: provider, custom: { emulated: 'false' } });
    for (const provider of ['private-api-bearer', 'private-api-basic', 'unauthenticated']) {
      expect((await make(provider)).status).toBe(200);
    }
    const bodies: [string, Record<string, unknown>, Record<string, unknown>][] = [
      ['private-api-bearer', { type: 'API_KEY', apiKey: 'k-1' }, { type: 'API_KEY', apiKey: 'k-1' }],
      [
        'private-api-basic',
        { type: 'BASIC', username: 'me', password: '' },
        { type: 'BASIC', username: 'me', password: '' },
      ],
      ['unauthenticated', { type: 'NONE' }, {}],
    ];
    for (const [key, credentials, expected] of bodies) {
      const made = await app.api('POST', '/connections', {
        provider_config_key: key,
        connection_id: `imported-${key}`,
        credentials,
        metadata: { from: 'elsewhere' },
        tags: { Origin: 'import' },
      });
      expect(made.status).toBe(201);
      expect(made.body).toMatchObject({
        credentials: expected,
        metadata: { from: 'elsewhere' },
        tags: { origin: 'import' },
      });
      expect(made.body.created_at).toMatch(/Z$/);
    }
    const oauth = (token: string) =>
      app.api('POST', '/connections', {
        provider_config_key: 'xref',
        connection_id: 'a@b.example',
        credentials: { type: 'OAUTH2', access_token: token },
      });
    const first = await oauth('token-one');
    const second = await oauth('token-two');
    expect(second.body.id).toBe(first.body.id);
    const read = await app.api('GET', '/connections/a%40b.example?provider_config_key=xref');
    expect(read.body.credentials.access_token).toBe('token-two');
    const events = await app.db.query<{ operation: string }>(
      `SELECT payload ->> 'operation' AS operation FROM event WHERE type = 'auth' AND connection_id = $1 ORDER BY id`,
      [first.body.id],
    );
    expect(events.map((row) => row.operation)).toEqual(['creation', 'override']);
  });

  it('old names answer the same: /connection, /connection/:id, /config/:key, flat import', async () => {
    const flat = await app.api('POST', '/connection', {
      connection_id: 'legacy',
      provider_config_key: 'xref',
      access_token: 'legacy-token',
    });
    expect(flat.status).toBe(201);
    expect((await app.api('GET', '/connection?connectionId=legacy')).body.connections).toHaveLength(1);
    const read = await app.api('GET', '/connection/legacy?provider_config_key=xref');
    expect(read.body.credentials.access_token).toBe('legacy-token');
    const set = await app.api('POST', '/connection/legacy/metadata', { a: 1 }, { 'provider-config-key': 'xref' });
    expect(set.status).toBe(201);
    const config = await app.api('GET', '/config/xref?include_creds=true');
    expect(config.body.config).toMatchObject({ unique_key: 'xref', provider: 'xref', client_id: expect.any(String) });
    expect((await app.api('DELETE', '/connection/legacy?provider_config_key=xref')).body.success).toBe(true);
  });

  it('an imported token ends when the app says: ISO text, milliseconds or seconds; anything else is refused', async () => {
    const put = (expires_at: unknown) =>
      app.api('POST', '/connections', {
        provider_config_key: 'xref',
        connection_id: 'ends',
        credentials: { type: 'OAUTH2', access_token: 'token-ends', expires_at },
      });
    const seconds = Date.UTC(2099, 0) / 1_000;
    for (const given of ['2099-01-01T00:00:00.000Z', '2099-01-01', seconds * 1_000, seconds]) {
      expect((await put(given)).body.credentials.expires_at, String(given)).toBe('2099-01-01T00:00:00.000Z');
    }
    for (const given of [null, true, '', 'soon', String(seconds), 1e18]) {
      const { status, body } = await put(given);
      expect([status, body.error?.code], String(given)).toEqual([400, 'invalid_body']);
      expect(body.error.errors[0].path).toEqual(['credentials', 'expires_at']);
    }
    const flat = (more: object) =>
      app.api('POST', '/connection', {
        connection_id: 'ends',
        provider_config_key: 'xref',
        access_token: 't',
        ...more,
      });
    expect((await flat({ expires_at: seconds })).status).toBe(201);
    const read = await app.api('GET', '/connections/ends?provider_config_key=xref');
    expect(read.body.credentials.expires_at).toBe('2099-01-01T00:00:00.000Z');
    expect((await flat({ expires_in: 1e15 })).body.error.code).toBe('invalid_body');
    await app.api('DELETE', '/connections/ends?provider_config_key=xref');
  });

  it('an import over a connection that names no end user and no tags keeps them, and its answer is what Get says', async () => {
    const put = (more: object) =>
      app.api('POST', '/connections', {
        provider_config_key: 'xref',
        connection_id: 'again',
        credentials: { type: 'OAUTH2', access_token: 'token-again' },
        ...more,
      });
    const end_user = { id: 'keeper', email: 'keeper@example.com' };
    const first = await put({ end_user, tags: { Region: 'eu' } });
    expect(first.body.tags).toEqual({ region: 'eu', end_user_id: 'keeper', end_user_email: 'keeper@example.com' });
    const again = (await put({})).body;
    expect(again.tags).toEqual(first.body.tags);
    expect(again.end_user).toEqual({ ...end_user, display_name: null, tags: {}, organization: null });
    const read = (await app.api('GET', '/connections/again?provider_config_key=xref')).body;
    expect([read.tags, read.end_user]).toEqual([again.tags, again.end_user]);
    expect((await put({ tags: {} })).body.tags).toEqual({});
    await app.api('DELETE', '/connections/again?provider_config_key=xref');
  });

  it('another end user takes the tags of the one before along, and no tag of the app', async () => {
    const path = '/connections/moved?provider_config_key=xref';
    await app.api('POST', '/connections', {
      provider_config_key: 'xref',
      connection_id: 'moved',
      credentials: { type: 'OAUTH2', access_token: 'token-moved' },
      end_user: { id: 'first', email: 'first@example.com', display_name: 'First', tags: { plan: 'pro' } },
      tags: { Region: 'eu' },
    });
    const patch = async (body: object) => {
      expect((await app.api('PATCH', path, body)).status).toBe(200);
      return (await app.api('GET', path)).body.tags;
    };
    const second = { end_user_id: 'second', end_user_email: 'second@example.com' };
    expect(await patch({ end_user: { id: 'second', email: 'second@example.com' } })).toEqual({
      region: 'eu',
      ...second,
    });
    expect((await app.api('GET', '/connections?tags[end_user_id]=first')).body.connections).toEqual([]);
    // What a call does not name of a known end user stays his.
    expect(await patch({ end_user: { id: 'second', display_name: 'Second' } })).toEqual({
      region: 'eu',
      ...second,
      end_user_display_name: 'Second',
    });
    expect(await patch({ tags: { only: 'this' } })).toEqual({ only: 'this' });
    await app.api('DELETE', path);
  });

  it('an address for its events is checked wherever it is given', async () => {
    await app.api('POST', '/integrations', { provider: 'unauthenticated', unique_key: 'told' });
    const place = { provider_config_key: 'told', connection_id: 'told', credentials: { type: 'NONE' } };
    const give = (url: string) => [
      () => app.api('POST', '/connections', { ...place, webhook_url_override: url }),
      () => app.api('PATCH', '/connections/told?provider_config_key=told', { webhook_url_override: url }),
    ];
    for (const call of give('')) expect((await call()).status).toBeLessThan(300);
    for (const url of ['http://169.254.169.254/', 'http://10.0.0.1/hook', app.url]) {
      for (const call of give(url)) {
        expect([url, await call()]).toMatchObject([
          url,
          { status: 400, body: { error: { code: 'invalid_body', errors: [{ path: ['webhook_url_override'] }] } } },
        ]);
      }
    }
    await app.api('DELETE', '/integrations/told');
  });

  it('pages, newest first', async () => {
    const all = (await app.api('GET', '/connections')).body.connections as { connection_id: string }[];
    const pages = [];
    for (let page = 0; pages.length < all.length; page += 1) {
      const answer = await app.api('GET', `/connections?limit=2&page=${page}`);
      expect(answer.body.connections.length).toBeGreaterThan(0);
      pages.push(...(answer.body.connections as { connection_id: string }[]));
    }
    expect(pages).toEqual(all);
  });

  it('deleting an integration lets go of its connections at the provider', async () => {
    const { body } = await app.api('GET', '/integrations/xref?include=credentials');
    const { type, client_id, client_secret } = body.data.credentials;
    await app.api('POST', '/integrations', {
      provider: 'xref',
      unique_key: 'xref-two',
      credentials: { type, client_id, client_secret },
      custom: { emulated: 'true' },
    });
    const made = await connectAccount(app, 'xref-two', { emulator: 'xref' });
    const renamed = await app.api('PATCH', '/integrations/xref-two', { unique_key: 'other' });
    expect(renamed.body.error).toMatchObject({ code: 'invalid_body' });
    expect((await app.api('DELETE', '/integrations/xref-two')).body).toEqual({ success: true });
    expect((await app.api('GET', `/connections?connectionId=${made.connectionId}`)).body.connections).toEqual([]);
    await app.services.disconnect.sweep();
    await expect.poll(() => app.emulators.get('xref').grants().at(-1)?.state).toBe('revoked');
  });
});

describe('two nodes on one database', () => {
  it('what one writes, the other sees; a key, an integration and a credential change reach its memory', async () => {
    const other = await app.startNode();
    const there = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
      callApi(other.url, app.apiKey, method, path, body, headers);
    const { connectionId: id } = await connectAccount(app, 'checkbook');
    const ids = { 'provider-config-key': 'checkbook', 'connection-id': id };
    expect((await there('GET', '/proxy/v3/check', undefined, ids)).status).toBe(200);
    const before = (await there('GET', `/connections/${id}?provider_config_key=checkbook`)).body.credentials;
    const renewed = await app.api('GET', `/connections/${id}?provider_config_key=checkbook&force_refresh=true`);
    expect(renewed.body.credentials.access_token).not.toBe(before.access_token);
    await expect
      .poll(async () => {
        const read = await there('GET', `/connections/${id}?provider_config_key=checkbook`);
        return read.body.credentials.access_token as string;
      })
      .toBe(renewed.body.credentials.access_token);
    expect((await there('GET', '/proxy/v3/check', undefined, ids)).status).toBe(200);

    await app.api('PATCH', '/integrations/checkbook', { display_name: 'Renamed' });
    await expect
      .poll(async () => (await there('GET', '/integrations/checkbook')).body.data.display_name as string)
      .toBe('Renamed');
    await app.api('DELETE', `/connections/${id}?provider_config_key=checkbook`);
    await expect.poll(async () => (await there('GET', '/proxy/v3/check', undefined, ids)).status).not.toBe(200);
  });
});
