/** The proxy of a whole Hawser, called by the unmodified published client: emulated providers and an echoing API. */
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/build.ts';
import { connectAccount } from '../support/connect.ts';
import { sha256 } from '../support/proxy.ts';

interface Echoed {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** Latin-1. */
  body: string;
}

const big = randomBytes(2 * 1024 * 1024);
let echo: http.Server;
let app: TestApp;
let nango: Nango;
let lastBody: Buffer;

beforeAll(async () => {
  echo = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      lastBody = Buffer.concat(chunks);
      if (request.url?.startsWith('/api/big')) {
        response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(big);
        return;
      }
      const { method, url, headers } = request;
      const text = JSON.stringify({ method, url, headers, body: lastBody.toString('latin1') });
      response.writeHead(200, { 'content-type': 'application/json', 'x-echo': 'yes' }).end(text);
    });
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const pair = `127.0.0.1:${(echo.address() as AddressInfo).port}`;
  app = await startTestApp({ settings: { HAWSER_EGRESS_ALLOW: pair } });
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
  const environment = await app.services.environments.byName('dev');
  await app.services.integrations.create(environment!.id, {
    provider: 'private-api-bearer',
    uniqueKey: 'echo',
    integrationConfig: { base_url: `http://${pair}/api` },
  });
  const imported = await app.api('POST', '/connections', {
    provider_config_key: 'echo',
    connection_id: 'customer-1',
    credentials: { type: 'API_KEY', apiKey: 'the-customers-key' },
  });
  expect([imported.status, imported.text]).toEqual([201, expect.any(String)]);
});
afterAll(async () => {
  await app?.close();
  echo.closeAllConnections();
  await new Promise((resolve) => echo.close(resolve));
});

const onEcho = { providerConfigKey: 'echo', connectionId: 'customer-1' };

describe('the published client', () => {
  it.each(['get', 'post', 'put', 'patch', 'delete'] as const)('%s: params, headers, data', async (method) => {
    const got = await nango[method]<Echoed>({
      ...onEcho,
      endpoint: '/things?fixed=1',
      params: { q: "it's", page: '2' },
      headers: { 'X-Mine': 'here', 'Content-Type': 'application/json' },
      ...(method === 'get' ? {} : { data: { a: [1, 'é'] } }),
    });
    expect(got.status).toBe(200);
    expect(got.headers['x-echo']).toBe('yes');
    const { data } = got;
    expect(data.method).toBe(method.toUpperCase());
    const url = new URL(data.url, 'http://x');
    expect([url.pathname, url.searchParams.get('fixed'), url.searchParams.get('q')]).toEqual([
      '/api/things',
      '1',
      "it's",
    ]);
    expect(data.headers).toMatchObject({ authorization: 'Bearer the-customers-key', 'x-mine': 'here' });
    expect(
      Object.keys(data.headers).filter((name) => /nango|provider|connection-id|retries|x-forwarded/.test(name)),
    ).toEqual([]);
    if (method !== 'get') expect(JSON.parse(lastBody.toString('utf8'))).toEqual({ a: [1, 'é'] });
  });

  it('sends urlencoded, multipart and binary bodies as they are', async () => {
    const form = await nango.post<Echoed>({
      ...onEcho,
      endpoint: '/f',
      data: new URLSearchParams({ a: '1', b: 'x y' }),
    });
    expect([form.data.body, form.data.headers['content-type']]).toEqual([
      'a=1&b=x+y',
      expect.stringContaining('application/x-www-form-urlencoded'),
    ]);
    const parts = new FormData();
    parts.append('file', new Blob([big.subarray(0, 5000)]), 'a.bin');
    const multipart = await nango.post<Echoed>({ ...onEcho, endpoint: '/m', data: parts });
    const boundary = /boundary=(.+)$/.exec(multipart.data.headers['content-type'] ?? '')?.[1];
    expect(multipart.data.body).toContain(`--${boundary}`);
    expect(lastBody.includes(big.subarray(0, 5000))).toBe(true);
    await nango.post({ ...onEcho, endpoint: '/b', data: big, headers: { 'Content-Type': 'application/octet-stream' } });
    expect(sha256(lastBody)).toBe(sha256(big));
  });

  it('reads 2 MB as a buffer and as a stream', async () => {
    const whole = await nango.get<Buffer>({ ...onEcho, endpoint: '/big', responseType: 'arraybuffer' });
    expect(sha256(Buffer.from(whole.data))).toBe(sha256(big));
    const streamed = await nango.get<Readable>({ ...onEcho, endpoint: '/big', responseType: 'stream' });
    const chunks: Buffer[] = [];
    for await (const chunk of streamed.data) chunks.push(chunk as Buffer);
    expect(sha256(Buffer.concat(chunks))).toBe(sha256(big));
  });

  it('gets errors of ours in the envelope', async () => {
    const answer = await nango.get({ endpoint: '/x', providerConfigKey: 'nobody', connectionId: 'x' }).then(
      () => undefined,
      (error: { response: { status: number; data: unknown } }) => error.response,
    );
    expect(answer).toMatchObject({ status: 404, data: { error: { code: 'unknown_provider_config' } } });
    const unknown = await nango.get({ ...onEcho, endpoint: '/x', connectionId: 'nobody' }).then(
      () => undefined,
      (error: { response: { status: number; data: unknown } }) => error.response,
    );
    expect(unknown).toMatchObject({ status: 400, data: { error: { code: 'unknown_connection' } } });
  });

  it('is counted in the activity of the connection, without query and secrets', async () => {
    await nango.get({ ...onEcho, endpoint: '/seen?secret=canary' });
    const environment = await app.services.environments.byName('dev');
    const lines = await eventually(
      async () => {
        await app.services.activity.flush();
        return app.services.activity.list({ environmentId: environment!.id, limit: 5 });
      },
      (found) => found.some(({ summary }) => summary === 'GET /api/seen → 200'),
    );
    expect(JSON.stringify(lines)).not.toMatch(/canary|the-customers-key/);
  });
});

