/** The first page of `hawser dev`, in a real browser: one click, and the account is on the screen. */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, startSink, type Sink } from '../../src/features/outbound/outbound.test-support.ts';
import { generateKey } from '../../src/platform/keyring/index.ts';
import { collectErrors, decideAtEmulator, launchBrowser, noBrowser } from '../support/browser.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { scratchDir, startProgram, untilReady, type HawserJson, type Program } from '../support/process.ts';

let database: TestDatabase;
let program: Program;
let file: HawserJson;
let removeDir: () => Promise<void>;
/** The app. */
let sink: Sink;

beforeAll(async () => {
  database = await createTestDatabase();
  sink = await startSink();
  const dir = await scratchDir();
  removeDir = dir.remove;
  const dataDir = join(dir.path, 'data');
  program = startProgram(['dev'], {
    HAWSER_PORT: '0',
    HAWSER_EMULATOR_PORT: '0',
    HAWSER_DATA_DIR: dataDir,
    HAWSER_ENCRYPTION_KEY: generateKey(),
    HAWSER_DEV_WEBHOOK_URL: sink.url,
    DATABASE_URL: database.url,
  });
  file = await untilReady(program, dataDir);
});
afterAll(async () => {
  program?.child.kill('SIGINT');
  await program?.exited;
  await sink?.close();
  await database?.drop();
  await removeDir?.();
});

/** Until nothing runs any more the page loads itself again, in the middle of what a test does. */
async function isQuiet(page: Page): Promise<void> {
  // The end of the page counts, too: while it is loaded there is no refresh to be seen yet.
  const isLast = async (): Promise<boolean> => {
    const html = await page.content();
    return html.includes('/openapi.json') && !html.includes('http-equiv="refresh"');
  };
  await expect.poll(isLast, { timeout: 40_000 }).toBe(true);
}

