/** The life of an account, against the emulators: readiness, disconnects on either side, members of one grant. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callApi, startTestApp, type TestApp } from '../../../test/support/app.ts';
import { beginFlow, connectAccount, finishFlow } from '../../../test/support/connect.ts';
import { systemClock } from '../../platform/clock.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import { rotateKeys } from '../environments/index.ts';
import type { EmulatorHandle } from '../../../emulators/index.ts';

let app: TestApp;
let checkr: EmulatorHandle;
let xref: EmulatorHandle;

beforeAll(async () => {
  app = await startTestApp({ webhooks: true });
  checkr = app.emulators.get('checkr');
  xref = app.emulators.get('xref');
});
afterAll(() => app?.close());

/** Every test begins with nobody connected, on either side. */
beforeEach(async () => {
  for (const { connection_id: id, provider_config_key: key } of await connections()) await letGo(id, key);
  await app.services.disconnect.sweep();
  checkr.reset();
  xref.reset();
  await app.db.query('DELETE FROM inbound_event');
  await custom('checkr-partner', {});
  await custom('xref', {});
});

async function connections(): Promise<{ connection_id: string; provider_config_key: string; errors: unknown[] }[]> {
  return (await app.api('GET', '/connections')).body.connections;
}

const letGo = (id: string, key: string) => app.api('DELETE', `/connections/${id}?provider_config_key=${key}`);

async function custom(key: string, values: Record<string, string>): Promise<void> {
  const answer = await app.api('PATCH', `/integrations/${key}`, { custom: { emulated: 'true', ...values } });
  expect(answer.status).toBe(200);
}

const connect = (key: string, user: string, endUser = user) =>
  connectAccount(app, key, { user, session: { end_user: { id: endUser } } });

async function reconnect(id: string, key: string, user: string) {
  const { body } = await app.api('POST', '/connect/sessions/reconnect', {
    connection_id: id,
    integration_id: key,
  });
  return finishFlow(app, key, await beginFlow(app.url, key, body.data.token), { user });
}

interface Row {
  state: string;
  state_reason: string | null;
  secrets: number;
}

async function row(connectionId: string): Promise<Row | undefined> {
  const found = await app.db.query<Row>(
    `SELECT c.state, c.state_reason, (SELECT count(*)::int FROM credential k WHERE k.environment_id = c.environment_id
       AND k.connection_id = coalesce(c.grant_of, c.id)) AS secrets
     FROM connection c WHERE c.connection_id = $1`,
    [connectionId],
  );
  return found[0];
}

/** What the app is told of a connection, without what is only passed on. */
async function told(connectionId: string, kinds: 'own' | 'forward' = 'own'): Promise<string[]> {
  const rows = await app.db.query<{ type: string; state: string | null }>(
    `SELECT e.type, e.payload ->> 'state' AS state FROM event e
     JOIN connection c ON c.environment_id = e.environment_id AND c.id = e.connection_id
     WHERE c.connection_id = $1 AND (e.type = 'forward') = $2 ORDER BY e.id`,
    [connectionId, kinds === 'forward'],
  );
  return rows.map(({ type, state }) => (state === null ? type : `${type} ${state}`));
}

/** Polls as long as a busy machine needs. */
const soon = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 10_000, interval: 20 });

const becomes = (connectionId: string, state: string) => soon(async () => (await row(connectionId))?.state).toBe(state);

/** Events that are not handled yet; one that came before its connection looks again at once. */
async function waiting(): Promise<number> {
  await app.db.query(`UPDATE inbound_event SET due_at = clock_timestamp() WHERE state = 'parked'`);
  return (await app.db.query(`SELECT 1 FROM inbound_event WHERE state <> 'routed'`)).length;
}

/** The emulator has told so often, and all of it has been handled. */
async function quiet(times: number): Promise<void> {
  await soon(() => checkr.webhooks().length).toBe(times);
  await soon(() => checkr.webhooks().every(({ state }) => state === 'delivered')).toBe(true);
  await soon(waiting).toBe(0);
}

const living = (emulator: EmulatorHandle) => emulator.grants().filter(({ state }) => state === 'active');

const proxied = (id: string, method: string, path: string, body?: unknown) =>
  app.api(method, `/proxy${path}`, body, { 'connection-id': id, 'provider-config-key': 'checkr-partner' });

