/** The life of an account where the app brings its connections along, and where a run is under way when it ends. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EmulatorHandle } from '../../emulators/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ webhooks: true });
});
afterAll(() => app?.close());

const checkr = () => app.emulators.get('checkr');
const xref = () => app.emulators.get('xref');
const PRIYA = 'priya@bluegum.example';
const MAYA = 'maya@harborlights.example';

/** Polls as long as a busy machine needs. */
const soon = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 15_000, interval: 20 });
const living = (emulator: EmulatorHandle) => emulator.grants().filter(({ state }) => state === 'active');
const accountOf = (emulator: EmulatorHandle, email: string) =>
  emulator.users().find((user) => user.email === email)?.accountId ?? '';

async function custom(key: string, values: Record<string, string>): Promise<void> {
  const answer = await app.api('PATCH', `/integrations/${key}`, { custom: { emulated: 'true', ...values } });
  expect(answer.status).toBe(200);
}

interface Brought {
  key?: string;
  token: string;
  refreshToken?: string;
  /** Default: Priya's at Xref. */
  account?: string;
}

async function bring(id: string, { key = 'xref', token, refreshToken, account = accountOf(xref(), PRIYA) }: Brought) {
  const { status, body } = await app.api('POST', '/connections', {
    provider_config_key: key,
    connection_id: id,
    credentials: { type: 'OAUTH2', access_token: token, ...(refreshToken && { refresh_token: refreshToken }) },
    connection_config: { [key === 'xref' ? 'xref_account_id' : 'checkr_account_id']: account },
  });
  return [status, body.error?.code] as const;
}

const read = async (id: string, key = 'xref') =>
  (await app.api('GET', `/connections/${id}?provider_config_key=${key}`)).body;
const tokenOf = async (id: string): Promise<string> => (await read(id)).credentials.access_token;
const stateOf = async (id: string): Promise<string | undefined> =>
  (await app.db.query<{ state: string }>('SELECT state FROM connection WHERE connection_id = $1 ORDER BY id DESC', [id]))[0]?.state; // prettier-ignore

/** Every test begins with nobody connected, on either side. */
beforeEach(async () => {
  for (const { connection_id: id, provider_config_key: key } of (await app.api('GET', '/connections')).body
    .connections) {
    await app.api('DELETE', `/connections/${id}?provider_config_key=${key}`);
  }
  await app.services.disconnect.sweep();
  xref().reset();
  checkr().reset();
  await custom('xref', {});
  await custom('checkr-partner', {});
});

