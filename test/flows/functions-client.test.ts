/** Deployed functions by the unmodified published client (wire contract B.4, B.10, F.7). */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
let nango: Nango;

beforeAll(async () => {
  app = await startTestApp();
  nango = new Nango({ host: app.url, secretKey: app.apiKey });
});
afterAll(() => app?.close());

const flow = (more: object = {}) => ({
  type: 'sync',
  syncName: 'requests',
  providerConfigKey: 'xref',
  models: ['Request'],
  runs: 'every hour',
  auto_start: true,
  attributes: {},
  metadata: { description: 'Reference requests', scopes: ['read'] },
  fileBody: { js: 'exports.default = { type: "sync", exec: async () => {} };', ts: '// requests\n' },
  track_deletes: false,
  endpoints: [{ method: 'GET', path: '/requests', group: 'Requests' }],
  webhookSubscriptions: [],
  models_json_schema: { definitions: { Request: { type: 'object', properties: { id: { type: 'string' } } } } },
  features: [],
  ...more,
});
const action = (more: object = {}) =>
  flow({
    type: 'action',
    syncName: 'createRequest',
    models: ['ActionOutput_xref_createRequest'],
    runs: null,
    input: 'ActionInput_xref_createRequest',
    metadata: { description: 'Creates a request.\n- email: whom to ask\n- days: how long', scopes: [] },
    models_json_schema: {
      definitions: {
        ActionInput_xref_createRequest: {
          type: 'object',
          properties: { email: { type: 'string' }, days: { type: 'number' } },
          required: ['email'],
        },
        ActionOutput_xref_createRequest: { type: 'null' },
      },
    },
    endpoints: [],
    ...more,
  });
const event = (name = 'greet') => ({
  providerConfigKey: 'xref',
  scripts: [{ name, event: 'post-connection-creation', fileBody: { js: 'exports.default = {}', ts: '// greet' } }],
});
const payload = (flowConfigs: object[], more: object = {}) => ({
  flowConfigs,
  onEventScriptsByProvider: [],
  reconcile: true,
  debug: false,
  deployMode: 'all',
  nangoYamlBody: '',
  sdkVersion: '0.71.10-zero',
  source: 'repo',
  ...more,
});

describe('deploy over the wire', () => {
  it('tells before what it would change, then does it', async () => {
    const body = payload([flow(), action()], { onEventScriptsByProvider: [event()] });
    const preview = await app.api('POST', '/sync/deploy/confirmation', { ...body, reconcile: false });
    expect(preview.body).toMatchObject({
      newSyncs: [{ name: 'requests', providerConfigKey: 'xref', auto_start: true }],
      updatedSyncs: [],
      deletedSyncs: [],
      newActions: [{ name: 'createRequest', providerConfigKey: 'xref' }],
      deletedModels: [],
      newOnEventScripts: [{ name: 'greet', providerConfigKey: 'xref', event: 'post-connection-creation' }],
    });
    const deployed = await app.api('POST', '/sync/deploy', body);
    expect(deployed.status).toBe(200);
    expect(deployed.body).toMatchObject([
      {
        name: 'requests',
        version: '1',
        providerConfigKey: 'xref',
        type: 'sync',
        models: ['Request'],
        runs: 'every hour',
      },
      { name: 'createRequest', version: '1', type: 'action', input: 'ActionInput_xref_createRequest' },
      { name: 'greet', type: 'on-event' },
    ]);
    const gone = await app.api(
      'POST',
      '/sync/deploy/confirmation',
      payload([action()], { onEventScriptsByProvider: [event('hello')] }),
    );
    expect(gone.body).toMatchObject({
      deletedSyncs: [{ name: 'requests', providerConfigKey: 'xref', auto_start: true }],
      deletedModels: ['Request'],
      newOnEventScripts: [{ name: 'hello' }],
      deletedOnEventScripts: [{ name: 'greet', event: 'post-connection-creation' }],
    });
  });

  it.each([
    ['unknown_provider_config', payload([flow({ providerConfigKey: 'nobody' })])],
    ['deploy_script_security_rejected', payload([flow({ fileBody: { js: 'import x from "y"', ts: '' } })])],
    ['invalid_cli_version', payload([flow()], { sdkVersion: '0.50.0-yaml' })],
    ['invalid_body', payload([flow({ syncName: 'a/b' })])],
    ['invalid_body', payload([flow({ runs: '1s' })])],
  ])('answers 400 %s %#', async (code, body) => {
    const answer = await app.api('POST', '/sync/deploy', body);
    expect([answer.status, answer.body.error.code]).toEqual([400, code]);
  });
});

