/** Rows for functions, their runs, and what syncs keep. Every environment has an action `hello` and a sync `people`. */
import type { Row } from './matrix-rows.ts';
import type { Matrix, World } from './matrix.ts';

const definition = { attributes: {}, metadata: {}, endpoints: [], track_deletes: false, runs: null, auto_start: false };

/** A deploy of one function, as the command line sends it. */
export function deployBody(world: World, name: string, type: 'action' | 'sync' = 'action', integration?: string) {
  return {
    flowConfigs: [
      {
        ...definition,
        type,
        syncName: name,
        providerConfigKey: integration ?? world.integration,
        models: type === 'sync' ? ['Person'] : [],
        ...(type === 'sync' && { runs: 'every hour' }),
        fileBody: { js: `exports.default = { exec: async () => '${world.mark}' }`, ts: `// ${world.mark}` },
        models_json_schema: { definitions: {} },
      },
    ],
    nangoYamlBody: '',
    reconcile: true,
    debug: false,
    deployMode: 'single',
    sdkVersion: '0.71.10-zero',
  };
}

const named: Pick<Row, 'names'> = { names: ['integration', 'connection'] };
const ofIntegration: Pick<Row, 'names'> = { names: ['integration'] };
const headers = (world: World): Record<string, string> => ({
  'connection-id': world.connection,
  'provider-config-key': world.integration,
});
const target = (world: World) => ({
  provider_config_key: world.integration,
  connection_id: world.connection,
});

/** A run to speak of: its id stands in for the session of the world. */
async function withRun(matrix: Matrix, world: World): Promise<World> {
  const body = { action_name: 'hello', input: {} };
  const call = { path: '/action/trigger', body, headers: { ...headers(world), 'x-async': 'true' } };
  const answer = await matrix.send({ method: 'POST' }, call, `Bearer ${world.key}`);
  const { id } = (await answer.json()) as { id: string };
  await matrix.dump(world); // waits until it has ended
  return { ...world, run: id };
}

async function withThrowAway(matrix: Matrix, world: World): Promise<World> {
  const name = matrix.unique();
  await matrix.send(
    { method: 'POST' },
    { path: '/sync/deploy', body: { ...deployBody(world, name), source: 'standalone' } },
    `Bearer ${world.key}`,
  );
  return { ...world, fn: name };
}

function runRow(method: 'GET' | 'POST', path: (id: string) => string, ok = 200): Row {
  return {
    call: (world) => ({ path: path(world.run), ...(method === 'POST' && { body: {} }) }),
    ok,
    prepare: withRun,
  };
}

function syncRow(path: string, body: (world: World) => object, more: Partial<Row> = {}): Row {
  return { call: (world) => ({ path, body: { ...target(world), ...body(world) } }), ok: 200, ...named, ...more };
}

/** The outcome of work that was asked for: its id stands in for a run's. */
function taskRow(kind: 'dryruns' | 'deployments', more: object): Row {
  return {
    call: (world) => ({ path: `/functions/${kind}/${world.run}` }),
    ok: 200,
    async prepare(matrix, world) {
      const code = 'export default 1;';
      const common = { integration_id: world.integration, function_type: 'action', code, ...more };
      const body = kind === 'dryruns' ? { ...common, connection_id: world.connection } : common;
      const answer = await matrix.send({ method: 'POST' }, { path: `/functions/${kind}`, body }, `Bearer ${world.key}`);
      const { id } = (await answer.json()) as { id: string };
      return { ...world, run: id };
    },
  };
}

