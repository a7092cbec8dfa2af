import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EmulatorHandle, type Emulators, startEmulators } from '../index.ts';
import { PlainBrowser } from './browser-testing.ts';

let emulators: Emulators;
let checkr: EmulatorHandle;
let xref: EmulatorHandle;

beforeAll(async () => {
  emulators = await startEmulators();
  checkr = emulators.get('checkr');
  xref = emulators.get('xref');
});
beforeEach(() => {
  checkr.reset();
});
afterAll(() => emulators.close());

async function admin(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${checkr.url}/_emulator${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
}

const open = () => new PlainBrowser(emulators.url);

const fields = {
  name: 'Shiftly',
  description: 'Schedules',
  url: 'https://app.example',
  redirect_uri: 'https://app.example/callback',
  webhook_url: 'http://127.0.0.1:3003/hook',
  logo_url: 'https://app.example/logo.png',
};

async function connected(name: string) {
  const app = checkr.ensureApp(name, { redirectUri: 'https://app.example/callback' });
  const code = new URL(checkr.consent(`${checkr.url}/authorize/${app.clientId}`)).searchParams.get('code') ?? '';
  const body = new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code });
  return (
    (await (await fetch(`${checkr.url}/oauth/tokens`, { method: 'POST', body })).json()) as { access_token: string }
  ).access_token;
}

describe('applications', () => {
  it('registers and edits with the provider’s own field names', async () => {
    const made = await admin('POST', '/apps', fields);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      ...fields,
      client_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      client_secret: expect.stringMatching(/^[0-9a-f]{40}$/),
      test_client_secret: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    expect(made.body?.client_secret).not.toBe(made.body?.test_client_secret);
    const edited = await admin('PATCH', `/apps/${String(made.body?.client_id)}`, {
      redirect_uri: 'https://app.example/2',
    });
    expect(edited.body).toEqual({ ...made.body, redirect_uri: 'https://app.example/2' });
    const { body } = await admin('GET', '/apps');
    expect(body?.data).toContainEqual(edited.body);
  });

  it.each([
    [{ ...fields, redirect_url: 'https://app.example' }, 'Unknown field "redirect_url"'],
    [{ ...fields, redirect_uri: 'http://app.example/callback' }, 'must be https'],
    [{ ...fields, redirect_uri: 'javascript:alert(1)' }, 'not an http(s) URL'],
    [{ ...fields, redirect_uri: 'https://app.example/#part' }, 'fragment'],
    [{ ...fields, redirect_uri: '' }, 'needs a redirect address'],
    [{ ...fields, name: '' }, 'needs a name'],
    [{ ...fields, name: 'x'.repeat(501) }, 'longer'],
    [{ ...fields, name: 7 }, 'is a text'],
  ])('refuses %o', async (body, message) => {
    const { status, body: reply } = await admin('POST', '/apps', body);
    expect([status, reply?.error]).toEqual([400, expect.stringContaining(message)]);
  });

  it('names the redirect field as the provider does', async () => {
    const url = 'https://app.example/x';
    const made = await fetch(`${xref.url}/_emulator/apps`, {
      method: 'POST',
      body: JSON.stringify({ name: 'A', redirect_url: url }),
    });
    expect(await made.json()).toMatchObject({ redirect_url: url });
  });

  it('ensureApp finds by name, updates fields, keeps id and secrets', () => {
    const first = checkr.ensureApp('Same', { redirectUri: 'https://app.example/a' });
    const second = checkr.ensureApp('Same', {
      redirectUri: 'https://app.example/b',
      webhookUrl: 'https://app.example/w',
    });
    expect(second).toEqual({ ...first, redirectUri: 'https://app.example/b', webhookUrl: 'https://app.example/w' });
    expect(checkr.apps().filter((app) => app.name === 'Same')).toEqual([second]);
  });
});

