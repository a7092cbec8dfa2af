/** Abuse of the connect flow (threats 2.6, cases 1–3, 6–12): each must be refused without a word to the provider. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, cookieOf, sessionToken } from '../support/connect.ts';
import { mutations, redirectPayloads } from './connect-payloads.ts';
import { answeredFlow, followBack, pushableClock, rememberingLog } from './connect-helpers.ts';

/** CI runs more of them. */
const RACE_ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 10);

const time = pushableClock();
const memory = rememberingLog();
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({
    clock: time.clock,
    log: memory.log,
    settings: { HAWSER_RETURN_ORIGINS: 'https://app.example.com' },
  });
});
afterAll(async () => {
  await app?.close();
});
afterEach(() => {
  app.emulators.get('checkr').setKnob('echoState', true);
});

const tokenRequests = (): number => app.emulators.get('checkr').tokenRequestCount();

describe('the state', () => {
  it('abuse 1: 200 mutated states make no token request', async () => {
    const flow = await answeredFlow(app);
    expect(mutations('a'.repeat(64)).length).toBeGreaterThanOrEqual(200);
    const state = flow.back.searchParams.get('state') as string;
    const code = flow.back.searchParams.get('code') as string;
    const before = tokenRequests();
    for (const mutated of mutations(state)) {
      const search = `?code=${code}&${mutated}`;
      const response = await followBack(app, search, flow.cookie);
      expect([mutated.slice(0, 80), response.status]).toEqual([mutated.slice(0, 80), 400]);
    }
    expect(tokenRequests()).toBe(before);
    // None of them spent the real one.
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    expect(tokenRequests()).toBe(before + 1);
  });

  it('abuse 1: works once', async () => {
    const flow = await answeredFlow(app);
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const before = tokenRequests();
    const again = await followBack(app, flow.back, flow.cookie);
    expect(again.status).toBe(400);
    expect(await again.text()).toContain('state_err');
    expect(tokenRequests()).toBe(before);
  });

  it(
    `abuse 3: of 50 parallel callbacks one is exchanged, ${RACE_ROUNDS} times over`,
    { timeout: 120_000 },
    async () => {
      for (let round = 0; round < RACE_ROUNDS; round++) {
        const flow = await answeredFlow(app);
        const before = tokenRequests();
        const answers = await Promise.all(Array.from({ length: 50 }, () => followBack(app, flow.back, flow.cookie)));
        expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
        expect(tokenRequests()).toBe(before + 1);
      }
    },
  );

  it('abuse 1: ends after 10 minutes', async () => {
    const flow = await answeredFlow(app);
    const before = tokenRequests();
    time.push(10 * 60_000 + 1_000);
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(400);
    expect(tokenRequests()).toBe(before);
  });

  it('abuse 1: is stored as a hash, and the verifier and config sealed', async () => {
    const flow = await answeredFlow(app, { query: { 'params[canary]': 'canary-value' } });
    const state = flow.back.searchParams.get('state') as string;
    const [row] = await app.db.query<{ row: string; state_hash: Buffer; sealed: Buffer }>(
      'SELECT to_jsonb(f)::text AS row, state_hash, sealed FROM oauth_flow f ORDER BY created_at DESC LIMIT 1',
    );
    expect(row?.state_hash).toEqual(createHash('sha256').update(state).digest());
    expect(row?.row).not.toContain(state);
    expect(row?.sealed.toString('latin1')).not.toContain('canary-value');
  });

  it('abuse 1: a script cannot fill the table: of one session 20 flows stay, the newest', async () => {
    const token = await sessionToken(app, 'xref');
    for (let i = 0; i < 25; i++) await beginFlow(app.url, 'xref', token); // each from a browser of its own
    const rows = await app.db.query(
      `SELECT 1 FROM oauth_flow f JOIN integration i ON i.id = f.integration_id WHERE i.unique_key = 'xref'`,
    );
    expect(rows).toHaveLength(20);
  });

  it('makes no connection at an integration that was deleted meanwhile', async () => {
    const { body } = await app.api('GET', '/integrations/checkr-partner?include=credentials');
    const key = 'checkr-deleted';
    const { type, client_id, client_secret } = body.data.credentials;
    const made = {
      provider: body.data.provider,
      unique_key: key,
      credentials: { type, client_id, client_secret },
      custom: { emulated: 'true' },
    };
    expect((await app.api('POST', '/integrations', made)).status).toBe(200);
    const flow = await answeredFlow(app, { key });
    expect((await app.api('DELETE', `/integrations/${key}`)).status).toBe(200);
    const before = tokenRequests();
    const answer = await followBack(app, flow.back, flow.cookie);
    expect([answer.status, tokenRequests()]).toEqual([404, before]);
    const rows = await app.db.query(
      'SELECT 1 FROM connection c JOIN integration i ON i.id = c.integration_id WHERE i.unique_key = $1',
      [key],
    );
    expect(rows).toEqual([]);
  });

  it('abuse 9: one session makes one connection, also from two flows at once', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const one = await answeredFlow(app, { token });
    const other = await answeredFlow(app, { token }); // another browser: another cookie
    const answers = await Promise.all([
      followBack(app, one.back, one.cookie),
      followBack(app, other.back, other.cookie),
    ]);
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 401]);
  });
});

