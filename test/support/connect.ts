/** Walks the browser's part of a connect flow by plain HTTP. */
import type { EmulatorName } from '../../emulators/index.ts';
import type { TestApp } from './app.ts';

export interface ConnectedAccount {
  connectionId: string;
  key: string;
}

/** A session token for `end user` and one integration. */
export async function sessionToken(
  app: Pick<TestApp, 'api'>,
  key: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const answer = await app.api('POST', '/connect/sessions', {
    end_user: { id: 'user-1', email: 'user@example.com', display_name: 'A User' },
    allowed_integrations: [key],
    ...more,
  });
  if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.text}`);
  return answer.body.data.token as string;
}

/** Starts a flow: the provider's address and the browser's cookie. */
export async function beginFlow(
  url: string,
  key: string,
  token: string,
  query: Record<string, string> = {},
): Promise<{ location: string; cookie: string }> {
  const search = new URLSearchParams({ connect_session_token: token, ...query });
  const response = await fetch(`${url}/oauth/connect/${encodeURIComponent(key)}?${search}`, { redirect: 'manual' });
  const location = response.headers.get('location');
  if (response.status !== 302 || location === null) {
    throw new Error(`the flow did not start: ${response.status} ${await response.text()}`);
  }
  return { location, cookie: cookieOf(response) };
}

/** The pairs of all Set-Cookie headers, as a browser would send them back. */
export function cookieOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}

/** Connects an emulated account end to end; the emulator's first user says yes. */
export async function connectAccount(
  app: TestApp,
  key: string,
  options: { session?: Record<string, unknown>; emulator?: EmulatorName; user?: string } = {},
): Promise<ConnectedAccount> {
  const token = await sessionToken(app, key, options.session);
  return finishFlow(app, key, await beginFlow(app.url, key, token), options);
}

/** Says yes at the emulator and follows the callback. */
export async function finishFlow(
  app: Pick<TestApp, 'api' | 'emulators'>,
  key: string,
  flow: { location: string; cookie: string },
  options: { emulator?: EmulatorName; user?: string } = {},
): Promise<ConnectedAccount> {
  const name = options.emulator ?? (new URL(flow.location).pathname.split('/')[1] as EmulatorName);
  const callback = app.emulators
    .get(name)
    .consent(flow.location, options.user === undefined ? {} : { user: options.user });
  const before = new Set(await idsOf(app));
  const response = await fetch(callback, { redirect: 'manual', headers: { cookie: flow.cookie } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`the callback failed: ${response.status} ${text}`);
  const now = await idsOf(app);
  return { key, connectionId: now.find((id) => !before.has(id)) ?? (now[0] as string) };
}

async function idsOf(app: Pick<TestApp, 'api'>): Promise<string[]> {
  const { body } = await app.api('GET', '/connections');
  return (body.connections as { connection_id: string }[]).map((one) => one.connection_id);
}