describe.skipIf(noBrowser !== undefined)('in Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  it('one click connects the emulated account and shows it, called through the proxy', async () => {
    const context = await browser.newContext();
    const errors = collectErrors(context);
    const page = await context.newPage();
    // Opened under another name of this machine, it moves to the public one: the flow's cookie lives there.
    await page.goto(`${file.url.replace('localhost', '127.0.0.1')}/`);
    expect(page.url()).toBe(`${file.url}/`);
    await page.getByRole('button', { name: /Connect the emulated/ }).click();
    await page.locator('#account').waitFor();
    expect(await page.locator('#account').innerText()).toContain('"object": "account"');
    expect(await page.locator('main').innerText()).toMatch(
      /\/proxy\/v1\/account through checkr-partner: 200 in \d+ ms/,
    );
    // The example syncs fill records by themselves; the page loads itself again until they have.
    const rows = page.locator('#syncs + table tbody tr');
    await expect.poll(() => rows.count(), { timeout: 40_000 }).toBe(4);
    await expect.poll(() => rows.filter({ hasText: 'SUCCESS' }).count(), { timeout: 40_000 }).toBe(4);
    expect(await rows.filter({ hasText: 'candidates' }).innerText()).toMatch(/30 Candidate/);
    expect(await rows.filter({ hasText: 'invitations' }).innerText()).toMatch(/\d+ Invitation, \d+ Report/);
    await isQuiet(page);
    expect(await page.locator('#records + pre').innerText()).toContain('"_nango_metadata":{"first_seen_at"');
    expect(await page.locator('#runs + table').innerText()).toMatch(/sync candidates[^]*succeeded/);
    expect(await page.locator('#webhooks + table').innerText()).toMatch(
      /account\.credentialed\s+checkr-partner\s+signature\s+routed\s+1/,
    );
    if (process.env['UPDATE_IMAGES'] !== undefined) {
      await page.setViewportSize({ width: 1100, height: 1480 });
      await page.screenshot({ path: 'docs/images/first-minute.png' });
    }
    await rows.getByRole('link', { name: /4 Package/ }).click();
    expect(await page.locator('#records').innerText()).toBe('The newest 4 of 4 Package records');
    await context.close();
    expect(errors).toEqual([]);
  });

  it('a sync runs at the press of its button, and a failed run says why', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${file.url}/`);
    const packages = page.locator('#syncs + table tbody tr').filter({ hasText: 'packages' }).first();
    const runs = page.locator('#runs + table tbody tr').filter({ hasText: 'sync packages' });
    const before = await runs.count();
    await packages.getByRole('button', { name: 'Run now' }).click();
    await expect.poll(() => runs.count(), { timeout: 20_000 }).toBe(before + 1);
    await expect.poll(() => runs.filter({ hasText: 'succeeded' }).count(), { timeout: 20_000 }).toBe(before + 1);
    await fetch(`${file.emulatorUrl}/checkr/_emulator/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'html', on: 'api', path: '/v1/packages' }),
    });
    await packages.getByRole('button', { name: 'Run now' }).click();
    await expect.poll(() => runs.filter({ hasText: 'failed' }).count(), { timeout: 20_000 }).toBe(1);
    expect(await runs.first().innerText()).toContain('/v1/packages answered with no list.');
    await context.close();
  });

  it('what people at the provider do is on the screen, and the app is told of it', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const press = async (name: RegExp) => page.getByRole('button', { name }).first().click();
    const shown = (place: string, what: RegExp) =>
      expect
        .poll(
          async () => {
            await page.goto(`${file.url}/`);
            return page.locator(place).innerText();
          },
          { timeout: 20_000 },
        )
        .toMatch(what);
    await page.goto(`${file.url}/`);
    await page.getByRole('link', { name: 'Make something happen at the provider' }).click();
    await press(/^Complete this invitation/);
    await press(/^Complete this report/);
    await shown('#webhooks + table', /report\.completed\s+checkr-partner\s+signature\s+routed/);
    await shown('#deliveries + table', /forward\s+\S+\s+delivered\s+1, 200/);
    await page.goto(`${file.emulatorUrl}/checkr/developer`);
    await press(/^Credential this account$/);
    expect(await page.getByRole('button', { name: 'Credential this account' }).count()).toBe(0);
    await press(/^Disconnect this app$/);
    await shown('main', /checkr-partner\s+revoked_by_provider/);
    // Nothing is connected any more: the page begins anew.
    expect(await page.getByRole('button', { name: /Connect the emulated/ }).count()).toBe(1);
    await context.close();

    const told = (kind: string) => sink.got.filter((got) => bodyOf(got).type === kind);
    await expect.poll(() => told('connection.deauthorized').length, { timeout: 10_000 }).toBe(1);
    expect(told('forward').map((got) => bodyOf(got).payload.type)).toContain('report.completed');
    for (const { headers, body } of sink.got) {
      const key = file.environments.dev.webhookSigningKey;
      expect(headers['x-nango-hmac-sha256']).toBe(createHmac('sha256', key).update(body).digest('hex'));
    }
  });

  it('each provider through its own sign-in and consent page, and disconnect', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    for (const key of ['xref', 'checkbook']) {
      await page.goto(`${file.url}/`);
      const row = page.locator('tr', { has: page.locator('code', { hasText: new RegExp(`^${key}$`) }) }).first();
      await row.getByRole('button', { name: /consent page/ }).click();
      await decideAtEmulator(page, 'allow');
      await page.locator('#account').waitFor();
      expect(page.url()).toContain('status=success');
      await isQuiet(page);
    }
    const before = await page.getByRole('button', { name: 'Disconnect' }).count();
    await page.getByRole('button', { name: 'Disconnect' }).first().click();
    await expect.poll(() => page.getByRole('button', { name: 'Disconnect' }).count()).toBe(before - 1);
    await context.close();
  });
});