describe('the browser', () => {
  it.each([
    ['no cookie', () => ''],
    ['a foreign cookie', () => `hawser_browser=${randomBytes(32).toString('hex')}`],
    ['a malformed cookie', () => 'hawser_browser=abc'],
    ['two cookies', (own: string) => `${own}; hawser_browser=${randomBytes(32).toString('hex')}`],
    ['a cookie of a similar name', (own: string) => own.replace('hawser_browser', 'xhawser_browser')],
  ])('abuse 2: with %s gets a page that offers to start again, and no connection', async (_, cookie) => {
    const flow = await answeredFlow(app);
    const before = tokenRequests();
    const response = await followBack(app, flow.back, cookie(flow.cookie));
    expect(response.status).toBe(400);
    const html = await response.text();
    expect(html).toContain('state_cookie_err');
    expect(html).toContain('start again');
    expect(tokenRequests()).toBe(before);
    // The state is spent: the attacker cannot try it elsewhere.
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(400);
    expect(tokenRequests()).toBe(before);
  });

  it('abuse 2: is not sent to return_to when it is the wrong one', async () => {
    const flow = await answeredFlow(app, { query: { return_to: 'https://app.example.com/' } });
    const response = await followBack(app, flow.back, '');
    expect([response.status, response.headers.get('location')]).toEqual([400, null]);
  });

  it('abuse 2: does not learn where the waiting one can be reached when it is the wrong one', async () => {
    const id = randomUUID();
    const [flow, own] = [
      await answeredFlow(app, { query: { ws_client_id: id } }),
      await answeredFlow(app, { query: { ws_client_id: id } }),
    ];
    expect(await (await followBack(app, flow.back, '')).text()).not.toContain(id);
    expect(await (await followBack(app, own.back, own.cookie)).text()).toContain(id);
  });
});

describe('a provider that drops the state', () => {
  const noState = async (cookie?: string) => {
    app.emulators.get('checkr').setKnob('echoState', false);
    const token = await sessionToken(app, 'checkr-partner');
    const search = new URLSearchParams({ connect_session_token: token });
    const response = await fetch(`${app.url}/oauth/connect/checkr-partner?${search}`, {
      redirect: 'manual',
      headers: cookie === undefined ? {} : { cookie },
    });
    const back = new URL(app.emulators.get('checkr').consent(response.headers.get('location') as string));
    expect(back.searchParams.has('state')).toBe(false);
    return { cookie: cookieOf(response), back };
  };

  it('abuse 2: is matched by the browser when one flow is open', async () => {
    const flow = await noState();
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(400);
  });

  it('abuse 2: is refused in another browser, and without a cookie', async () => {
    const flow = await noState();
    const before = tokenRequests();
    expect((await followBack(app, flow.back, `hawser_browser=${'a'.repeat(64)}`)).status).toBe(400);
    expect((await followBack(app, flow.back)).status).toBe(400);
    expect(tokenRequests()).toBe(before);
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
  });

  it('abuse 2: is refused when two flows are open, and the next attempt works', async () => {
    const one = await noState();
    const two = await noState(one.cookie);
    const before = tokenRequests();
    const response = await followBack(app, two.back, one.cookie);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('more than one');
    expect(tokenRequests()).toBe(before);
    const three = await noState(one.cookie);
    expect((await followBack(app, three.back, one.cookie)).status).toBe(200);
  });

  it('a second try in one session replaces the first', async () => {
    app.emulators.get('checkr').setKnob('echoState', false);
    const token = await sessionToken(app, 'checkr-partner');
    const url = `${app.url}/oauth/connect/checkr-partner?connect_session_token=${token}`;
    const first = await fetch(url, { redirect: 'manual' });
    const cookie = cookieOf(first);
    const second = await fetch(url, { redirect: 'manual', headers: { cookie } });
    const back = new URL(app.emulators.get('checkr').consent(second.headers.get('location') as string));
    expect((await followBack(app, back, cookie)).status).toBe(200);
  });
});

