/** Functions on a whole node: deployed, run in the sandbox, their records read back over the API. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

/** Long enough for a loaded machine; nothing waits that long where it works. */
const WAIT = { timeout: 40_000, interval: 50 };

let app: TestApp;
let connectionId: string;

const SYNC = `
exports.default = {
  type: 'sync',
  async exec(nango) {
    const { data } = await nango.get({ endpoint: '/v1/packages', retries: 2 });
    await nango.trackDeletesStart('Package');
    await nango.batchSave(data.data.map((one) => ({ id: one.id, name: one.name })), 'Package');
    await nango.trackDeletesEnd('Package');
    await nango.saveCheckpoint({ seen: data.data.length });
    await nango.log('fetched packages', { count: data.data.length });
  },
};`;

beforeAll(async () => {
  app = await startTestApp();
  const answer = await app.api('POST', '/sync/deploy', {
    flowConfigs: [
      {
        type: 'sync',
        syncName: 'packages',
        providerConfigKey: 'checkr-partner',
        models: ['Package'],
        runs: 'every hour',
        auto_start: true,
        attributes: {},
        metadata: { description: 'Packages' },
        fileBody: { js: SYNC, ts: '// packages' },
        track_deletes: false,
        endpoints: [],
        models_json_schema: { definitions: { Package: { type: 'object' } } },
      },
    ],
    nangoYamlBody: '',
    reconcile: true,
    debug: false,
    deployMode: 'all',
    sdkVersion: '0.71.10-zero',
  });
  expect(answer.body).toMatchObject([{ name: 'packages', version: '1', type: 'sync' }]);
  ({ connectionId } = await connectAccount(app, 'checkr-partner'));
});
afterAll(() => app?.close());

const headers = () => ({ 'connection-id': connectionId, 'provider-config-key': 'checkr-partner' });

async function status() {
  const query = new URLSearchParams({
    syncs: '*',
    provider_config_key: 'checkr-partner',
    connection_id: connectionId,
  });
  return (await app.api('GET', `/sync/status?${query}`)).body.syncs[0];
}

describe('a deployed sync', () => {
  it('runs as soon as an account is connected, and its records are there', async () => {
    await vi.waitFor(async () => expect((await status()).latestExecutionStatus).toBe('SUCCESS'), WAIT);
    const { records } = (await app.api('GET', '/records?model=Package', undefined, headers())).body;
    expect(records.length).toBeGreaterThan(0);
    expect(records[0]).toMatchObject({
      id: expect.any(String),
      name: expect.any(String),
      _nango_metadata: { last_action: 'ADDED', deleted_at: null, pruned_at: null },
    });
    expect(await status()).toMatchObject({
      type: 'INCREMENTAL',
      latestExecutionStatus: 'SUCCESS',
      frequency: '1h',
      latestResult: { Package: { added: records.length, updated: 0, deleted: 0 } },
      recordCount: { Package: records.length },
      checkpoint: { seen: records.length },
    });
  });

  it('tells the app, once, in the transaction that ended the run', async () => {
    const events = await app.db.query<{ payload: Record<string, unknown> }>(
      "SELECT payload FROM event WHERE type = 'sync' ORDER BY id",
    );
    expect(events).toHaveLength(1);
    expect(events[0]?.payload).toMatchObject({
      from: 'nango',
      type: 'sync',
      connectionId,
      providerConfigKey: 'checkr-partner',
      syncName: 'packages',
      syncVariant: 'base',
      model: 'Package',
      syncType: 'INITIAL',
      success: true,
    });
  });

  it('runs again on demand, and finds nothing new', async () => {
    const before = (await status()).finishedAt;
    const answer = await app.api('POST', '/sync/trigger', {
      syncs: ['packages'],
      provider_config_key: 'checkr-partner',
      connection_id: connectionId,
    });
    expect(answer.body).toEqual({ success: true });
    await vi.waitFor(async () => expect((await status()).finishedAt).not.toBe(before), WAIT);
    expect((await status()).latestResult ?? {}).toEqual({});
  });

  it('tells of such a run too, when the environment wants to hear of every one', async () => {
    const told = () => app.db.query<{ payload: object }>("SELECT payload FROM event WHERE type = 'sync' ORDER BY id");
    expect(await told()).toHaveLength(1);
    await app.api('PATCH', '/endpoints/settings', { on_sync_completion_always: true });
    const target = { provider_config_key: 'checkr-partner', connection_id: connectionId };
    await app.api('POST', '/sync/trigger', { syncs: ['packages'], ...target });
    await vi.waitFor(async () => expect(await told()).toHaveLength(2), WAIT);
    const responseResults = { added: 0, updated: 0, deleted: 0 };
    expect((await told())[1]?.payload).toMatchObject({ model: 'Package', success: true, responseResults });
    await app.api('PATCH', '/endpoints/settings', { on_sync_completion_always: false });
  });

  it('begins anew with an empty cache when it is told to', async () => {
    const before = (await status()).finishedAt;
    await app.api('POST', '/sync/trigger', {
      syncs: [{ name: 'packages', variant: 'base' }],
      provider_config_key: 'checkr-partner',
      connection_id: connectionId,
      opts: { reset: true, emptyCache: true },
    });
    await vi.waitFor(async () => expect((await status()).finishedAt).not.toBe(before), WAIT);
    const { latestResult, recordCount } = await status();
    expect(latestResult.Package.added).toBe(recordCount.Package);
  });

  it('stops when it is paused, and goes with the connection', async () => {
    await app.api('POST', '/sync/pause', {
      syncs: ['packages'],
      provider_config_key: 'checkr-partner',
      connection_id: connectionId,
    });
    await vi.waitFor(
      async () => expect(await status()).toMatchObject({ status: 'PAUSED', nextScheduledSyncAt: null }),
      WAIT,
    );
    await app.api('DELETE', `/connections/${connectionId}?provider_config_key=checkr-partner`);
    await vi.waitFor(
      async () =>
        expect(
          await app.db.query('SELECT (SELECT count(*) FROM sync) + (SELECT count(*) FROM record) AS left'),
        ).toEqual([{ left: 0 }]),
      WAIT,
    );
  });
});