describe('its buttons', () => {
  const press = (headers: Record<string, string>) =>
    fetch(`${file.url}/dev/connect`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: 'integration=checkr-partner',
    });

  it('do nothing for another site, without an origin, or as JSON', async () => {
    expect((await press({ origin: 'https://evil.example' })).status).toBe(403);
    expect((await press({ origin: 'null' })).status).toBe(403);
    expect((await press({})).status).toBe(403);
    expect((await press({ origin: file.url, 'content-type': 'application/json' })).status).toBe(415);
    expect((await press({ origin: file.url })).status).toBe(303);
  });

  it('and the page are not for a foreign name that resolves to this machine', async () => {
    const { request } = await import('node:http');
    const ask = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const call = request(`${file.url}/`, { headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode as number);
        });
        call.once('error', reject);
        call.end();
      });
    expect(await ask({ host: 'rebound.example:3003' })).toBe(401);
    const password = Buffer.from(`hawser:${file.dashboardPassword}`).toString('base64');
    expect(await ask({ host: 'rebound.example:3003', authorization: `Basic ${password}` })).toBe(401);
    const { host } = new URL(file.url);
    expect(await ask({ host })).toBe(200);
    // A tunnel ends on this machine, too.
    expect(await ask({ host, 'x-forwarded-for': '203.0.113.9' })).toBe(401);
    expect(await ask({ host, 'x-forwarded-for': '203.0.113.9', authorization: `Basic ${password}` })).toBe(200);
  });
});

describe('a provider without an emulator of its own', () => {
  const api = async (method: string, path: string, body?: unknown, more: Record<string, string> = {}) => {
    const answer = await fetch(`${file.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${file.environments.dev.apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  it('is connected by its form, with what its developer page shows', async () => {
    const integration = { provider: 'paypal', unique_key: 'paypal', custom: { emulated: 'true' } };
    expect((await api('POST', '/integrations', integration)).status).toBe(200);
    const page = await (await fetch(`${file.url}/`)).text();
    const developer = `${file.emulatorUrl}/paypal/developer`;
    expect(page).toContain(developer);
    const shown = await (await fetch(developer)).text();
    const [, id] = /client_id <code>([^<]+)</.exec(shown) ?? [];
    const [, secret] = /client_secret <code>([^<]+)</.exec(shown) ?? [];
    const pressed = await fetch(`${file.url}/dev/connect`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: file.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ integration: 'paypal' }),
    });
    const link = new URL(pressed.headers.get('location') ?? '');
    expect([pressed.status, link.pathname]).toEqual([303, '/connect-ui/']);
    const query = new URLSearchParams({ connect_session_token: link.searchParams.get('session_token') ?? '' });
    const submit = async (body: object) => {
      const headers = { 'content-type': 'application/json' };
      const url = `${file.url}/oauth2/auth/paypal?${query}`;
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    expect((await submit({ client_id: id, client_secret: 'guessed' })).status).toBe(400);
    const saved = await submit({ client_id: id, client_secret: secret });
    expect(saved).toMatchObject({ status: 200, body: { connectionId: expect.any(String) } });
  });

  it.each([
    ['github', { credentials: { type: 'OAUTH2', client_id: 'my-app', client_secret: 'my-secret' } }],
    // Tells its account by a second call.
    ['hubspot', { credentials: { type: 'OAUTH2', client_id: 'my-app', client_secret: 'my-secret' } }],
  ])('is connected offline, with an app of any id: %s', async (provider, more) => {
    const made = await api('POST', '/integrations', {
      provider,
      unique_key: provider,
      custom: { emulated: 'true' },
      ...more,
    });
    expect(made.status).toBe(200);
    const pressed = await fetch(`${file.url}/dev/connect`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: file.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ integration: provider }),
    });
    expect(pressed.status).toBe(303);
    const cookie = (pressed.headers.getSetCookie()[0] ?? '').split(';')[0] ?? '';
    const back = await fetch(pressed.headers.get('location') ?? '', { redirect: 'manual', headers: { cookie } });
    const connectionId = new URL(back.headers.get('location') ?? '').searchParams.get('connection_id') ?? '';
    expect(connectionId).not.toBe('');
    const called = await api('GET', '/proxy/user', undefined, {
      'provider-config-key': provider,
      'connection-id': connectionId,
    });
    expect(called).toMatchObject({ status: 200, body: { account: { name: 'First Account' } } });
    const refused = await api('GET', '/proxy/user', undefined, {
      'provider-config-key': provider,
      'connection-id': 'x',
    });
    expect(refused.status).toBe(400);
    const gone = await api('DELETE', `/connections/${connectionId}?provider_config_key=${provider}`);
    expect(gone.body).toMatchObject({ success: true, outcome: 'revoked' });
  });
});