export const functionRows: Record<string, Row> = {
  'POST /sync/deploy/confirmation': {
    call: (world) => ({ path: '/sync/deploy/confirmation', body: { ...deployBody(world, 'hello'), reconcile: false } }),
    ok: 200,
    ...ofIntegration,
  },
  'POST /sync/deploy': {
    call: (world) => ({ path: '/sync/deploy', body: deployBody(world, 'hello') }),
    ok: 200,
    ...ofIntegration,
  },
  'GET /integrations/:uniqueKey/functions': {
    call: (world) => ({ path: `/integrations/${world.integration}/functions` }),
    ok: 200,
    ...ofIntegration,
  },
  'GET /integrations/:uniqueKey/functions/:name': {
    call: (world) => ({ path: `/integrations/${world.integration}/functions/hello` }),
    ok: 200,
    ...ofIntegration,
  },
  'GET /integrations/:uniqueKey/functions/:name/code': {
    call: (world) => ({ path: `/integrations/${world.integration}/functions/hello/code` }),
    ok: 200,
    ...ofIntegration,
  },
  'PATCH /integrations/:uniqueKey/functions/:name': {
    call: (world) => ({ path: `/integrations/${world.integration}/functions/hello`, body: { enabled: true } }),
    ok: 200,
    ...ofIntegration,
  },
  'DELETE /integrations/:uniqueKey/functions/:name': {
    call: (world) => ({
      path: `/integrations/${world.integration}/functions/${world.fn}`,
      query: { type: 'action' },
    }),
    ok: 200,
    prepare: withThrowAway,
    ...ofIntegration,
  },
  'POST /functions/compile': {
    call: () => ({ path: '/functions/compile', body: { code: 'export default 1;' } }),
    ok: 200,
  },
  'POST /functions/deployments': {
    call: (world) => ({
      path: '/functions/deployments',
      body: {
        type: 'function',
        integration_id: world.integration,
        function_name: 'sent',
        function_type: 'action',
        code: 'export default 1;',
        version: '1',
        allow_destructive: false,
      },
    }),
    ok: 200,
    ...ofIntegration,
  },
  'GET /functions/deployments/:id': taskRow('deployments', { type: 'function', function_name: 'sent' }),
  'POST /functions/dryruns': {
    call: (world) => ({
      path: '/functions/dryruns',
      body: {
        integration_id: world.integration,
        function_type: 'action',
        code: 'export default 1;',
        connection_id: world.connection,
        input: { a: 1 },
        metadata: { b: 2 },
        checkpoint: { c: 3 },
        last_sync_date: '2026-01-31T12:00:00Z',
      },
    }),
    ok: 200,
    ...named,
  },
  'GET /functions/dryruns/:id': taskRow('dryruns', {}),
  'POST /functions/invocations': { call: () => ({ path: '/functions/invocations', body: {} }), ok: 501 },
  'GET /scripts/config': { call: () => ({ path: '/scripts/config' }), ok: 200 },

  'POST /action/trigger': {
    call: (world) => ({
      path: '/action/trigger',
      body: { action_name: 'hello', input: {} },
      headers: headers(world),
    }),
    ok: 200,
    ...named,
  },
  'GET /action/:id': runRow('GET', (id) => `/action/${id}`),
  'GET /runs': { call: () => ({ path: '/runs' }), ok: 200 },
  'GET /runs/:id': runRow('GET', (id) => `/runs/${id}`),
  'GET /runs/:id/logs': runRow('GET', (id) => `/runs/${id}/logs`),
  'POST /runs/:id/cancel': runRow('POST', (id) => `/runs/${id}/cancel`),
  'GET /environment-variables': { call: () => ({ path: '/environment-variables' }), ok: 200 },
  'PUT /environment-variables/:name': {
    call: (world) => ({ path: '/environment-variables/REGION', body: { value: world.mark } }),
    ok: 200,
  },
  'DELETE /environment-variables/:name': { call: () => ({ path: '/environment-variables/REGION' }), ok: 200 },

  'POST /sync/trigger': syncRow('/sync/trigger', () => ({ syncs: ['people'] })),
  'POST /sync/start': syncRow('/sync/start', () => ({ syncs: ['people'] })),
  'POST /sync/pause': syncRow('/sync/pause', () => ({ syncs: ['people'] })),
  'GET /sync/status': {
    call: (world) => ({ path: '/sync/status', query: { syncs: '*', ...target(world) } }),
    ok: 200,
    ...named,
  },
  'PUT /sync/update-connection-frequency': syncRow('/sync/update-connection-frequency', () => ({
    sync_name: 'people',
    frequency: '2h',
  })),
  'POST /sync/:name/variant/:variant': {
    call: (world) => ({ path: `/sync/people/variant/${world.fn}`, body: target(world) }),
    ok: 200,
    prepare: (matrix, world) => Promise.resolve({ ...world, fn: matrix.unique() }),
    ...named,
  },
  'DELETE /sync/:name/variant/:variant': {
    call: (world) => ({ path: `/sync/people/variant/${world.fn}`, body: target(world) }),
    ok: 200,
    async prepare(matrix, world) {
      const fn = matrix.unique();
      const call = { path: `/sync/people/variant/${fn}`, body: target(world) };
      await matrix.send({ method: 'POST' }, call, `Bearer ${world.key}`);
      return { ...world, fn };
    },
    ...named,
  },
};