describe('accounts, grants, knobs, faults, requests', () => {
  it('seeds a ready and an unready account with three users, and takes more', async () => {
    const { body } = await admin('GET', '/accounts');
    expect(body?.data).toMatchObject([
      { ready: true, users: [{}, {}] },
      { ready: false, users: [{}] },
    ]);
    const account = await admin('POST', '/accounts', {
      name: 'New Co',
      full_name: 'Nia New',
      email: 'nia@new.example',
      ready: false,
    });
    expect([account.status, account.body]).toEqual([201, expect.objectContaining({ name: 'New Co', ready: false })]);
    const user = await admin('POST', '/users', {
      account_id: account.body?.id,
      full_name: 'Ned New',
      email: 'ned@new.example',
    });
    expect([user.status, user.body?.account_id]).toEqual([201, account.body?.id]);
    const ready = await admin('POST', `/accounts/${String(account.body?.id)}/ready`);
    expect(ready.body?.ready).toBe(true);
    expect((await admin('POST', '/accounts', { name: 'x' })).status).toBe(400);
    expect((await admin('POST', '/users', { account_id: 'x', full_name: 'x', email: 'x@x' })).status).toBe(404);
  });

  it('revokes a grant, and lists it without its tokens', async () => {
    const token = await connected('Shiftly');
    const list = await admin('GET', '/grants');
    const [grant] = (list.body?.data ?? []) as { id: string; state: string }[];
    expect(JSON.stringify(list.body)).not.toContain(token);
    expect((await admin('POST', `/grants/${grant?.id}/revoke`)).body).toMatchObject({ state: 'revoked' });
    const account = await fetch(`${checkr.url}/v1/account`, {
      headers: { authorization: `Basic ${btoa(`${token}:`)}` },
    });
    expect(account.status).toBe(401);
    expect((await admin('POST', '/grants/none/revoke')).status).toBe(404);
  });

  it('does not let the users of a managed account disconnect it', async () => {
    const { id } = checkr.addAccount({
      name: 'Managed',
      managed: true,
      users: [{ fullName: 'M', email: 'm@managed.example' }],
    });
    const user = checkr.users().find((each) => each.accountId === id)?.id;
    const app = checkr.ensureApp('Shiftly', { redirectUri: 'https://app.example/callback' });
    const back = checkr.consent(`${checkr.url}/authorize/${app.clientId}`, { user });
    const code = new URL(back).searchParams.get('code') ?? '';
    const body = new URLSearchParams({ client_id: app.clientId, client_secret: app.liveSecret, code });
    await fetch(`${checkr.url}/oauth/tokens`, { method: 'POST', body });
    const [grant] = checkr.grants();
    expect((await admin('POST', `/grants/${grant?.id}/revoke`)).status).toBe(409);
    await expect(checkr.revokeGrant(grant?.id ?? '')).rejects.toThrow('managed');
    expect(checkr.grants()[0]?.state).toBe('active');
  });

  it('changes knobs all or none', async () => {
    expect((await admin('PATCH', '/knobs', { echoState: false, codeTtlSec: 5 })).body).toMatchObject({
      echoState: false,
      codeTtlSec: 5,
    });
    const wrong = await admin('PATCH', '/knobs', { echoState: true, codeTtlSec: 'soon' });
    expect([wrong.status, wrong.body?.error]).toEqual([400, 'Knob "codeTtlSec" takes a number.']);
    const unknown = await admin('PATCH', '/knobs', { volume: 11 });
    expect([unknown.status, unknown.body?.error]).toEqual([400, expect.stringContaining('Known: ')]);
    expect((await admin('GET', '/knobs')).body).toMatchObject({ echoState: false, codeTtlSec: 5 });
  });

  it('sets, lists and clears faults, and lists the names for a wrong one', async () => {
    expect((await admin('POST', '/faults', { name: 'html', on: 'token', times: 3 })).status).toBe(201);
    expect((await admin('GET', '/faults')).body?.data).toMatchObject([{ name: 'html', on: 'token', left: 3 }]);
    const wrong = await admin('POST', '/faults', { name: 'nope', on: 'token' });
    expect([wrong.status, wrong.body?.error]).toEqual([400, expect.stringContaining('lost-reply')]);
    expect((await admin('DELETE', '/faults')).status).toBe(204);
    expect((await admin('GET', '/faults')).body?.data).toEqual([]);
  });

  it('remembers requests without any value that could be a secret', async () => {
    const token = await connected('Shiftly');
    await fetch(`${checkr.url}/v1/candidates?email=cand%40example.com&page=1`, {
      headers: { authorization: `Basic ${btoa(`${token}:`)}` },
    });
    const { body } = await admin('GET', '/requests');
    const text = JSON.stringify(body);
    expect(body?.token_request_count).toBe(1);
    expect(body?.data).toMatchObject([
      { method: 'POST', path: '/oauth/tokens', queryNames: [], status: 200 },
      { method: 'GET', path: '/v1/candidates', queryNames: ['email', 'page'], status: 200 },
    ]);
    expect(text).not.toMatch(/cand(@|%40)/);
    expect(text).not.toContain(token);
  });

  it('reset forgets everything but the applications', async () => {
    const token = await connected('Shiftly');
    checkr.setKnob('echoState', false);
    const [apps, users] = [checkr.apps(), checkr.users()];
    expect((await admin('POST', '/reset')).status).toBe(204);
    expect(checkr.apps()).toEqual(apps);
    expect(checkr.grants()).toEqual([]);
    expect(checkr.knobs().echoState).toBe(true);
    expect(checkr.users()).toHaveLength(users.length);
    expect(checkr.users()[0]?.password).not.toBe(users[0]?.password);
    const account = await fetch(`${checkr.url}/v1/account`, {
      headers: { authorization: `Basic ${btoa(`${token}:`)}` },
    });
    expect(account.status).toBe(401);
  });

  it('answers 404 to unknown calls and 400 to broken bodies', async () => {
    expect((await admin('GET', '/nothing')).status).toBe(404);
    const broken = await fetch(`${checkr.url}/_emulator/apps`, { method: 'POST', body: '{' });
    expect(broken.status).toBe(400);
  });
});