describe('redirect_uri', () => {
  it('abuse 7: is the configured one whatever the headers say', async () => {
    const { port } = new URL(app.url);
    const names = [
      'evil.example',
      'evil.example:443',
      'localhost',
      '127.0.0.1',
      `localhost:${port}@evil.example`,
      '[::1]',
    ];
    const forged = ['x-forwarded-host', 'x-forwarded-proto', 'forwarded', 'x-original-host', 'x-host'];
    const seen = new Set<string | null>();
    for (const host of names) {
      for (const header of forged) {
        const token = await sessionToken(app, 'checkbook');
        const location = await rawStart(Number(port), `/oauth/connect/checkbook?connect_session_token=${token}`, {
          host,
          [header]: header === 'forwarded' ? `host=${host};proto=https` : header.endsWith('proto') ? 'https' : host,
        });
        seen.add(new URL(location).searchParams.get('redirect_uri'));
      }
    }
    expect([...seen]).toEqual([`${app.url}/oauth/callback`]);
  });
});

describe('return_to', () => {
  it('abuse 8: refuses 120 addresses that are not exactly on the list', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const payloads = redirectPayloads(app.url);
    expect(payloads.length).toBeGreaterThanOrEqual(120);
    for (const payload of payloads) {
      const search = new URLSearchParams({ connect_session_token: token, return_to: payload });
      const response = await fetch(`${app.url}/oauth/connect/checkr-partner?${search}`, {
        redirect: 'manual',
        headers: { accept: 'application/json' },
      });
      expect([payload, response.status, response.headers.get('location')]).toEqual([payload, 400, null]);
      expect(await response.json()).toMatchObject({ error: { code: 'return_to_not_allowed' } });
    }
  });
});

describe('Referer', () => {
  it('abuse 8: sends nobody anywhere, after a success, a refusal or a broken start', async () => {
    const headers = { referer: 'https://evil.example/', origin: 'https://evil.example' };
    const token = await sessionToken(app, 'checkr-partner');
    const search = new URLSearchParams({ connect_session_token: token, return_to: 'https://evil.example/' });
    const answers = [
      await fetch(`${app.url}/oauth/connect/checkr-partner?${search}`, { redirect: 'manual', headers }),
      await fetch(`${app.url}/oauth/connect/nobody?connect_session_token=x`, { redirect: 'manual', headers }),
    ];
    for (const decision of ['allow', 'deny'] as const) {
      const flow = await answeredFlow(app, { decision });
      answers.push(await followBack(app, flow.back, flow.cookie, headers));
    }
    for (const answer of answers) {
      expect([answer.status, answer.headers.get('location')]).toEqual([answer.status, null]);
      expect(await answer.text()).not.toContain('evil.example');
    }
  });
});

