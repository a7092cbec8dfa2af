/** The unmodified published server client against a whole Hawser (wire contract B). */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { beginFlow, connectAccount, finishFlow } from '../support/connect.ts';

let app: TestApp;
let nango: Nango;

beforeAll(async () => {
  app = await startTestApp();
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
});
afterAll(() => app?.close());

/** What the client's axios error carries. */
interface Refused {
  response: { status: number; data: { error: { code: string; message: string; errors?: { path: unknown[] }[] } } };
}

async function refused(promise: Promise<unknown>): Promise<Refused['response']> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown as Refused,
  );
  expect(error, 'the call should have been refused').toBeDefined();
  return (error as Refused).response;
}

describe('providers', () => {
  it('listProviders gives the catalogue, searched by name', async () => {
    const all = await nango.listProviders({});
    expect(all.data.map((one) => one.name)).toEqual(
      expect.arrayContaining([
        'checkbook',
        'checkbook-sandbox',
        'checkr-partner',
        'checkr-partner-staging',
        'oauth2-generic',
        'private-api-basic',
        'private-api-bearer',
        'unauthenticated',
        'xref',
      ]),
    );
    const found = await nango.listProviders({ search: 'CHECKR' });
    expect(found.data.map((one) => one.name)).toEqual(['checkr-partner', 'checkr-partner-staging']);
  });

  it('getProvider gives the definition in the wire names; an unknown one is 404 not_found', async () => {
    const { data } = await nango.getProvider({ provider: 'checkr-partner' });
    expect(data).toMatchObject({
      name: 'checkr-partner',
      display_name: 'Checkr Partner',
      auth_mode: 'OAUTH2',
      token_url: 'https://api.checkr.com/oauth/tokens',
      disable_pkce: true,
    });
    const answer = await refused(nango.getProvider({ provider: 'nobody' }));
    expect(answer.status).toBe(404);
    expect(answer.data.error.code).toBe('not_found');
  });
});

describe('integrations', () => {
  it('creates, lists, reads, updates, renames and deletes', async () => {
    const created = await nango.createIntegration({
      provider: 'checkbook-sandbox',
      unique_key: 'pay-1',
      display_name: 'Payments',
      credentials: { type: 'OAUTH2', client_id: 'an-id', client_secret: 'a-secret', scopes: 'check' },
    });
    expect(created.data).toMatchObject({
      unique_key: 'pay-1',
      provider: 'checkbook-sandbox',
      display_name: 'Payments',
      forward_webhooks: true,
    });
    const { configs } = await nango.listIntegrations();
    expect(configs.map((one) => one.unique_key)).toEqual(expect.arrayContaining(['checkr-partner', 'pay-1', 'xref']));

    const read = await nango.getIntegration({ uniqueKey: 'pay-1' }, { include: ['credentials'] });
    expect(read.data.credentials).toEqual({
      type: 'OAUTH2',
      client_id: 'an-id',
      client_secret: 'a-secret',
      scopes: 'check',
      webhook_secret: null,
    });
    const plain = await nango.getIntegration({ uniqueKey: 'pay-1' });
    expect(plain.data).not.toHaveProperty('credentials');

    const updated = await nango.updateIntegration({ uniqueKey: 'pay-1' }, { unique_key: 'pay-2', display_name: 'New' });
    expect(updated.data).toMatchObject({ unique_key: 'pay-2', display_name: 'New' });
    expect((await refused(nango.getIntegration({ uniqueKey: 'pay-1' }))).data.error.code).toBe('not_found');

    const deleted = await nango.deleteIntegration('pay-2');
    expect(deleted.data).toEqual({ success: true });
    expect((await refused(nango.deleteIntegration('pay-2'))).status).toBe(404);
  });

  it('refuses what does not fit, with the field in the envelope', async () => {
    const cases: [Parameters<Nango['createIntegration']>[0], string][] = [
      [{ provider: 'nobody', unique_key: 'a' }, 'provider'],
      [{ provider: 'checkbook', unique_key: 'a' }, 'credentials'],
      [{ provider: 'unauthenticated', unique_key: 'xref' }, 'unique_key'],
      [{ provider: 'unauthenticated', unique_key: 'a/b' }, 'unique_key'],
      [
        {
          provider: 'checkbook',
          unique_key: 'a',
          credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's', scopes: 'everything' },
        },
        'credentials',
      ],
    ];
    for (const [body, field] of cases) {
      const { status, data } = await refused(nango.createIntegration(body));
      expect(status).toBe(400);
      expect(data.error.code).toBe('invalid_body');
      expect(data.error.errors?.[0]?.path[0]).toBe(field);
    }
  });
});

