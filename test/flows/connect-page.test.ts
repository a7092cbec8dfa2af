/** The Connect page in a real browser: alone, framed, blocked, attacked, by keyboard, small and large. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import {
  collectErrors,
  decideAtEmulator,
  launchBrowser,
  noBrowser,
  serveAppPage,
  type AppPage,
} from '../support/browser.ts';
import { connectAccount, sessionToken } from '../support/connect.ts';
import { answeredFlow, startTinyServer, type TinyServer } from './connect-helpers.ts';

/** An app that frames the page by itself and notes every message, whoever sent it. */
const FRAMER = `
window.messages = [];
addEventListener('message', (event) => {
  window.messages.push(event.data);
  if (event.data?.type === 'ready' && window.token) frames[0].postMessage({ type: 'session_token', sessionToken: window.token }, '*');
});
window.frame = (src, token) => {
  window.token = token;
  const frame = document.createElement('iframe');
  frame.src = src;
  frame.style.cssText = 'position:fixed;inset:0;width:100%;height:100%;border:0';
  document.body.append(frame);
};
`;

describe.skipIf(noBrowser !== undefined)('the Connect page', () => {
  let app: TestApp;
  let strict: { url: string };
  let site: AppPage;
  let server: TinyServer;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let errors: string[];

  beforeAll(async () => {
    server = await startTinyServer();
    app = await startTestApp({ settings: { HAWSER_EGRESS_ALLOW: server.pair } });
    // Only one foreign origin may frame this node's page, and it is not our site.
    strict = await app.startNode({ settings: { HAWSER_FRAME_ANCESTORS: 'https://app.example.com' } });
    await app.api('POST', '/integrations', {
      provider: 'private-api-bearer',
      unique_key: 'bearer',
      display_name: 'Acme',
      integration_config: { base_url: server.url },
    });
    await app.api('POST', '/integrations', {
      provider: 'private-api-basic',
      unique_key: 'basic',
      display_name: 'Basic Inc',
    });
    site = await serveAppPage(FRAMER, '<p>The app</p>');
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await app?.close();
    await server?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext({ locale: 'en-US' });
    errors = collectErrors(context);
    page = await context.newPage();
  });
  afterEach(async () => {
    await context.close();
    app.emulators.get('checkr').clearFaults();
    expect(errors).toEqual([]);
  });

  const link = (token: string, more = ''): string => `${app.url}/connect-ui/?session_token=${token}${more}`;
  const framed = async (token: string, query = ''): Promise<void> => {
    await page.goto(site.url);
    await page.evaluate(([src, t]) => (window as unknown as { frame(a: string, b: string): void }).frame(src, t), [
      `${app.url}/connect-ui/${query}`,
      token,
    ] as const);
  };
  const frame = () => page.frameLocator('iframe');
  const messages = () => page.evaluate(() => (window as unknown as { messages: { type: string }[] }).messages);

  describe('alone', () => {
    it('abuse 9: takes the token out of the address, goes to the provider in the same tab and comes back', async () => {
      const token = await sessionToken(app, 'checkr-partner');
      await page.goto(link(token));
      await page.getByRole('heading', { name: 'Connect Checkr Partner' }).waitFor();
      expect(page.url()).toBe(`${app.url}/connect-ui/`);
      expect(await page.evaluate(() => history.length)).toBeLessThanOrEqual(2);
      await page.reload();
      await page.getByRole('button', { name: 'Continue to Checkr Partner' }).click();
      await decideAtEmulator(page);
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
      expect(page.url()).toBe(`${app.url}/connect-ui/`);
      expect(context.pages()).toHaveLength(1);
      expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
      const { body } = await app.api('GET', '/connections?integrationId=checkr-partner');
      expect(body.connections.length).toBeGreaterThan(0);
    });

    it('comes back from a refusal and lets one try again', async () => {
      await page.goto(link(await sessionToken(app, 'xref')));
      await page.getByRole('button', { name: 'Continue to Xref' }).click();
      await decideAtEmulator(page, 'deny');
      await page.getByRole('alert').getByText('Access was not granted').waitFor();
      await page.getByRole('button', { name: 'Try again' }).click();
      await decideAtEmulator(page);
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
    });

    it('says what to do with a used link and without one', async () => {
      const { token, back, cookie } = await answeredFlow(app);
      await fetch(`${app.url}/oauth/callback${back.search}`, { headers: { cookie } });
      await page.goto(link(token));
      await page.getByRole('alert').getByText('no longer valid').waitFor();
      await page.goto(`${app.url}/connect-ui/`);
      await page.getByRole('alert').getByText('opened without its key').waitFor();
    });

    it('ignores an API address from outside: the token goes nowhere else', async () => {
      const asked: string[] = [];
      context.on('request', (request) => asked.push(new URL(request.url()).origin));
      const evil = encodeURIComponent(site.url);
      await page.goto(link(await sessionToken(app, 'xref'), `&apiURL=${evil}&baseURL=${evil}`));
      await page.getByRole('heading', { name: 'Connect Xref' }).waitFor();
      expect([...new Set(asked)]).toEqual([app.url]);
    });

    it('lists several integrations and finds its way back', async () => {
      const { body } = await app.api('POST', '/connect/sessions', { end_user: { id: 'lister' } });
      await page.goto(body.data.connect_link);
      await page.getByRole('heading', { name: 'What would you like to connect?' }).waitFor();
      expect(await page.getByRole('listitem').count()).toBe(5);
      await page.getByRole('button', { name: /Acme/ }).click();
      await page.getByRole('heading', { name: 'Connect Acme' }).waitFor();
      await page.getByRole('button', { name: 'Back' }).click();
      await page.getByRole('heading', { name: 'What would you like to connect?' }).waitFor();
    });

    it('tells who connected before, and that a repair is a repair', async () => {
      const { connectionId } = await connectAccount(app, 'checkbook');
      await page.goto(link(await sessionToken(app, 'checkbook')));
      await page.getByText('You already connected Checkbook on').waitFor();
      const { body } = await app.api('POST', '/connect/sessions/reconnect', {
        connection_id: connectionId,
        integration_id: 'checkbook',
      });
      await page.goto(body.data.connect_link);
      await page.getByRole('heading', { name: 'Reconnect Checkbook' }).waitFor();
      await page.getByText('Nothing that is already there is lost').waitFor();
      await page.getByText('Checkbook has no revocation call').waitFor();
    });
  });

  describe('a form', () => {
    it('masks, trims, and sends an API key', async () => {
      const token = await sessionToken(app, 'bearer');
      await page.goto(link(token));
      const input = page.getByLabel('API key');
      expect(await input.getAttribute('type')).toBe('password');
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByText('Please fill this in.').waitFor();
      expect(await input.evaluate((element) => element === document.activeElement)).toBe(true);
      await input.fill('  key-with-spaces \n');
      await page.getByRole('button', { name: 'Show' }).click();
      expect(await input.getAttribute('type')).toBe('text');
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
      const { body } = await app.api('GET', '/connections?integrationId=bearer');
      const { connection_id: id } = body.connections[0];
      const read = await app.api('GET', `/connections/${id}?provider_config_key=bearer`);
      expect(read.body.credentials).toEqual({ type: 'API_KEY', apiKey: 'key-with-spaces' });
    });

    it('helps password managers and takes an empty password', async () => {
      await page.goto(link(await sessionToken(app, 'basic')));
      const user = page.locator('input[name=username]');
      expect(await user.getAttribute('autocomplete')).toBe('username');
      expect(await page.locator('input[name=password]').getAttribute('autocomplete')).toBe('current-password');
      await user.fill('anna');
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
    });

    it('shows what the check of the key said, as text', async () => {
      const token = await sessionToken(app, 'bearer');
      await page.goto(link(token));
      await page.getByLabel('API key').fill('k');
      const words = 'Acme did not accept <img src=x onerror="document.title=1"> these credentials (401).';
      await page.route('**/api-auth/api-key/**', (route) =>
        route.fulfill({ status: 400, json: { error: { code: 'connection_test_failed', message: words } } }),
      );
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByRole('alert').getByText(words).waitFor();
      expect(await page.title()).toBe('Connect');
      await page.unroute('**/api-auth/api-key/**');
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
    });
  });

  describe('framed', () => {
    it('works without a WebSocket, by the callback page’s own message', async () => {
      await context.routeWebSocket(/.*/, (socket) => void socket.close());
      await framed(await sessionToken(app, 'checkr-partner'));
      const [popup] = await Promise.all([
        page.waitForEvent('popup'),
        frame().getByRole('button', { name: 'Continue to Checkr Partner' }).click(),
      ]);
      await decideAtEmulator(popup);
      await frame().getByRole('heading', { name: 'Connected' }).waitFor();
      expect((await messages()).map((message) => message.type)).toEqual(['ready', 'connect']);
      await expect.poll(async () => (await messages()).at(-1)?.type, { timeout: 10_000 }).toBe('close');
    });

    it('offers a new tab when the popup is blocked, and hears of its result', async () => {
      await framed(await sessionToken(app, 'xref'));
      await frame().getByRole('heading', { name: 'Connect Xref' }).waitFor();
      const inner = page.frames()[1];
      await inner?.evaluate(() => {
        window.open = () => null;
      });
      await frame().getByRole('button', { name: 'Continue to Xref' }).click();
      await frame().getByRole('alert').getByText('blocked the login window').waitFor();
      const [tab] = await Promise.all([
        context.waitForEvent('page'),
        frame().getByRole('link', { name: 'Open in a new tab' }).click(),
      ]);
      await decideAtEmulator(tab);
      await tab.getByRole('heading', { name: 'Connected' }).waitFor();
    });

    it('says so when the window was closed, and goes on listening', async () => {
      await framed(await sessionToken(app, 'checkr-partner'));
      const open = async (name: string): Promise<Page> => {
        const [popup] = await Promise.all([page.waitForEvent('popup'), frame().getByRole('button', { name }).click()]);
        return popup;
      };
      const first = await open('Continue to Checkr Partner');
      await first.locator('button[name=user]').first().waitFor();
      await first.close();
      await frame().getByText('The window seems to be closed').waitFor();
      await decideAtEmulator(await open('Try again'));
      await frame().getByRole('heading', { name: 'Connected' }).waitFor();
    });

    it('keeps the focus inside and closes with Escape', async () => {
      await framed(await sessionToken(app, 'bearer'));
      await frame().getByRole('heading', { name: 'Connect Acme' }).waitFor();
      const seen = new Set<string>();
      for (let i = 0; i < 12; i++) {
        await page.keyboard.press('Tab');
        const focused = await page.frames()[1]?.evaluate(() => {
          const active = document.activeElement as HTMLElement;
          return document.hasFocus() ? `${active.tagName} ${active.textContent}` : 'outside';
        });
        seen.add(focused ?? 'outside');
      }
      expect(seen.has('outside')).toBe(false);
      expect(seen.size).toBeGreaterThanOrEqual(4);
      await page.keyboard.press('Escape');
      await expect.poll(async () => (await messages()).at(-1)?.type).toBe('close');
    });

    it('abuse 11: is not shown, and says nothing, where it may not be framed', async () => {
      await page.goto(site.url);
      await page.evaluate(([src]) => (window as unknown as { frame(a: string, b: string): void }).frame(src, 'x'), [
        `${strict.url}/connect-ui/`,
      ] as const);
      await expect.poll(() => errors.some((error) => error.includes('frame-ancestors'))).toBe(true);
      expect(await messages()).toEqual([]);
      errors.length = 0;
    });

    it('abuse 11: takes a token from its parent only', async () => {
      await framed('');
      await frame().getByText('Loading…').waitFor();
      const token = await sessionToken(app, 'xref');
      // Another window of the app's site, which is not the parent.
      const [other] = await Promise.all([
        page.waitForEvent('popup'),
        page.evaluate((url) => void window.open(url), site.url),
      ]);
      await other.waitForLoadState();
      await other.evaluate((t) => {
        (window.opener as Window).frames[0]?.postMessage({ type: 'session_token', sessionToken: t }, '*');
      }, token);
      await page.evaluate((t) => frames[0]?.postMessage({ type: 'other', sessionToken: t }, '*'), token);
      await frame().getByText('Loading…').waitFor();
      await page.evaluate((t) => frames[0]?.postMessage({ type: 'session_token', sessionToken: t }, '*'), token);
      await frame().getByRole('heading', { name: 'Connect Xref' }).waitFor();
    });
  });

  describe('another browser', () => {
    it('abuse 2: that gets the link of a started flow connects nothing, and is told to begin again', async () => {
      const attacker = await answeredFlow(app);
      const before = await app.db.query('SELECT 1 FROM connection');
      await page.goto(`${app.url}/oauth/callback${attacker.back.search}`);
      await page.getByRole('heading', { name: 'start again' }).waitFor();
      // With a flow of its own it has a cookie, but not that one.
      const victim = await answeredFlow(app);
      const again = await answeredFlow(app);
      const [name, value] = victim.cookie.split('=') as [string, string];
      await context.addCookies([{ name, value, url: app.url }]);
      await page.goto(`${app.url}/oauth/callback${again.back.search}`);
      await page.getByRole('heading', { name: 'start again' }).waitFor();
      expect(await app.db.query('SELECT 1 FROM connection')).toHaveLength(before.length);
      errors.length = 0; // Chromium notes the status 400
    });
  });

  describe('the callback page', () => {
    it('abuse 11: tells a hostile opener nothing', async () => {
      const flow = await answeredFlow(app);
      const [name, value] = flow.cookie.split('=') as [string, string];
      await context.addCookies([{ name, value, url: app.url }]);
      await page.goto(site.url);
      const [popup] = await Promise.all([
        page.waitForEvent('popup'),
        page.evaluate((url) => void window.open(url), `${app.url}/oauth/callback${flow.back.search}`),
      ]);
      await popup.waitForEvent('close'); // it closes itself after a success
      expect(await messages()).toEqual([]);
      errors.length = 0; // Chromium notes the message it did not deliver
    });

    it('abuse 12: runs no script of a provider', async () => {
      const flow = await answeredFlow(app, { decision: 'deny' });
      flow.back.searchParams.set(
        'error_description',
        '"><img src=x onerror="document.title=\'hacked\'"><script>document.title="hacked"</script>',
      );
      const [name, value] = flow.cookie.split('=') as [string, string];
      await context.addCookies([{ name, value, url: app.url }]);
      await page.goto(`${app.url}/oauth/callback${flow.back.search}`);
      await page.getByText('Access was not granted').waitFor();
      expect(await page.title()).toBe('Access was not granted');
      expect(await page.locator('img, iframe, svg').count()).toBe(0);
    });
  });

  describe('looks', () => {
    it.each([
      ['light', 1280, 800],
      ['dark', 1280, 800],
      ['light', 320, 640], // 1280 at 400 % zoom
    ] as const)('%s at %i × %i: labels, contrast, nothing cut off', async (colorScheme, width, height) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height });
      await page.goto(link(await sessionToken(app, 'basic')));
      await page.getByRole('heading', { name: 'Connect Basic Inc' }).waitFor();
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByText('Please fill this in.').waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
      for (const input of await page.locator('input').all()) {
        expect(await input.evaluate((element: HTMLInputElement) => element.labels?.length)).toBe(1);
      }
      const weak = await page.evaluate(findWeakContrast);
      expect(weak).toEqual([]);
    });

    it('speaks five languages', async () => {
      const token = await sessionToken(app, 'bearer');
      for (const [lang, words] of [
        ['en', 'asks for access'],
        ['de', 'bittet um Zugriff'],
        ['fr', 'demande l’accès'],
        ['es', 'solicita acceso'],
        ['ja', 'アクセスを求めています'],
      ]) {
        await page.goto(link(token, `&lang=${lang}`));
        await page.getByText(words as string).waitFor();
        expect(await page.evaluate(() => document.documentElement.lang)).toBe(lang);
      }
    });
  });

  it('is served with an exact policy, and its files for ever', async () => {
    const { headers, text } = await callApi(app.url, '', 'GET', '/connect-ui/');
    expect(headers.get('content-security-policy')).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ${app.url.replace('http', 'ws')}; base-uri 'none'; form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*`,
    );
    expect(headers.get('cache-control')).toBe('no-store');
    expect(text).not.toMatch(/<script(?![^>]*src=)/);
    const file = /src="(\/connect-ui\/assets\/app-[A-Z0-9]+\.js)"/.exec(text)?.[1] as string;
    const asset = await callApi(app.url, '', 'GET', file);
    expect(asset.headers.get('content-encoding')).toBe('gzip');
    const plain = await callApi(app.url, '', 'GET', file, undefined, { 'accept-encoding': 'identity' });
    expect([plain.headers.get('content-encoding'), plain.text === asset.text]).toEqual([null, true]);
    expect(asset.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    for (const bad of ['nope.js', '..%2f..%2fpackage.json', 'app.js', '%00']) {
      expect([bad, (await callApi(app.url, '', 'GET', `/connect-ui/assets/${bad}`)).status]).toEqual([bad, 404]);
    }
  });
});

/** Texts whose contrast with their ground is below 4.5 (WCAG 2.2, 1.4.3). Runs in the page. */
function findWeakContrast(): string[] {
  const channels = (color: string): number[] => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color: string): number => {
    const [r, g, b] = channels(color)
      .slice(0, 3)
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)) as [
      number,
      number,
      number,
    ];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element: Element | null): string => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0.99) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const weak: string[] = [];
  for (const element of document.querySelectorAll('h1, h2, p, li, label, button, a, span, code, summary')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '');
    if (!own || (element as HTMLElement).offsetParent === null) continue;
    const [one, two] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (ratio < 4.5) weak.push(`${element.tagName} ${element.textContent?.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return weak;
}