describe('the hot path', () => {
  it('asks the database nothing while key and connection are in memory', async () => {
    const CALLS = 50;
    await nango.get({ ...onEcho, endpoint: '/warm' });
    const asked: string[] = [];
    const { db } = app;
    const { query, transaction } = db;
    db.query = ((text: string, ...rest: []) => {
      asked.push(text);
      return query.call(db, text, ...rest);
    }) as typeof query;
    db.transaction = ((run) => {
      asked.push('BEGIN');
      return transaction.call(db, run);
    }) as typeof transaction;
    try {
      for (let i = 0; i < CALLS; i++) await nango.post({ ...onEcho, endpoint: '/hot', data: { i } });
    } finally {
      db.query = query;
      db.transaction = transaction;
    }
    // The log of calls and the time of the last good one are written in batches.
    const batched = /INSERT INTO activity|last_good_call_at|DELETE FROM activity/;
    const others = asked.filter((text) => !batched.test(text));
    // What the node does by its clock may fall into these moments; what a call asks would be there for each of them.
    expect(others.length, others.join('\n')).toBeLessThan(CALLS / 4);
  });
});

describe('emulated providers', () => {
  it('Checkr: Basic token, whole next links, limits, retries and faults', async () => {
    const { connectionId } = await connectAccount(app, 'checkr-partner');
    const on = { providerConfigKey: 'checkr-partner', connectionId };
    const emulator = app.emulators.get('checkr');
    const account = await nango.get<{ id: string; object: string }>({ ...on, endpoint: '/v1/account' });
    expect(account.data.object).toBe('account');
    expect(account.headers['x-ratelimit-reset']).toMatch(/^\d{4}-\d{2}-\d{2}T/);

    for (let i = 0; i < 3; i++) {
      const made = await nango.post({
        ...on,
        endpoint: '/v1/candidates',
        data: { first_name: 'A', last_name: `B${i}`, email: `a${i}@example.com`, no_middle_name: true },
      });
      expect(made.status).toBe(201);
    }
    interface Page {
      data: { id: string }[];
      next_href: string | null;
    }
    const seen: string[] = [];
    let endpoint: string | null = '/v1/candidates?per_page=1';
    while (endpoint !== null) {
      const page: { data: Page } = await nango.get<Page>({ ...on, endpoint });
      seen.push(...page.data.data.map(({ id }) => id));
      endpoint = page.data.next_href;
      expect(seen.length).toBeLessThan(100);
    }
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(new Set(seen).size).toBe(seen.length);

    const token = await nango.getToken('checkr-partner', connectionId);
    const own = await nango.get({
      ...on,
      endpoint: '/v1/account',
      headers: { Authorization: `Basic ${btoa(`${String(token)}:`)}` },
    });
    expect(own.status).toBe(200);

    emulator.setFault({ name: 'server-error', on: 'api' });
    const failed = await app.api('GET', '/proxy/v1/account', undefined, headersOf(on));
    expect(failed.status).toBe(500);
    emulator.setFault({ name: 'truncated', on: 'api' });
    await expect(app.api('GET', '/proxy/v1/account', undefined, headersOf(on))).rejects.toThrow();
    emulator.setFault({ name: 'reset', on: 'api' });
    const cut = await app.api('GET', '/proxy/v1/account', undefined, headersOf(on));
    expect([cut.status, cut.body]).toMatchObject([500, { code: 'ECONNRESET', status: 500, method: 'GET' }]);
    expect((await app.api('GET', '/proxy/v1/account', undefined, headersOf(on))).status).toBe(200);
  });

  it('Checkbook: a single-use grant pays once, and the connection says so', async () => {
    const environment = await app.services.environments.byName('dev');
    const integration = await app.services.integrations.byKey(environment!.id, 'checkbook');
    await app.services.integrations.update(environment!.id, 'checkbook', {
      client: { ...integration!.client!, scopes: ['single-use'] },
    });
    const { connectionId } = await connectAccount(app, 'checkbook');
    const on = { providerConfigKey: 'checkbook', connectionId };
    const pay = () =>
      app.api(
        'POST',
        '/proxy/v3/check/digital',
        { recipient: 'a@example.com', name: 'Unique Payee', amount: 5 },
        headersOf(on),
      );
    const answers = await Promise.all([pay(), pay(), pay(), pay()]);
    const good = answers.filter(({ status }) => status >= 200 && status < 300);
    for (const { status, text } of answers) expect([text, [201, 409, 424].includes(status)]).toEqual([text, true]);
    expect(good.length).toBe(1);
    const again = await pay();
    expect([again.status, again.body]).toMatchObject([424, { error: { code: 'connection_spent' } }]);
    const rows = await app.db.query('SELECT state FROM connection WHERE connection_id = $1', [connectionId]);
    expect(rows).toEqual([{ state: 'spent' }]);
    const { data } = (await nango.get<{ checks: unknown[] }>({ ...on, endpoint: '/v3/check' })) as {
      data: { checks: unknown[] };
    };
    expect(data.checks.filter((check) => JSON.stringify(check).includes('Unique Payee')).length).toBe(1);
  });

  it('Checkbook: a 401 leads to a refresh and one repetition', async () => {
    const environment = await app.services.environments.byName('dev');
    const integration = await app.services.integrations.byKey(environment!.id, 'checkbook');
    await app.services.integrations.update(environment!.id, 'checkbook', {
      client: { ...integration!.client!, scopes: ['check'] },
    });
    const emulator = app.emulators.get('checkbook');
    emulator.setKnob('accessTokenTtlSec', 3600);
    const { connectionId } = await connectAccount(app, 'checkbook');
    const on = { providerConfigKey: 'checkbook', connectionId };
    const before = await nango.getToken('checkbook', connectionId);
    // A second 401 within a minute of a refresh would not be believed.
    await app.db.query(
      `UPDATE credential SET refreshed_at = now() - interval '1 hour' WHERE connection_id =
         (SELECT id FROM connection WHERE connection_id = $1)`,
      [connectionId],
    );
    const requests = emulator.tokenRequestCount();
    // The provider's clock runs ahead: to it the token has ended, to us it has not.
    emulator.setKnob('clockSkew', 3700);
    const got = await nango.get({ ...on, endpoint: '/v3/user' });
    expect(got.status).toBe(200);
    expect(emulator.tokenRequestCount()).toBe(requests + 1);
    expect(await nango.getToken('checkbook', connectionId)).not.toBe(before);
  });
});

function headersOf(on: { providerConfigKey: string; connectionId: string }): Record<string, string> {
  return { 'provider-config-key': on.providerConfigKey, 'connection-id': on.connectionId };
}
