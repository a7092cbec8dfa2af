/** The unmodified published browser client against us, in a real browser, from an app on another site. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import {
  collectErrors,
  decideAtEmulator,
  launchBrowser,
  noBrowser,
  serveAppPage,
  type AppPage,
} from '../support/browser.ts';
import { connectAccount, sessionToken } from '../support/connect.ts';

/** The app: buttons that call the client the way its documentation shows. */
const APP = `
import Nango from '@nangohq/frontend';
const call = (run) => run().then((result) => ({ result }), (error) => ({ error: { type: error.type, message: error.message } }));
window.client = (host, token) => new Nango({ host, connectSessionToken: token });
window.run = (method, host, token, args) => {
  // A popup needs a click: the work starts in its handler.
  const button = document.createElement('button');
  button.id = 'go';
  button.textContent = method;
  document.body.append(button);
  window.done = new Promise((resolve) => button.addEventListener('click', () => {
    resolve(call(() => window.client(host, token)[method](...args)));
  }));
};
window.openUI = (host, token, options = {}) => {
  window.events = [];
  window.ui = window.client(host, undefined).openConnectUI({
    baseURL: host + '/connect-ui', apiURL: host, sessionToken: token, ...options,
    onEvent: (event) => window.events.push(event),
  });
};
`;

interface AppWindow extends Window {
  run(method: string, host: string, token: string, args: unknown[]): void;
  openUI(host: string, token: string | undefined, options?: object): void;
  done: Promise<{
    result?: { connectionId: string; providerConfigKey: string };
    error?: { type: string; message: string };
  }>;
  events: { type: string; payload?: Record<string, unknown> }[];
  ui: { setSessionToken(token: string): void; close(): void };
}

describe.skipIf(noBrowser !== undefined)('@nangohq/frontend', () => {
  let app: TestApp;
  let site: AppPage;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let errors: string[];

  beforeAll(async () => {
    app = await startTestApp();
    await app.api('POST', '/integrations', { provider: 'private-api-bearer', unique_key: 'bearer' });
    site = await serveAppPage(APP);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await app?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    errors = collectErrors(context);
    page = await context.newPage();
    await page.goto(site.url);
  });
  afterEach(async () => {
    await context.close();
    app.emulators.get('checkr').clearFaults();
    expect(errors).toEqual([]);
  });

  /** Clicks the app's button and takes the window that opens. */
  async function popupOf(method: string, token: string, args: unknown[]): Promise<Page> {
    await page.evaluate(([m, h, t, a]) => (window as unknown as AppWindow).run(m, h, t, a), [
      method,
      app.url,
      token,
      args,
    ] as [string, string, string, unknown[]]);
    const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#go')]);
    return popup;
  }
  const outcome = () => page.evaluate(() => (window as unknown as AppWindow).done);

  it('auth() in a popup', async () => {
    const popup = await popupOf('auth', await sessionToken(app, 'checkr-partner'), ['checkr-partner']);
    await decideAtEmulator(popup);
    const { result } = await outcome();
    expect(result).toMatchObject({
      providerConfigKey: 'checkr-partner',
      connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const { status } = await app.api('GET', `/connections/${result?.connectionId}?provider_config_key=checkr-partner`);
    expect(status).toBe(200);
    if (!popup.isClosed()) await popup.waitForEvent('close');
  });

  it('auth() that the customer refuses', async () => {
    const popup = await popupOf('auth', await sessionToken(app, 'xref'), ['xref']);
    await decideAtEmulator(popup, 'deny');
    const { error } = await outcome();
    expect(error).toEqual({ type: 'callback_err', message: expect.stringContaining('access was refused') });
  });

  it('auth() of an integration the session does not allow', async () => {
    await popupOf('auth', await sessionToken(app, 'xref'), ['checkr-partner']);
    expect((await outcome()).error).toMatchObject({ type: 'integration_not_allowed' });
  });

  it('reconnect()', async () => {
    const { connectionId } = await connectAccount(app, 'xref');
    const { body } = await app.api('POST', '/connect/sessions/reconnect', {
      connection_id: connectionId,
      integration_id: 'xref',
    });
    const popup = await popupOf('reconnect', body.data.token, ['xref']);
    await decideAtEmulator(popup);
    expect((await outcome()).result).toMatchObject({ connectionId, providerConfigKey: 'xref' });
  });

  it('auth() with credentials, without a popup', async () => {
    const token = await sessionToken(app, 'bearer');
    await page.evaluate(
      ([h, t]) => (window as unknown as AppWindow).run('auth', h, t, ['bearer', { credentials: { apiKey: 'k-1' } }]),
      [app.url, token] as const,
    );
    await page.click('#go');
    expect((await outcome()).result).toMatchObject({ providerConfigKey: 'bearer' });
    await page.reload();
    await page.evaluate(
      ([h, t]) => (window as unknown as AppWindow).run('auth', h, t, ['bearer', { credentials: { apiKey: 'k-1' } }]),
      [app.url, token] as const,
    );
    await page.click('#go');
    expect((await outcome()).error).toMatchObject({ type: 'unknown_connect_session_token' });
  });

  it('openConnectUI() with the token at once', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    await page.evaluate(([h, t]) => (window as unknown as AppWindow).openUI(h, t), [app.url, token] as const);
    const frame = page.frameLocator('#connect-ui');
    await frame.getByRole('heading', { name: 'Connect Checkr Partner' }).waitFor();
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      frame.getByRole('button', { name: 'Continue to Checkr Partner' }).click(),
    ]);
    await decideAtEmulator(popup);
    await frame.getByRole('heading', { name: 'Connected' }).waitFor();
    await frame.getByRole('button', { name: 'Done' }).click();
    await page.locator('#connect-ui').waitFor({ state: 'detached' });
    const events = await page.evaluate(() => (window as unknown as AppWindow).events);
    expect(events.map((event) => event.type)).toEqual(['ready', 'connect', 'close']);
    expect(events[1]?.payload).toEqual({
      providerConfigKey: 'checkr-partner',
      connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('openConnectUI() with the token later, and a refusal', async () => {
    await page.evaluate((h) => (window as unknown as AppWindow).openUI(h, undefined, { lang: 'fr' }), app.url);
    const frame = page.frameLocator('#connect-ui');
    await frame.getByText('Chargement').waitFor();
    const token = await sessionToken(app, 'xref');
    await page.evaluate((t) => (window as unknown as AppWindow).ui.setSessionToken(t), token);
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      frame.getByRole('button', { name: 'Continuer vers Xref' }).click(),
    ]);
    await decideAtEmulator(popup, 'deny');
    await frame.getByRole('alert').getByText('L’accès n’a pas été accordé').waitFor();
    await frame.getByRole('button', { name: 'Réessayer' }).waitFor();
    const events = await page.evaluate(() => (window as unknown as AppWindow).events);
    expect(events.at(-1)).toEqual({
      type: 'error',
      payload: { errorType: 'access_denied', errorMessage: expect.stringContaining('refused') },
    });
    await frame.getByRole('button', { name: 'Réessayer' }).focus();
    // Not awaited: the key closes the frame it goes to, and the browser may then never answer for it.
    void page.keyboard.down('Escape').catch(() => undefined);
    await page.locator('#connect-ui').waitFor({ state: 'detached' });
  });
});