describe('a session that has made its connection', () => {
  it('abuse 9: is worth nothing any more, on no route', async () => {
    const token = await sessionToken(app, 'checkr-partner');
    const flow = await answeredFlow(app, { token });
    const other = await answeredFlow(app, { token });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const before = tokenRequests();
    const start = await fetch(`${app.url}/oauth/connect/checkr-partner?connect_session_token=${token}`, {
      redirect: 'manual',
    });
    expect([start.status, start.headers.get('location')]).toEqual([401, null]);
    expect((await followBack(app, other.back, other.cookie)).status).toBe(401);
    for (const [method, path] of [
      ['GET', '/connect/session'],
      ['GET', '/connect/session/integrations'],
      ['DELETE', '/connect/session'],
      ['GET', '/connections'],
      ['POST', '/connect/sessions'],
      ['GET', '/proxy/v1/account'],
    ] as const) {
      const answer = await fetch(`${app.url}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
      expect([path, answer.status]).toEqual([path, 401]);
    }
    expect(tokenRequests()).toBe(before);
  });
});

describe('the browser’s parameters', () => {
  it('abuse 10: widen nothing', async () => {
    const token = await sessionToken(app, 'checkbook', {
      integrations_config_defaults: {
        checkbook: { connection_config: { locked: 'by the app' }, authorization_params: { prompt: 'login' } },
      },
    });
    const flow = await answeredFlow(app, {
      key: 'checkbook',
      emulator: 'checkbook',
      token,
      query: {
        'params[oauth_scopes_override]': 'single-use',
        'params[webhook_url]': 'https://evil.example/',
        'params[locked]': 'by the browser',
        'params[constructor]': 'x',
        'authorization_params[scope]': 'single-use',
        'authorization_params[redirect_uri]': 'https://evil.example/',
        'authorization_params[state]': 'mine',
        'authorization_params[client_id]': 'other',
        'authorization_params[prompt]': 'none',
        user_scope: 'admin',
      },
    });
    const asked = new URL(flow.location).searchParams;
    expect(asked.get('scope')).toBe('check');
    expect(asked.get('redirect_uri')).toBe(`${app.url}/oauth/callback`);
    expect(asked.get('state')).toMatch(/^[0-9a-f]{64}$/);
    expect(asked.get('prompt')).toBe('login');
    expect(asked.has('user_scope')).toBe(false);
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const [row] = await app.db.query<{ connection_config: object; webhook_url_override: string | null }>(
      'SELECT connection_config, webhook_url_override FROM connection ORDER BY id DESC LIMIT 1',
    );
    expect(row).toEqual({ connection_config: { locked: 'by the app' }, webhook_url_override: null });
  });

  it('abuse 10: do not decide which account was connected', async () => {
    const flow = await answeredFlow(app, { query: { 'params[checkr_account_id]': 'someone-else' } });
    expect((await followBack(app, flow.back, flow.cookie)).status).toBe(200);
    const [row] = await app.db.query<{ account_id: string; connection_config: object }>(
      'SELECT account_id, connection_config FROM connection ORDER BY id DESC LIMIT 1',
    );
    expect(row?.account_id).not.toBe('someone-else');
    expect(row?.connection_config).toEqual({ checkr_account_id: row?.account_id });
  });
});

describe('secrets', () => {
  it('abuse 6: reach no log, whatever happens', async () => {
    const canaries: string[] = [];
    for (const name of ['none', 'server-error', 'html', 'truncated', 'lost-reply'] as const) {
      if (name !== 'none') app.emulators.get('checkr').setFault({ name, on: 'token' });
      const flow = await answeredFlow(app);
      await followBack(app, flow.back, flow.cookie);
      canaries.push(flow.token, flow.cookie.split('=')[1] as string);
      canaries.push(...['state', 'code'].map((key) => flow.back.searchParams.get(key) as string));
    }
    canaries.push(
      ...app.emulators
        .get('checkr')
        .apps()
        .flatMap((one) => [one.liveSecret, one.testSecret]),
    );
    await app.services.activity.flush();
    const stored = await app.db.query<{ row: string }>(
      `SELECT to_jsonb(a)::text AS row FROM activity a UNION ALL SELECT to_jsonb(e)::text FROM event e
       UNION ALL SELECT to_jsonb(c)::text FROM connection c`,
    );
    const text = `${memory.text()}\n${stored.map(({ row }) => row).join('\n')}`;
    expect(canaries.length).toBeGreaterThan(20);
    for (const canary of canaries) expect(text.includes(canary), canary.slice(0, 6)).toBe(false);
  });
});

/** A start with a Host header of one's own, which fetch does not allow. */
function rawStart(port: number, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers }, (response) => {
      response.resume();
      const { location } = response.headers;
      if (location === undefined) reject(new Error(`no redirect: ${response.statusCode}`));
      else resolve(location);
    });
    sent.on('error', reject).end();
  });
}

describe('supporting facts', () => {
  it('an authorize URL carries no secret', async () => {
    const token = await sessionToken(app, 'checkbook');
    const { location } = await beginFlow(app.url, 'checkbook', token);
    expect(location).not.toContain(token);
    for (const one of app.emulators.get('checkbook').apps()) expect(location).not.toContain(one.liveSecret);
  });
});
