/** Connect, refuse, reconnect, call, revoked at the provider, delete: for each of the three providers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EmulatorName } from '../../emulators/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, connectAccount, finishFlow, sessionToken } from '../support/connect.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app?.close());

interface Subject {
  key: string;
  emulator: EmulatorName;
  call: { method: string; path: string };
  /** `connection_config` key of the account id, where the provider tells one. */
  accountKey: string | undefined;
  outcome: 'revoked' | 'unsupported';
}

const SUBJECTS: Subject[] = [
  {
    key: 'checkr-partner',
    emulator: 'checkr',
    call: { method: 'GET', path: '/v1/account' },
    accountKey: 'checkr_account_id',
    outcome: 'revoked',
  },
  {
    key: 'xref',
    emulator: 'xref',
    call: { method: 'POST', path: '/auth' },
    accountKey: 'xref_account_id',
    outcome: 'revoked',
  },
  {
    key: 'checkbook',
    emulator: 'checkbook',
    call: { method: 'GET', path: '/v3/check' },
    accountKey: undefined,
    outcome: 'unsupported',
  },
];

/** A proxied call. */
function call(key: string, connectionId: string, method: string, path: string, body?: unknown, headers = {}) {
  return app.api(method, `/proxy${path}`, body, {
    'provider-config-key': key,
    'connection-id': connectionId,
    ...headers,
  });
}

async function read(key: string, connectionId: string, query = '') {
  return app.api('GET', `/connections/${connectionId}?provider_config_key=${key}${query}`);
}

async function stateOf(connectionId: string): Promise<string> {
  const { body } = await app.api('GET', `/connections?connectionId=${connectionId}`);
  return body.connections[0]?.state as string;
}

describe.each(SUBJECTS)('$key', ({ key, emulator, call: sample, accountKey, outcome }) => {
  it('connects, keeps the account id and calls the API', async () => {
    const { connectionId } = await connectAccount(app, key);
    const { body } = await read(key, connectionId);
    expect(body.state).toBe('active');
    expect(body.emulated).toBe(true);
    if (accountKey !== undefined) {
      const account = app.emulators.get(emulator).accounts()[0]?.id;
      expect(body.connection_config[accountKey]).toBe(account);
    }
    const answer = await call(key, connectionId, sample.method, sample.path);
    expect(answer.status).toBe(200);
  });

  it('a refusal makes no connection and tells why', async () => {
    const before = (await app.api('GET', '/connections')).body.connections.length as number;
    const tokenRequests = app.emulators.get(emulator).tokenRequestCount();
    const flow = await beginFlow(app.url, key, await sessionToken(app, key));
    const callback = app.emulators.get(emulator).consent(flow.location, { decision: 'deny' });
    const page = await fetch(callback, { headers: { cookie: flow.cookie }, redirect: 'manual' });
    expect(page.status).toBe(400);
    expect(await page.text()).toContain('access was refused');
    expect((await app.api('GET', '/connections')).body.connections).toHaveLength(before);
    expect(app.emulators.get(emulator).tokenRequestCount()).toBe(tokenRequests);
  });

  it('a reconnect keeps the id and brings another token', async () => {
    const { connectionId } = await connectAccount(app, key);
    const before = await read(key, connectionId);
    const session = await app.api('POST', '/connect/sessions/reconnect', {
      connection_id: connectionId,
      integration_id: key,
    });
    expect(session.status).toBe(201);
    await finishFlow(app, key, await beginFlow(app.url, key, session.body.data.token));
    const after = await read(key, connectionId);
    expect(after.body.id).toBe(before.body.id);
    expect(after.body.credentials.access_token).not.toBe(before.body.credentials.access_token);
    expect((await call(key, connectionId, sample.method, sample.path)).status).toBe(200);
  });

  it('a grant revoked at the provider: 401 to the caller, then a visible state with a reason', async () => {
    const { connectionId } = await connectAccount(app, key);
    const handle = app.emulators.get(emulator);
    const grant = handle.grants().findLast((one) => one.state === 'active');
    await handle.revokeGrant(grant?.id as string);
    expect((await call(key, connectionId, sample.method, sample.path)).status).toBe(401);
    await expect.poll(() => stateOf(connectionId)).toBe('needs_reauth');
    const listed = (await app.api('GET', `/connections?connectionId=${connectionId}`)).body.connections[0];
    expect(listed.errors).toEqual([{ type: 'auth', log_id: listed.state_reason }]);
    expect(['unauthorized', 'revoked']).toContain(listed.state_reason);

    const session = await app.api('POST', '/connect/sessions/reconnect', {
      connection_id: connectionId,
      integration_id: key,
    });
    await finishFlow(app, key, await beginFlow(app.url, key, session.body.data.token));
    expect(await stateOf(connectionId)).toBe('active');
    expect((await call(key, connectionId, sample.method, sample.path)).status).toBe(200);
  });

  it('a delete lets go at the provider where it can, and the token is dead there', async () => {
    // Where the members of an account share one grant, the last one to leave ends it.
    const { body: all } = await app.api('GET', `/connections?integrationId=${key}`);
    for (const one of all.connections) {
      await app.api('DELETE', `/connections/${one.connection_id}?provider_config_key=${key}`);
    }
    const { connectionId } = await connectAccount(app, key);
    const handle = app.emulators.get(emulator);
    const { body } = await read(key, connectionId);
    const token = body.credentials.access_token as string;
    const deleted = await app.api('DELETE', `/connections/${connectionId}?provider_config_key=${key}`);
    expect(deleted.body).toMatchObject({ success: true, outcome });
    const grant = handle.grants().at(-1);
    expect(grant?.state).toBe(outcome === 'revoked' ? 'revoked' : 'active');
    if (outcome === 'unsupported') expect(deleted.body.detail).toMatch(/remove the app/i);
    expect((await read(key, connectionId)).status).toBe(404);
    const stored = await app.db.query<{ count: number }>(
      'SELECT count(*)::integer AS count FROM credential c JOIN connection k ON k.id = c.connection_id WHERE k.connection_id = $1',
      [connectionId],
    );
    expect(stored[0]?.count).toBe(0);
    expect(token.length).toBeGreaterThan(20);
  });
});