describe('the published client', () => {
  beforeAll(async () => {
    const body = payload([flow(), action(), action({ syncName: 'requests' })], { onEventScriptsByProvider: [event()] });
    expect((await app.api('POST', '/sync/deploy', body)).status).toBe(200);
  });

  it('listFunctions, by type, by name, by page', async () => {
    const all = await nango.listFunctions({ uniqueKey: 'xref' });
    expect(all.data.map(({ name, type }) => [name, type])).toEqual([
      ['requests', 'sync'],
      ['createRequest', 'action'],
      ['greet', 'on-event'],
      ['requests', 'action'],
    ]);
    expect(all.pagination).toEqual({ total: 4, page: 0, limit: 20 });
    const actions = await nango.listFunctions(
      { uniqueKey: 'xref' },
      { type: 'action', search: 'CREATE', page: 0, limit: 1 },
    );
    expect(actions.data).toMatchObject([
      { name: 'createRequest', type: 'action', input: 'ActionInput_xref_createRequest', enabled: true, source: 'repo' },
    ]);
    await expect(nango.listFunctions({ uniqueKey: 'nobody' })).rejects.toMatchObject({ response: { status: 404 } });
  });

  it('getFunction and getFunctionCode; a name of two kinds is ambiguous', async () => {
    const read = await nango.getFunction({ uniqueKey: 'xref', name: 'requests' }, { type: 'sync' });
    expect(read.data).toMatchObject({
      name: 'requests',
      type: 'sync',
      description: 'Reference requests',
      scopes: ['read'],
      returns: ['Request'],
      runs: 'every hour',
      auto_start: true,
      track_deletes: false,
      json_schema: { definitions: { Request: { type: 'object' } } },
    });
    const code = await nango.getFunctionCode({ uniqueKey: 'xref', name: 'requests' }, { type: 'sync' });
    expect(code).toEqual({ type: 'sync', code: '// requests\n' });
    await expect(nango.getFunction({ uniqueKey: 'xref', name: 'requests' }, {})).rejects.toMatchObject({
      response: {
        status: 409,
        data: {
          error: {
            code: 'ambiguous_function',
            payload: {
              matches: [
                { type: 'sync', name: 'requests' },
                { type: 'action', name: 'requests' },
              ],
            },
          },
        },
      },
    });
  });

  it('getScriptsConfig in both formats', async () => {
    const config = await nango.getScriptsConfig();
    expect(config).toMatchObject([
      {
        providerConfigKey: 'xref',
        provider: 'xref',
        syncs: [
          {
            name: 'requests',
            version: '1',
            attributes: {},
            sdk_version: '0.71.10-zero',
            endpoints: [{ path: '/requests' }],
          },
        ],
        actions: [{ name: 'createRequest' }, { name: 'requests' }],
        'on-events': [{ name: 'greet', event: 'post-connection-creation' }],
      },
    ]);
    const tools = await nango.getScriptsConfig('openai');
    expect(tools).toMatchObject({
      data: [
        {
          name: 'createRequest',
          parameters: {
            type: 'object',
            properties: {
              email: { type: 'string', description: 'whom to ask' },
              days: { type: 'number', description: 'how long' },
            },
            required: ['email'],
          },
        },
        { name: 'requests' },
      ],
    });
  });

  it('deleteFunction deletes what no project manages, and only that', async () => {
    await expect(nango.deleteFunction({ uniqueKey: 'xref', name: 'requests' }, { type: 'sync' })).rejects.toMatchObject(
      {
        response: { status: 400, data: { error: { code: 'function_managed_by_deploy' } } },
      },
    );
    const alone = payload([action({ syncName: 'alone' })], { deployMode: 'single', source: 'standalone' });
    expect((await app.api('POST', '/sync/deploy', alone)).status).toBe(200);
    const deleted = await nango.deleteFunction({ uniqueKey: 'xref', name: 'alone' }, { type: 'action' });
    expect(deleted).toEqual({ data: { success: true } });
    await expect(nango.getFunction({ uniqueKey: 'xref', name: 'alone' }, {})).rejects.toMatchObject({
      response: { status: 404 },
    });
  });

  it('PATCH switches a function off and on; a deploy leaves it so', async () => {
    const path = '/integrations/xref/functions/createRequest';
    expect((await app.api('PATCH', path, { enabled: false })).body.data).toMatchObject({ enabled: false });
    await app.api('POST', '/sync/deploy', payload([action({ version: '9' })], { deployMode: 'single' }));
    expect((await app.api('GET', path)).body.data).toMatchObject({ enabled: false, version: '9' });
    expect((await app.api('PATCH', path, { enabled: true })).body.data).toMatchObject({ enabled: true });
  });

  it('a deploy of one integration deletes there only', async () => {
    const body = payload([flow({ syncName: 'other' })], { deployMode: 'integration' });
    expect((await app.api('POST', '/sync/deploy', body)).status).toBe(200);
    const left = await nango.listFunctions({ uniqueKey: 'xref' });
    expect(left.data.map(({ name }) => name)).toEqual(['other']);
  });
});