describe('readiness', () => {
  const ROSA = 'rosa@pinecone.example';
  const order = (id: string) => proxied(id, 'POST', '/v1/invitations', { package: 'basic', candidate_id: 'x' });

  it.each(['today', '2018', '2016'])(
    'an account that is credentialed later becomes ready, told as in %s',
    async (shape) => {
      checkr.setKnob('credentialedShape', shape);
      const { connectionId } = await connect('checkr-partner', ROSA);
      expect(await row(connectionId)).toMatchObject({ state: 'not_ready', state_reason: 'credentialing' });
      expect((await proxied(connectionId, 'GET', '/v1/account')).status).toBe(200);
      const refused = await order(connectionId);
      expect([refused.status, refused.body.error.code]).toEqual([409, 'account_not_ready']);
      expect(refused.text).toContain('credentialing');

      await checkr.makeReady(checkr.users().find(({ email }) => email === ROSA)?.accountId ?? '');
      await becomes(connectionId, 'active');
      expect(await told(connectionId)).toEqual(['auth', 'connection.state active', 'account.ready']);
      // The provider itself answers again.
      await soon(async () => (await order(connectionId)).status).not.toBe(409);
    },
  );

  it('an event that comes before the token changes nothing for the worse', async () => {
    checkr.setKnob('credentialing', 'early-event');
    const { connectionId } = await connect('checkr-partner', ROSA);
    await becomes(connectionId, 'active');
    await soon(waiting).toBe(0);
    expect((await told(connectionId)).filter((type) => type === 'account.ready').length).toBeLessThan(2);
  });

  it('is asked for again when the event got lost', async () => {
    const { connectionId } = await connect('checkr-partner', ROSA);
    const { clientId } = checkr.apps()[0] as { clientId: string };
    const { webhookUrl } = checkr.apps()[0] as { webhookUrl: string };
    checkr.editApp(clientId, { webhookUrl: '' });
    await checkr.makeReady(checkr.users().find(({ email }) => email === ROSA)?.accountId ?? '');
    checkr.editApp(clientId, { webhookUrl });
    expect((await row(connectionId))?.state).toBe('not_ready');
    expect(await app.services.accounts.sweep()).toBe(1);
    expect((await row(connectionId))?.state).toBe('active');
    expect(await told(connectionId)).toContain('account.ready');
  });
});