describe('checkr-partner', () => {
  it('a provider that drops the state is matched by the cookie, and not without it', async () => {
    const handle = app.emulators.get('checkr');
    handle.setKnob('echoState', false);
    try {
      const without = await beginFlow(app.url, 'checkr-partner', await sessionToken(app, 'checkr-partner'));
      const stolen = await fetch(handle.consent(without.location), { redirect: 'manual' });
      expect(stolen.status).toBe(400);
      const { connectionId } = await connectAccount(app, 'checkr-partner');
      expect(await stateOf(connectionId)).toBe('active');
    } finally {
      handle.setKnob('echoState', true);
    }
  });

  it('an account that is not credentialed may read but not order; afterwards it may', async () => {
    const handle = app.emulators.get('checkr');
    const notReady = handle.accounts().find((account) => !account.ready);
    const user = handle.users().find((one) => one.accountId === notReady?.id);
    const { connectionId } = await connectAccount(app, 'checkr-partner', { user: user?.id as string });
    expect(await stateOf(connectionId)).toBe('not_ready');
    expect((await call('checkr-partner', connectionId, 'GET', '/v1/account')).status).toBe(200);
    const candidate = await call('checkr-partner', connectionId, 'POST', '/v1/candidates', {
      email: 'one@example.com',
      first_name: 'One',
      last_name: 'Person',
      no_middle_name: true,
    });
    expect(candidate.status).toBe(201);
    const packages = await call('checkr-partner', connectionId, 'GET', '/v1/packages');
    const order = {
      package: packages.body.data[0].slug,
      candidate_id: candidate.body.id,
      work_locations: [{ country: 'US', state: 'CA' }],
    };
    const refused = await call('checkr-partner', connectionId, 'POST', '/v1/invitations', order);
    expect([refused.status, refused.body.error.code]).toEqual([409, 'account_not_ready']);
    await handle.makeReady(notReady?.id as string);
    await app.services.accounts.sweep();
    expect(await stateOf(connectionId)).toBe('active');
    // What the proxy remembers is dropped by a notification, a moment later.
    const ordered = async () => (await call('checkr-partner', connectionId, 'POST', '/v1/invitations', order)).status;
    await expect.poll(ordered, { timeout: 5_000 }).toBe(201);
  });
});

describe('checkbook', () => {
  it('refreshes on demand; the refresh token it returns is kept', async () => {
    const { connectionId } = await connectAccount(app, 'checkbook');
    const before = await read('checkbook', connectionId, '&refresh_token=true');
    const after = await read('checkbook', connectionId, '&refresh_token=true&force_refresh=true');
    expect(after.status).toBe(200);
    expect(after.body.credentials.access_token).not.toBe(before.body.credentials.access_token);
    expect(after.body.credentials.refresh_token).not.toBe(before.body.credentials.refresh_token);
    expect((await call('checkbook', connectionId, 'GET', '/v3/check')).status).toBe(200);
  });

  it('the scope is chosen per connect session; one it does not have is refused', async () => {
    const session = (scope: string) => ({
      integrations_config_defaults: { checkbook: { connection_config: { oauth_scopes_override: scope } } },
    });
    const { connectionId } = await connectAccount(app, 'checkbook', { session: session('check_receive') });
    expect(app.emulators.get('checkbook').grants().at(-1)?.scope).toBe('check_receive');
    expect((await call('checkbook', connectionId, 'GET', '/v3/invoice')).status).toBe(200);
    const bad = await app.api('POST', '/connect/sessions', {
      end_user: { id: 'u' },
      allowed_integrations: ['checkbook'],
      ...session('everything'),
    });
    expect(bad.status).toBe(400);
    expect(bad.body.error.code).toBe('invalid_body');
  });

  it('a single-use grant pays once, becomes spent, and is never tried again', async () => {
    const { connectionId } = await connectAccount(app, 'checkbook', {
      session: {
        integrations_config_defaults: { checkbook: { connection_config: { oauth_scopes_override: 'single-use' } } },
      },
    });
    const handle = app.emulators.get('checkbook');
    const check = { recipient: 'payee@example.com', name: 'Payee', amount: 12.5, description: 'Once' };
    const writes = () =>
      handle.requests().filter((one) => one.method === 'POST' && one.path.endsWith('/check/digital')).length;
    const before = writes();
    const first = await call('checkbook', connectionId, 'POST', '/v3/check/digital', check, { retries: '3' });
    expect(first.status).toBe(201);
    await expect.poll(() => stateOf(connectionId)).toBe('spent');
    const second = await call('checkbook', connectionId, 'POST', '/v3/check/digital', check, { retries: '3' });
    expect(second.status).toBeGreaterThanOrEqual(400);
    expect(second.body.error.code).toBe('connection_spent');
    expect(writes() - before).toBe(1);
  });
});