describe('an import meets the policy of its integration', () => {
  /** Priya is connected, and her account has one more token that nobody has stored. */
  async function twoTokens(): Promise<{ id: string; own: string; spare: string }> {
    await custom('xref', { account_policy: 'separate' });
    const { connectionId: other } = await connectAccount(app, 'xref', { user: PRIYA });
    const spare = await tokenOf(other);
    // Forgotten here only.
    await app.db.query('DELETE FROM credential');
    await app.db.query('UPDATE connection SET deleted_at = now() WHERE deleted_at IS NULL');
    const { connectionId: id } = await connectAccount(app, 'xref', { user: PRIYA });
    await custom('xref', {});
    return { id, own: await tokenOf(id), spare };
  }

  it('separate: any number, as they come, and overridden as they come', async () => {
    await custom('xref', { account_policy: 'separate' });
    expect(await bring('a', { token: 'one' })).toEqual([201, undefined]);
    expect(await bring('b', { token: 'two' })).toEqual([201, undefined]);
    // The app says itself which account it is now.
    expect(await bring('b', { token: 'three', account: 'another' })).toEqual([201, undefined]);
    expect([await tokenOf('a'), await tokenOf('b')]).toEqual(['one', 'three']);
  });

  it('share: the same token joins the grant', async () => {
    const { connectionId } = await connectAccount(app, 'xref', { user: PRIYA });
    expect(await bring('a', { token: await tokenOf(connectionId) })).toEqual([201, undefined]);
    expect((await app.api('GET', '/accounts')).body.accounts).toMatchObject([{ members: 2, grants: 1 }]);
    await app.services.disconnect.sweep();
    expect(living(xref())).toHaveLength(1);
    // One leaves, the other keeps it.
    await app.api('DELETE', `/connections/${connectionId}?provider_config_key=xref`);
    expect(living(xref())).toHaveLength(1);
    await app.api('DELETE', '/connections/a?provider_config_key=xref');
    expect(living(xref())).toHaveLength(0);
  });

  it('share: another token of the account takes the place of the grant, when the provider accepts it', async () => {
    const { id, own, spare } = await twoTokens();
    expect(living(xref())).toHaveLength(2);
    expect(await bring('a', { token: 'of no use' })).toEqual([400, 'connection_test_failed']);
    expect([await tokenOf(id), (await read('a')).error?.code]).toEqual([own, 'not_found']);
    expect(await bring('a', { token: spare })).toEqual([201, undefined]);
    expect([await tokenOf(id), await tokenOf('a')]).toEqual([spare, spare]);
    await app.services.disconnect.sweep();
    expect(living(xref())).toHaveLength(1);
    expect((await app.api('POST', '/proxy/auth', undefined, { 'connection-id': id, 'provider-config-key': 'xref' })).status).toBe(200); // prettier-ignore
  });

  it('share: whoever keeps the grant of others stays with its account', async () => {
    expect(await bring('a', { token: 'one' })).toEqual([201, undefined]);
    expect(await bring('b', { token: 'one' })).toEqual([201, undefined]);
    expect(await bring('a', { token: 'two', account: 'another' })).toEqual([409, 'account_changed']);
    expect([await tokenOf('a'), await tokenOf('b')]).toEqual(['one', 'one']);
  });

  it('a newer access token of the same refresh token ends nothing', async () => {
    await bring('a', { token: 'one', refreshToken: 'r' });
    await bring('a', { token: 'two', refreshToken: 'r' });
    expect(await app.db.query(`SELECT 1 FROM disconnect_task WHERE outcome IS NULL`)).toEqual([]);
    expect(await bring('b', { token: 'three', refreshToken: 'r' })).toEqual([201, undefined]);
    expect(await tokenOf('a')).toBe('three');
  });

  it('refuse: told why, nothing stored, and the app’s token stays as it is', async () => {
    const { id, spare } = await twoTokens();
    await custom('xref', { account_policy: 'refuse' });
    expect(await bring('a', { token: spare })).toEqual([409, 'account_already_connected']);
    expect((await read('a')).error.code).toBe('not_found');
    await app.services.disconnect.sweep();
    expect(living(xref())).toHaveLength(2);
    // Its own connection may be brought again.
    expect(await bring(id, { token: spare })).toEqual([201, undefined]);
    const legacy = await app.api('POST', '/connection', {
      provider_config_key: 'xref',
      connection_id: 'b',
      access_token: 'two',
      connection_config: { xref_account_id: accountOf(xref(), PRIYA) },
    });
    expect([legacy.status, legacy.body.error.code]).toEqual([409, 'account_already_connected']);
  });

  it('replace: the one before it is let go of', async () => {
    await custom('xref', { account_policy: 'replace' });
    await bring('a', { token: 'one' });
    expect(await bring('b', { token: 'two' })).toEqual([201, undefined]);
    expect([await stateOf('a'), await stateOf('b')]).toEqual(['disconnecting', 'active']);
  });

  it('another account than before is refused where the integration says so', async () => {
    await custom('xref', { account_change: 'refuse' });
    await bring('a', { token: 'one' });
    expect(await bring('a', { token: 'two', account: 'another' })).toEqual([409, 'account_changed']);
    expect(await tokenOf('a')).toBe('one');
  });

  it('an account that is not ready is not ready for an import either', async () => {
    const { connectionId } = await connectAccount(app, 'checkr-partner', { user: 'rosa@pinecone.example' });
    expect(await stateOf(connectionId)).toBe('not_ready');
    const account = accountOf(checkr(), 'rosa@pinecone.example');
    expect(await bring('a', { key: 'checkr-partner', token: 'one', account })).toEqual([201, undefined]);
    expect([await stateOf('a'), await stateOf(connectionId)]).toEqual(['not_ready', 'not_ready']);
  });
});

describe('a run under way', () => {
  it('is cancelled when its account is deauthorized, and writes nothing after', async () => {
    const SYNC = `exports.default = { type: 'sync', async exec(nango) {
      await nango.batchSave([{ id: 'first' }], 'Person');
      await nango.get({ endpoint: '/v1/candidates' });
      await nango.batchSave([{ id: 'second' }], 'Person');
    } };`;
    const deployed = await app.api('POST', '/sync/deploy', {
      flowConfigs: [
        {
          type: 'sync',
          syncName: 'people',
          providerConfigKey: 'checkr-partner',
          models: ['Person'],
          runs: 'every hour',
          auto_start: true,
          attributes: {},
          metadata: {},
          fileBody: { js: SYNC, ts: '//' },
          track_deletes: false,
          endpoints: [],
          models_json_schema: { definitions: { Person: { type: 'object' } } },
        },
      ],
      nangoYamlBody: '',
      reconcile: true,
      debug: false,
      deployMode: 'all',
      sdkVersion: '0.71.10-zero',
    });
    expect(deployed.status).toBe(200);
    // The second page does not come while the test lasts.
    checkr().setFault({ name: 'slow', on: 'api', path: '/v1/candidates', delayMs: 600_000 });
    const { connectionId } = await connectAccount(app, 'checkr-partner', { user: MAYA });
    const names = async () =>
      (await app.api('GET', '/records?model=Person', undefined, { 'connection-id': connectionId, 'provider-config-key': 'checkr-partner' })).body.records.map(({ id }: { id: string }) => id); // prettier-ignore
    const run = async () =>
      (await app.db.query<{ state: string; code: string | null }>(`SELECT r.state, r.error ->> 'code' AS code FROM run r JOIN connection c ON c.environment_id = r.environment_id AND c.id = r.connection_id WHERE c.connection_id = $1`, [connectionId])); // prettier-ignore
    await soon(names).toEqual(['first']);
    expect(await run()).toEqual([{ state: 'running', code: null }]);

    await checkr().revokeGrant(living(checkr())[0]?.id ?? '');
    await soon(() => stateOf(connectionId)).toBe('revoked_by_provider');
    await soon(run).toEqual([{ state: 'cancelled', code: 'script_aborted' }]);
    expect(await names()).toEqual(['first']);
  });
});
