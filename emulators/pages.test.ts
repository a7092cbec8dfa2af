import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, noBrowser } from '../test/support/browser.ts';
import { EMULATOR_NAMES, type EmulatorHandle, type Emulators, startEmulators } from './index.ts';

let emulators: Emulators;
let checkr: EmulatorHandle;
let app: Server;
let callback: string;
let authorizeUrl: string;
let browser: Browser | undefined;

beforeAll(async () => {
  // The app hands the customer on to a third origin, as a platform behind it may do.
  app = createServer((request, response) => {
    const { port } = app.address() as AddressInfo;
    const first = request.url?.startsWith('/callback') === true;
    response.writeHead(
      first ? 302 : 200,
      first ? { location: `http://localhost:${port}/done${request.url?.slice(9)}` } : {},
    );
    response.end('done');
  });
  await new Promise<void>((resolve) => void app.listen(0, resolve));
  callback = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`;

  emulators = await startEmulators();
  checkr = emulators.get('checkr');
  const { clientId } = checkr.registerApp({ name: 'Shiftly', redirectUri: callback });
  authorizeUrl = `${checkr.url}/authorize/${clientId}?state=s1`;
  if (noBrowser === undefined) browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await emulators.close();
  app.closeAllConnections();
  await new Promise((resolve) => app.close(resolve));
});

async function withPage(
  options: Parameters<Browser['newContext']>[0],
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await (browser as Browser).newContext(options);
  try {
    await use(await context.newPage());
  } finally {
    await context.close();
  }
}

describe.skipIf(noBrowser !== undefined)('pages in a real browser', () => {
  it('leads through sign-in and consent to the app without JavaScript', async () => {
    await withPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(authorizeUrl);
      await page.getByRole('button', { name: 'Maya Okafor' }).click();
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toContain('Shiftly wants to connect to');
      expect(await page.getByText('This is not Checkr.').isVisible()).toBe(true);
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(/\/done\?scope=read_write&code=[0-9a-f]{40}&state=s1$/);

      await page.goto(authorizeUrl);
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.waitForURL(/\/done\?error=access_denied&state=s1$/);
    });
  });

  it('registers an application on the developer page', async () => {
    await withPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(`${emulators.get('xref').url}/developer`);
      await page.getByLabel('Name').first().fill('By hand');
      await page.getByLabel('Redirect address (redirect_url)').first().fill('https://app.example/back');
      await page.getByRole('button', { name: 'Register' }).click();
      await page.getByRole('heading', { name: 'By hand' }).waitFor();
      expect(emulators.get('xref').apps()).toMatchObject([
        { name: 'By hand', redirectUri: 'https://app.example/back' },
      ]);
    });
  });

  it('fits a phone, in light and dark', async () => {
    const addresses = [emulators.url, authorizeUrl, authorizeUrl.replace('?', '/signup?')];
    addresses.push(...EMULATOR_NAMES.map((name) => `${emulators.get(name).url}/developer`));
    for (const colorScheme of ['light', 'dark'] as const) {
      await withPage({ viewport: { width: 360, height: 740 }, colorScheme }, async (page) => {
        const problems: string[] = [];
        page.on('console', (message) => problems.push(message.text()));
        for (const address of addresses) {
          await page.goto(address);
          const width = await page.evaluate(() => document.documentElement.scrollWidth);
          expect([address, width]).toEqual([address, 360]);
        }
        expect(problems).toEqual([]);
      });
    }
  });
});