describe('connections', () => {
  it('connect session, popup-less flow, and everything that reads and changes a connection', async () => {
    const { data } = await nango.createConnectSession({
      end_user: { id: 'end-1', email: 'end@example.com', display_name: 'End One', tags: { plan: 'pro' } },
      organization: { id: 'org-1', display_name: 'Org One' },
      allowed_integrations: ['checkr-partner'],
    });
    expect(data.token).toMatch(/^nango_connect_session_[0-9a-f]{64}$/);
    expect(data.connect_link).toContain(`${app.url}/connect-ui/`);
    const waiting = nango.waitForConnection('checkr-partner', 'end-1');
    const { connectionId } = await finishFlow(
      app,
      'checkr-partner',
      await beginFlow(app.url, 'checkr-partner', data.token),
    );
    expect((await waiting)?.connection_id).toBe(connectionId);

    const connection = await nango.getConnection('checkr-partner', connectionId);
    expect(connection).toMatchObject({
      connection_id: connectionId,
      provider_config_key: 'checkr-partner',
      provider: 'checkr-partner',
      errors: [],
      end_user: { id: 'end-1', email: 'end@example.com', organization: { id: 'org-1' } },
      credentials: { type: 'OAUTH2' },
    });
    expect(connection.connection_config['checkr_account_id']).toMatch(/^[0-9a-f]{24}$/);
    expect(connection.tags).toMatchObject({ end_user_id: 'end-1', organization_id: 'org-1', plan: 'pro' });
    expect(connection.created_at).toMatch(/\+00:00$/);

    const token = await nango.getToken('checkr-partner', connectionId);
    const raw = await nango.getRawTokenResponse('checkr-partner', connectionId);
    expect(raw).toMatchObject({ access_token: token });

    expect((await nango.setMetadata('checkr-partner', connectionId, { a: 1, b: { c: 2 } })).status).toBe(201);
    await nango.updateMetadata('checkr-partner', connectionId, { b: 3 });
    expect(await nango.getMetadata('checkr-partner', connectionId)).toEqual({ a: 1, b: 3 });
    const unknown = await refused(nango.setMetadata('checkr-partner', [connectionId, 'nobody'], { lost: true }));
    expect(unknown.data.error.code).toBe('unknown_connection');
    expect(await nango.getMetadata('checkr-partner', connectionId)).toEqual({ a: 1, b: 3 });

    await nango.patchConnection(
      { connectionId, provider_config_key: 'checkr-partner' },
      { tags: { Team: 'blue' }, end_user: { id: 'end-2', email: 'two@example.com' } },
    );
    const listed = await nango.listConnections({ tags: { team: 'blue' } });
    expect(listed.connections.map((one) => one.connection_id)).toEqual([connectionId]);
    expect(listed.connections[0]).toMatchObject({ end_user: { id: 'end-2' }, tags: { team: 'blue' } });
    expect((await nango.listConnections(undefined, 'TWO@')).connections).toHaveLength(1);
    expect((await nango.listConnections({ integrationId: 'xref' })).connections).toHaveLength(0);

    const session = await nango.createReconnectSession({
      connection_id: connectionId,
      integration_id: 'checkr-partner',
      end_user: { id: 'end-2' },
    });
    await finishFlow(app, 'checkr-partner', await beginFlow(app.url, 'checkr-partner', session.data.token));
    const again = await nango.getConnection('checkr-partner', connectionId);
    expect(again.id).toBe(connection.id);
    expect(again.metadata).toEqual({ a: 1, b: 3 });
    expect(await nango.getToken('checkr-partner', connectionId)).not.toBe(token);

    const deleted = await nango.deleteConnection('checkr-partner', connectionId);
    expect(deleted.data).toMatchObject({ success: true, outcome: 'revoked' });
    expect((await refused(nango.getConnection('checkr-partner', connectionId))).data.error.code).toBe('not_found');
    expect((await refused(nango.deleteConnection('checkr-partner', connectionId))).status).toBe(400);
  });

  it('hides the refresh token unless it is asked for', async () => {
    const { connectionId } = await connectAccount(app, 'checkbook');
    const hidden = await nango.getConnection('checkbook', connectionId);
    expect(JSON.stringify(hidden)).not.toMatch(/refresh_token/);
    const shown = await nango.getConnection('checkbook', connectionId, false, true);
    expect(shown.credentials).toMatchObject({ refresh_token: expect.stringMatching(/^[A-Za-z0-9]{30}$/) });
  });

  it('proxy, get, post, put, patch and delete reach the provider with the credential', async () => {
    const { connectionId } = await connectAccount(app, 'checkr-partner');
    const ids = { providerConfigKey: 'checkr-partner', connectionId };
    const account = await nango.get<{ object: string }>({ endpoint: '/v1/account', ...ids });
    expect(account.status).toBe(200);
    expect(account.data.object).toBe('account');
    const created = await nango.post<{ id: string; email: string }>({
      endpoint: '/v1/candidates',
      data: { email: 'new.person@example.com', first_name: 'New', last_name: 'Person', no_middle_name: true },
      ...ids,
    });
    expect(created.status).toBe(201);
    const listed = await nango.proxy<{ data: { id: string }[] }>({
      method: 'GET',
      endpoint: '/v1/candidates',
      params: { email: 'new.person@example.com' },
      ...ids,
    });
    expect(listed.data.data.map((one) => one.id)).toEqual([created.data.id]);
    for (const method of ['put', 'patch', 'delete'] as const) {
      const answer = await refused(nango[method]({ endpoint: '/v1/nothing', data: { a: 1 }, ...ids }));
      expect(answer.status).toBe(404);
    }
    const bad = await refused(nango.get({ endpoint: '/v1/account', providerConfigKey: 'nobody', connectionId }));
    expect(bad.status).toBe(404);
    expect(bad.data.error.code).toBe('unknown_provider_config');
  });
});