describe('disconnects', () => {
  it('theirs: found by the token, wiped, stopped, told once; the token goes nowhere', async () => {
    const { connectionId } = await connect('checkr-partner', 'maya@harborlights.example');
    const other = await connect('checkr-partner', 'jonas@harborlights.example');
    const [grant] = living(checkr);
    await quiet(2);
    const passedOn = await told(connectionId, 'forward');
    checkr.setKnob('webhookDuplicates', 1);
    await checkr.revokeGrant(grant?.id ?? '');
    await becomes(connectionId, 'revoked_by_provider');
    expect(await row(connectionId)).toMatchObject({ secrets: 0 });
    expect(await told(connectionId)).toEqual([
      'auth',
      'connection.state revoked_by_provider',
      'connection.deauthorized',
    ]);
    await quiet(4);
    // The provider's own words, too, once and without the token.
    expect(await told(connectionId, 'forward')).toHaveLength(passedOn.length + 1);
    // The same account, another grant.
    expect(await row(other.connectionId)).toMatchObject({ state: 'active', secrets: 1 });
    const call = await proxied(connectionId, 'GET', '/v1/account');
    expect([call.status, call.body.error.code]).toEqual([424, 'connection_needs_reauth']);
    const token = String(JSON.parse(checkr.webhooks().at(-1)?.body ?? '{}').data.object.access_code);
    expect(token).toMatch(/^[0-9a-f]{40}$/);
    const dump = await app.db.query<{ text: string }>(
      `SELECT coalesce(string_agg(e::text, ''), '') AS text FROM event e
       UNION ALL SELECT coalesce(string_agg(a::text, ''), '') FROM activity a
       UNION ALL SELECT coalesce(string_agg(i::text, ''), '') FROM inbound_event i`,
    );
    expect(dump.map(({ text }) => text).join('')).not.toContain(token);
    // The customer comes back.
    await reconnect(connectionId, 'checkr-partner', 'maya@harborlights.example');
    expect(await row(connectionId)).toMatchObject({ state: 'active', secrets: 1 });
  });

  it('theirs, after the keys were rotated', async () => {
    const { connectionId } = await connect('checkr-partner', 'maya@harborlights.example');
    const { db, keyring } = app;
    await rotateKeys({ db, keyring, clock: systemClock, killPoints: noKillPoints }, { dataKeys: true });
    await checkr.revokeGrant(living(checkr)[0]?.id ?? '');
    await becomes(connectionId, 'revoked_by_provider');
  });

  it('ours: the provider’s own event about it is no second disconnect, and is not kept waiting', async () => {
    const { connectionId } = await connect('checkr-partner', 'maya@harborlights.example');
    const id = (await app.db.query<{ id: number }>('SELECT id FROM connection WHERE connection_id = $1', [connectionId]))[0]?.id ?? 0; // prettier-ignore
    expect((await letGo(connectionId, 'checkr-partner')).status).toBe(200);
    await soon(() => checkr.webhooks().at(-1)?.type).toBe('token.deauthorized');
    await soon(async () => (await app.services.disconnect.outcomeOf(1, id))?.echoedAt).toBeInstanceOf(Date);
    expect(await told(connectionId)).toEqual([
      'auth',
      'connection.state disconnecting',
      'connection.state disconnected',
      'connection.disconnected',
    ]);
    const parked = await app.db.query(`SELECT 1 FROM inbound_event WHERE state = 'parked' AND type = 'token.deauthorized'`); // prettier-ignore
    expect(parked).toEqual([]);
    // A day later nothing is known of the token any more.
    await app.db.query(`UPDATE disconnect_task SET finished_at = finished_at - interval '25 hours'`);
    await app.services.disconnect.sweep();
    const kept = await app.db.query('SELECT 1 FROM disconnect_task WHERE echo_hashes IS NOT NULL');
    expect(kept).toEqual([]);
  });

  it('a reconnect lets go of the grant before it', async () => {
    const { connectionId } = await connect('checkr-partner', 'maya@harborlights.example');
    await reconnect(connectionId, 'checkr-partner', 'maya@harborlights.example');
    expect(living(checkr)).toHaveLength(2);
    await app.services.disconnect.sweep();
    expect(living(checkr)).toHaveLength(1);
    expect((await proxied(connectionId, 'GET', '/v1/account')).status).toBe(200);
    await quiet(3);
    expect(await row(connectionId)).toMatchObject({ state: 'active', secrets: 1 });
    expect((await told(connectionId)).filter((type) => type !== 'auth')).toEqual([]);
  });
});

