/** A customer and an app at the emulator, each test with a fresh one. */
import { afterEach, beforeEach } from 'vitest';
import { PlainBrowser } from '../engine/browser-testing.ts';
import { createManualClock, type EmulatorHandle, type Emulators, startEmulators } from '../index.ts';

export const REDIRECT = 'https://app.example/callback';
export const basic = (token: string) => `Basic ${Buffer.from(`${token}:`).toString('base64')}`;

/** Emulators, an app that is registered at the first, and a browser, made anew before each test of the file. */
export function useCheckr() {
  const clock = createManualClock();
  const made = {} as {
    emulators: Emulators;
    checkr: EmulatorHandle;
    app: ReturnType<EmulatorHandle['registerApp']>;
    browser: PlainBrowser;
  };
  beforeEach(async () => {
    made.emulators = await startEmulators({ clock });
    made.checkr = made.emulators.get('checkr');
    made.app = made.checkr.registerApp({ name: 'Shiftly', redirectUri: REDIRECT });
    made.browser = new PlainBrowser(made.emulators.url);
  });
  afterEach(() => made.emulators.close());

  const user = (index: number) => {
    const found = made.checkr.users()[index];
    if (found === undefined) throw new Error(`The seed has no user ${index}.`);
    return found;
  };
  const authorizeUrl = (query = 'state=st-1', path = `/authorize/${made.app.clientId}`) =>
    `${made.checkr.url}${path}?${query}`;

  async function exchange(fields: Record<string, string>, format: 'form' | 'json' = 'form') {
    const full = { client_id: made.app.clientId, client_secret: made.app.liveSecret, ...fields };
    const response = await fetch(`${made.checkr.url}/oauth/tokens`, {
      method: 'POST',
      ...(format === 'form'
        ? { body: new URLSearchParams(full) }
        : { body: JSON.stringify(full), headers: { 'content-type': 'application/json' } }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, string>,
    };
  }

  async function getCode(userIndex = 0): Promise<string> {
    const back = await made.browser.connect(authorizeUrl(), user(userIndex).id);
    return back.searchParams.get('code') ?? '';
  }

  async function getToken(userIndex = 0): Promise<string> {
    const { body } = await exchange({ code: await getCode(userIndex) });
    return body.access_token ?? '';
  }

  const call = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    fetch(`${made.checkr.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });

  return Object.assign(made, { clock, user, authorizeUrl, exchange, getCode, getToken, call });
}
