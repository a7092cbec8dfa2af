/** The connect flow over plain HTTP: sessions, start, callback, and everything that must be refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, connectAccount, cookieOf, finishFlow, sessionToken } from '../support/connect.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(async () => {
  await app?.close();
});

const START = { headers: { accept: 'application/json' }, redirect: 'manual' } as const;

function startUrl(key: string, query: Record<string, string>): string {
  return `${app.url}/oauth/connect/${key}?${new URLSearchParams(query)}`;
}

async function callback(query: Record<string, string> | string, cookie = ''): Promise<Response> {
  const search = typeof query === 'string' ? query : new URLSearchParams(query).toString();
  return fetch(`${app.url}/oauth/callback?${search}`, { redirect: 'manual', headers: { cookie } });
}

/** A flow whose customer has said yes: the callback is still to come. */
async function approved(key = 'checkr-partner', emulator = 'checkr', query: Record<string, string> = {}) {
  const token = await sessionToken(app, key);
  const flow = await beginFlow(app.url, key, token, query);
  const back = new URL(app.emulators.get(emulator as 'checkr').consent(flow.location));
  return { token, cookie: flow.cookie, location: flow.location, back };
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
    if (accountField !== undefined) expect(body.connection_config[accountField]).toMatch(/^[0-9a-f]{8}/);
  });

  it('spends the session with the first success', async () => {
    const { token, back, cookie } = await approved();
    expect((await callback(back.search.slice(1), cookie)).status).toBe(200);
    const after = await callApi(app.url, token, 'GET', '/connect/session');
    expect(after).toMatchObject({ status: 401, body: { error: { code: 'unknown_connect_session_token' } } });
    const again = await fetch(startUrl('checkr-partner', { connect_session_token: token }), START);
    expect(again.status).toBe(401);
    const typed = await fetch(`${app.url}/api-auth/api-key/x?connect_session_token=${token}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"apiKey":"k"}',
    });
    expect(typed.status).toBe(401);
  });
});