describe('account_policy', () => {
  const PRIYA = 'priya@bluegum.example';
  const TOM = 'tom@bluegum.example';

  it('share: one grant, either may leave, the last one revokes', async () => {
    const first = await connect('xref', PRIYA);
    const second = await connect('xref', TOM);
    await app.services.disconnect.sweep();
    expect(living(xref)).toHaveLength(1);
    const token = async (id: string) =>
      (await app.api('GET', `/connections/${id}?provider_config_key=xref`)).body.credentials.access_token;
    expect(await token(first.connectionId)).toBe(await token(second.connectionId));

    const { body: list } = await app.api('GET', '/accounts?provider_config_key=xref');
    expect(list.accounts).toMatchObject([
      { members: 2, grants: 1, states: ['active'], account_policy: 'share', connected_elsewhere: false, note: null },
    ]);
    const members = await app.api('GET', `/accounts/${list.accounts[0].id}/members`);
    expect(members.body.members).toMatchObject([
      { connection_id: first.connectionId, end_user: { id: PRIYA }, state: 'active', shares_grant: true },
      { connection_id: second.connectionId, end_user: { id: TOM }, state: 'active', shares_grant: true },
    ]);

    // Who came first keeps the row of the credential, and may leave all the same.
    await letGo(first.connectionId, 'xref');
    expect(living(xref)).toHaveLength(1);
    expect(await token(second.connectionId)).toMatch(/^[0-9a-f]{40}$/);
    await letGo(second.connectionId, 'xref');
    expect(living(xref)).toHaveLength(0);
    expect((await app.api('GET', `/accounts/${list.accounts[0].id}/members`)).status).toBe(404);
  });

  it('share: a disconnect at the provider ends it for all, and a new member heals it for all', async () => {
    const first = await connect('xref', PRIYA);
    const second = await connect('xref', TOM);
    await app.services.disconnect.sweep();
    await xref.revokeGrant(living(xref)[0]?.id ?? '');
    for (const { connectionId } of [first, second]) {
      await becomes(connectionId, 'revoked_by_provider');
      expect(await told(connectionId)).toEqual([
        'auth',
        'connection.state revoked_by_provider',
        'connection.deauthorized',
      ]);
    }
    await reconnect(second.connectionId, 'xref', TOM);
    expect(await row(first.connectionId)).toMatchObject({ state: 'active', secrets: 1 });
    expect(await row(second.connectionId)).toMatchObject({ state: 'active', secrets: 1 });
  });

  it('share: both leave at the same moment, and nothing stays at the provider', async () => {
    const first = await connect('xref', PRIYA);
    const second = await connect('xref', TOM);
    await Promise.all([letGo(first.connectionId, 'xref'), letGo(second.connectionId, 'xref')]);
    await app.services.disconnect.sweep();
    expect(living(xref)).toHaveLength(0);
    const secrets = await app.db.query('SELECT 1 FROM credential');
    expect(secrets).toEqual([]);
  });

  it('a policy that does not exist is refused', async () => {
    const answer = await app.api('PATCH', '/integrations/xref', {
      custom: { emulated: 'true', account_policy: 'some' },
    });
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_body']);
    expect(answer.text).toContain('separate, share, replace, refuse');
  });

  it('refuse: the second is told why, and its grant is let go of', async () => {
    await custom('xref', { account_policy: 'refuse' });
    const first = await connect('xref', PRIYA);
    await expect(connect('xref', TOM)).rejects.toThrow('connected already');
    await app.services.disconnect.sweep();
    expect(living(xref)).toHaveLength(1);
    expect(await row(first.connectionId)).toMatchObject({ state: 'active', secrets: 1 });
  });

  it('replace: the second takes the place of the first', async () => {
    await custom('xref', { account_policy: 'replace' });
    const first = await connect('xref', PRIYA);
    const second = await connect('xref', TOM);
    await app.services.disconnect.sweep();
    expect(await row(first.connectionId)).toMatchObject({ state: 'disconnected' });
    expect(await row(second.connectionId)).toMatchObject({ state: 'active', secrets: 1 });
    expect(living(xref)).toHaveLength(1);
  });

  it('the same account in another environment: the app is told what that means', async () => {
    const prod = async (method: string, path: string, body?: unknown) =>
      callApi(app.url, app.prodApiKey, method, path, body);
    const [known] = xref.apps();
    const made = await prod('POST', '/integrations', {
      provider: 'xref',
      unique_key: 'xref',
      credentials: { type: 'OAUTH2', client_id: known?.clientId, client_secret: known?.liveSecret },
    });
    expect(made.status).toBe(200);
    const accountId = xref.users().find(({ email }) => email === PRIYA)?.accountId;
    const imported = await prod('POST', '/connections', {
      provider_config_key: 'xref',
      connection_id: 'elsewhere',
      credentials: { type: 'OAUTH2', access_token: 'a token' },
      connection_config: { xref_account_id: accountId },
    });
    expect(imported.status).toBe(201);
    const { connectionId } = await connect('xref', PRIYA);
    const [event] = await app.db.query<{ note: string }>(
      `SELECT e.payload ->> 'accountNote' AS note FROM event e JOIN connection c ON c.environment_id = e.environment_id
         AND c.id = e.connection_id WHERE c.connection_id = $1 AND e.type = 'auth'`,
      [connectionId],
    );
    expect(event?.note).toContain('disconnecting here does not end that one');
    const { body } = await app.api('GET', '/accounts?provider_config_key=xref');
    expect(body.accounts).toMatchObject([{ id: accountId, connected_elsewhere: true, note: event?.note }]);
    await prod('DELETE', '/integrations/xref');
  });

  it('another account than before is refused, or allowed by the integration', async () => {
    const { connectionId } = await connect('xref', PRIYA);
    await expect(reconnect(connectionId, 'xref', 'ines@saltmarsh.example')).rejects.toThrow('another account');
    await app.services.disconnect.sweep();
    expect(living(xref).map(({ accountId }) => accountId)).toEqual([
      xref.users().find(({ email }) => email === PRIYA)?.accountId,
    ]);
    await custom('xref', { account_change: 'allow' });
    await reconnect(connectionId, 'xref', 'ines@saltmarsh.example');
    await app.services.disconnect.sweep();
    expect(living(xref).map(({ accountId }) => accountId)).toEqual([
      xref.users().find(({ email }) => email === 'ines@saltmarsh.example')?.accountId,
    ]);
  });
});