describe('guard', () => {
  it.each([
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ origin: 'https://evil.example' }],
    [{ origin: 'http://127.0.0.1:1' }],
    [{ origin: 'null' }],
  ])('refuses writes with %o', async (headers) => {
    expect((await admin('POST', '/reset', undefined, headers)).status).toBe(403);
    const form = await fetch(`${checkr.url}/developer/reset`, {
      method: 'POST',
      headers: headers as Record<string, string>,
    });
    expect(form.status).toBe(403);
  });

  it('takes writes of its own pages and of tools', async () => {
    expect(
      (await admin('POST', '/reset', undefined, { origin: emulators.url, 'sec-fetch-site': 'same-origin' })).status,
    ).toBe(204);
    expect((await admin('POST', '/reset')).status).toBe(204);
  });

  it('refuses what a proxy hands on', async () => {
    expect((await admin('GET', '/apps', undefined, { 'x-forwarded-for': '203.0.113.9' })).status).toBe(403);
    const page = await fetch(`${checkr.url}/developer`, { headers: { forwarded: 'for=203.0.113.9' } });
    expect(page.status).toBe(403);
  });

  it('refuses a foreign host name, so that rebinding reads nothing', async () => {
    const { hostname, port } = new URL(emulators.url);
    const status = await new Promise<number>((resolve, reject) => {
      const options = { hostname, port, path: '/checkr/_emulator/apps', headers: { host: 'evil.example' } };
      httpRequest(options, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .once('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('has no CORS permission anywhere', async () => {
    const response = await fetch(`${checkr.url}/_emulator/apps`, { headers: { origin: 'https://evil.example' } });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('developer page', () => {
  it('registers and edits an application by form', async () => {
    const browser = open();
    const page = await browser.open(`${checkr.url}/developer`);
    const name = 'Page & "App"';
    const added = await browser.press(page, undefined, {
      name,
      redirect_uri: 'https://app.example/p',
      description: '<i>',
      url: '',
      webhook_url: '',
      logo_url: '',
    });
    expect(added.html).toContain('Page &#38; &#34;App&#34;');
    const app = checkr.apps().find((each) => each.name === name);
    expect(added.html).toContain(app?.liveSecret);
    expect(added.html).not.toContain('<i>');
    const wrong = await fetch(`${checkr.url}/developer/edit-app`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: app?.clientId ?? '', redirect_uri: 'nonsense' }),
    });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('not an absolute URL')]);
    const body = new URLSearchParams({ client_id: app?.clientId ?? '', redirect_uri: 'https://app.example/q' });
    await fetch(`${checkr.url}/developer/edit-app`, { method: 'POST', body });
    expect(checkr.apps().find((each) => each.name === name)?.redirectUri).toBe('https://app.example/q');
  });

  it('credentials an account, revokes a grant, sets and clears faults and knobs by form', async () => {
    const browser = open();
    await connected('Shiftly');
    const [grant] = checkr.grants();
    let page = await browser.open(`${checkr.url}/developer`);
    page = await browser.press(page, ['account_id', checkr.accounts()[1]?.id ?? '']);
    expect(checkr.accounts()[1]?.ready).toBe(true);
    page = await browser.press(page, ['grant_id', grant?.id ?? '']);
    expect(checkr.grants()[0]?.state).toBe('revoked');
    page = await browser.press(page, undefined, {
      name: 'html',
      on: 'api',
      times: '0',
      delayMs: '',
      path: '',
      dialect: '',
    });
    expect(checkr.faults()).toMatchObject([{ name: 'html', on: 'api', left: 0 }]);
    page = await browser.press(page, ['all', 'true']);
    expect(checkr.faults()).toEqual([]);
    const values = {
      codeTtlSec: '7',
      echoState: 'false',
      tokenBodyFormats: 'json',
      'rateLimit.perMinute': '',
      'rateLimit.body': '{"a":1}',
    };
    page = await browser.press(page, undefined, values);
    expect(checkr.knobs()).toMatchObject({
      codeTtlSec: 7,
      echoState: false,
      tokenBodyFormats: ['json'],
      'rateLimit.perMinute': null,
      'rateLimit.body': { a: 1 },
    });
    const wrong = await browser.press(page, undefined, { ...values, codeTtlSec: '9', 'rateLimit.body': '{' });
    expect([wrong.status, wrong.html]).toEqual([400, expect.stringContaining('takes JSON')]);
    expect(checkr.knobs().codeTtlSec).toBe(7);
  });

  it('loads nothing but its own stylesheet, and no script may run', async () => {
    for (const url of [emulators.url, `${checkr.url}/developer`]) {
      const page = await open().open(url);
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(page.html).not.toMatch(/<script|style="|<img|https?:\/\/(?!127\.0\.0\.1|app\.example)/);
    }
    const style = await fetch(`${checkr.url}/_emulator/style.css`);
    expect(style.headers.get('content-type')).toContain('text/css');
    expect(await style.text()).not.toMatch(/url\(|@import/);
  });

  it('lists every emulator on the index page', async () => {
    const { html } = await open().open(emulators.url);
    for (const name of ['checkr', 'checkr-staging', 'xref', 'checkbook', 'checkbook-sandbox']) {
      expect(html).toContain(`href="/${name}/developer"`);
    }
    expect((await fetch(`${emulators.url}/unknown/`)).status).toBe(404);
  });
});
