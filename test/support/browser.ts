/** A real browser for tests, and a page of a pretended app on an origin of its own. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

/** The same engine without a window system needs less than half of the processor time. */
const PLACES = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];
const CHROMIUM = PLACES.find((place) => existsSync(place));

/** Why browser tests cannot run here; undefined when they can. For `describe.skipIf`. */
export const noBrowser: string | undefined =
  CHROMIUM === undefined ? `none of ${PLACES.join(', ')} is there` : undefined;
if (noBrowser !== undefined) console.warn(`Browser tests are skipped: ${noBrowser}.`);

/** Starts Chromium. Names that are not loopback resolve to nothing: tests stay on this machine. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    ...(CHROMIUM !== undefined && { executablePath: CHROMIUM }),
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
    ],
  });
}

/** Every error the pages of a context print or throw; that an answer was no 2xx is for the test to see, not an error. */
export function collectErrors(context: BrowserContext): string[] {
  const errors: string[] = [];
  context.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      errors.push(`${message.text()} ${message.location().url}`);
  });
  context.on('weberror', (error) => errors.push(String(error.error())));
  return errors;
}

/** Signs in at an emulator's pages as its first user and decides. */
export async function decideAtEmulator(popup: Page, decision: 'allow' | 'deny' = 'allow'): Promise<void> {
  const person = popup.locator('button[name=user]').first();
  const button = popup.locator(`button[name=decision][value=${decision}]`);
  await person.or(button).first().waitFor();
  if (await person.isVisible()) await person.click();
  await button.click();
}

export interface AppPage {
  /** `http://127.0.0.1:<port>`: another site than the server under test, as in life. */
  url: string;
  close(): Promise<void>;
}

/** Serves one page with this script (TypeScript, may import installed packages). */
export async function serveAppPage(script: string, body = ''): Promise<AppPage> {
  const bundled = await build({
    stdin: { contents: script, resolveDir: resolve(import.meta.dirname, '../..'), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    logLevel: 'silent',
  });
  const js = bundled.outputFiles[0]?.text ?? '';
  const html = `<!doctype html><html><head><meta charset="utf-8"><title>App</title></head><body>${body}
<script type="module" src="/app.js"></script></body></html>`;
  const server = createServer((request, response) => {
    const isScript = request.url === '/app.js';
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html; charset=utf-8' });
    response.end(isScript ? js : html);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
