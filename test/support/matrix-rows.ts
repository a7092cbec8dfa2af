/** A call for every route that its rightful caller may make: by `METHOD path`, as the router has it. */
import { functionRows } from './matrix-rows-functions.ts';
import { outboundRows } from './matrix-rows-outbound.ts';
import type { Matrix, World } from './matrix.ts';

export interface Call {
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  headers?: Record<string, string>;
  /** Sends the body as an HTML form does. */
  form?: boolean;
}

export interface Row {
  /** A call that fits the route, with names of the world. */
  call(world: World): Call;
  /** Status for the rightful caller. Undefined: what the route answers depends on more than the caller. */
  ok?: number;
  /** Makes what the call uses up, and gives the world with it. */
  prepare?(matrix: Matrix, world: World): Promise<World>;
  /** What of an environment the call names: the same call with names of another environment must find nothing. */
  names?: ('integration' | 'connection' | 'session')[];
}

const proxyRow: Row = {
  call: (world) => ({
    path: '/proxy/v1/things',
    headers: { 'provider-config-key': world.integration, 'connection-id': world.connection },
  }),
  ok: 200,
  names: ['integration', 'connection'],
};

/** The address of the provider itself. */
const rootRow: Row = { ...proxyRow, call: (world) => ({ ...proxyRow.call(world), path: '/proxy/' }) };

/** A row for a route of a credential that the customer types in. */
function typedRow(path: string, integration: (world: World) => string, body?: unknown): Row {
  return {
    call: (world) => ({
      path: `${path}/${integration(world)}`,
      query: { connect_session_token: world.session },
      body,
    }),
    ok: 200,
    prepare: async (matrix, world) => ({ ...world, session: await matrix.newSession(world) }),
  };
}

/** Modes that another release may support or refuse: the matrix asks only who may call. */
function modeRow(path: string, body: unknown): Row {
  return {
    call: (world) => ({
      path: `${path}/${world.integration}`,
      query: { connect_session_token: world.session },
      body,
    }),
  };
}

function pathRow(
  path: (world: World) => string,
  more: Partial<Row> & { body?: unknown; query?: (world: World) => Record<string, string> },
): Row {
  const { body, query, ...row } = more;
  return { ok: 200, ...row, call: (world) => ({ path: path(world), body, ...(query && { query: query(world) }) }) };
}

const ofConnection = (world: World): Record<string, string> => ({
  'connection-id': world.connection,
  'provider-config-key': world.integration,
});
const byKey = (world: World): Record<string, string> => ({ provider_config_key: world.integration });
const named: Pick<Row, 'names'> = { names: ['integration', 'connection'] };
const throwAway: Pick<Row, 'prepare' | 'names'> = {
  ...named,
  async prepare(matrix, world) {
    const connection = matrix.unique();
    await matrix.newConnection(world, connection);
    return { ...world, connection };
  },
};
let created = 0;
/** An environment that is not there. */
const NOWHERE = '00000000-0000-4000-8000-000000000000';

/** Preflights need none: they answer the same to everybody. */
export const rows: Record<string, Row> = {
  ...functionRows,
  ...outboundRows,
  'GET /health': pathRow(() => '/health', {}),
  'GET /ready': pathRow(() => '/ready', {}),
  'GET /openapi.json': pathRow(() => '/openapi.json', {}),
  'GET /': pathRow(() => '/', {}),
  'GET /dev/style.css': pathRow(() => '/dev/style.css', {}),
  // Without the origin of the page its buttons do nothing.
  'POST /dev/connect': { call: () => ({ path: '/dev/connect', form: true, body: { integration: 'xref' } }), ok: 403 },
  'POST /dev/run': {
    call: (world) => ({ path: '/dev/run', form: true, body: { integration: world.integration, connection: world.connection, sync: 'account' } }), // prettier-ignore
    ok: 403,
  },
  'POST /dev/disconnect': {
    call: (world) => ({ path: '/dev/disconnect', form: true, body: { integration: world.integration, connection: world.connection } }), // prettier-ignore
    ok: 403,
  },

  'GET /providers': pathRow(() => '/providers', { query: () => ({ search: 'x' }) }),
  'GET /providers/:provider': pathRow(() => '/providers/xref', {}),
  'GET /images/template-logos/:file': pathRow(() => '/images/template-logos/xref.svg', {}),

  'GET /integrations': pathRow(() => '/integrations', {}),
  'GET /integrations/:uniqueKey': pathRow((world) => `/integrations/${world.integration}`, {
    names: ['integration'],
    query: () => ({ include: 'credentials' }),
  }),
  'GET /config/:uniqueKey': pathRow((world) => `/config/${world.integration}`, {
    names: ['integration'],
    query: () => ({ include_creds: 'true' }),
  }),
  'POST /integrations': {
    call: () => ({
      path: '/integrations',
      body: {
        provider: 'oauth2-generic',
        unique_key: `created-${(created += 1)}`,
        display_name: 'Created',
        credentials: {
          type: 'OAUTH2',
          client_id: 'an id',
          client_secret: 'a secret',
          scopes: 'a,b',
          webhook_secret: 'w',
        },
        integration_config: { authorization_url: 'https://login.example/a', token_url: 'https://login.example/t' },
        custom: { note: 'x' },
      },
    }),
    ok: 200,
  },
  'POST /integrations/quickstart': pathRow(() => '/integrations/quickstart', {
    body: { provider: 'xref', unique_key: 'quick' },
    ok: 400,
  }),
  'PATCH /integrations/:uniqueKey': pathRow((world) => `/integrations/${world.integration}`, {
    names: ['integration'],
    body: { display_name: 'Patched', custom: { note: 'y' } },
  }),
  'DELETE /integrations/:uniqueKey': pathRow((world) => `/integrations/${world.integration}`, {
    names: ['integration'],
    async prepare(matrix, world) {
      const integration = matrix.unique();
      await matrix.newIntegration(world, integration);
      return { ...world, integration };
    },
  }),

  'GET /connections': pathRow(() => '/connections', {
    query: (world) => ({ search: 'acct', integrationId: world.integration, 'tags[end_user_id]': 'user-1' }),
  }),
  'GET /connection': pathRow(() => '/connection', {
    query: (world) => ({ connectionId: world.connection, endUserId: 'user-1', endUserOrganizationId: 'org' }),
  }),
  'GET /connections/:connectionId': pathRow((world) => `/connections/${world.connection}`, { ...named, query: byKey }),
  'GET /connection/:connectionId': pathRow((world) => `/connection/${world.connection}`, { ...named, query: byKey }),
  'POST /connections': {
    call: (world) => ({
      path: '/connections',
      body: {
        provider_config_key: world.integration,
        connection_id: `imported-${(created += 1)}`,
        credentials: { type: 'OAUTH2', access_token: 'a token', refresh_token: 'another' },
        metadata: { a: 'b', c: ['d'] },
        connection_config: { e: 'f' },
        tags: { project: 'g' },
        end_user: { id: 'user-2', email: 'two@example.com', display_name: 'Two', tags: { h: 'i' } },
        webhook_url_override: world.hooks,
      },
    }),
    ok: 201,
    names: ['integration'],
  },
  'POST /connection': {
    call: (world) => ({
      path: '/connection',
      body: { provider_config_key: world.integration, connection_id: `flat-${(created += 1)}`, access_token: 'a token', metadata: { a: 'b' } }, // prettier-ignore
    }),
    ok: 201,
    names: ['integration'],
  },
  'PATCH /connections/:connectionId': pathRow((world) => `/connections/${world.connection}`, {
    ...named,
    query: byKey,
    body: { tags: { project: 'x' }, end_user: { id: 'user-3', email: 'three@example.com' } },
  }),
  ...metadataRows('POST', 201),
  ...metadataRows('PATCH', 200),
  'DELETE /connections/:connectionId': pathRow((world) => `/connections/${world.connection}`, { ...throwAway, query: byKey }), // prettier-ignore
  'DELETE /connection/:connectionId': pathRow((world) => `/connection/${world.connection}`, { ...throwAway, query: byKey }), // prettier-ignore

  'GET /accounts': pathRow(() => '/accounts', { names: ['integration'], query: (world) => ({ limit: '10', page: '0', ...byKey(world) }) }), // prettier-ignore
  'GET /accounts/:id/members': pathRow(() => '/accounts/nobody/members', { ok: 404, query: byKey }),

  'GET /records': {
    call: (world) => ({
      path: '/records',
      query: { model: 'Thing', variant: 'base', limit: '10', filter: 'added,deleted', delta: '2026-01-31T12:00:00.000Z', modified_after: '2026-01-31', ids: 'a' }, // prettier-ignore
      headers: ofConnection(world),
    }),
    ok: 200,
    ...named,
  },
  'PATCH /records/prune': {
    call: (world) => ({
      path: '/records/prune',
      body: { model: 'Thing', variant: 'base', until_cursor: 'of nothing', limit: 10 },
      headers: ofConnection(world),
    }),
    ok: 400,
    ...named,
  },
  'GET /records/held': pathRow(() => '/records/held', {}),
  'POST /records/confirm-deletion': {
    call: (world) => ({
      path: '/records/confirm-deletion',
      body: { model: 'Thing', variant: 'base' },
      headers: ofConnection(world),
    }),
    ok: 404,
    ...named,
  },

  'POST /connect/sessions': {
    call: (world) => ({
      path: '/connect/sessions',
      body: {
        end_user: { id: 'user-1', display_name: 'One', tags: { a: 'b' } },
        organization: { id: 'org-1', display_name: 'Org' },
        allowed_integrations: [world.integration],
        integrations_config_defaults: {
          [world.integration]: {
            user_scopes: 'a',
            authorization_params: { prompt: 'login' },
            connection_config: { x: 'y' },
          },
        },
        overrides: { [world.integration]: { docs_connect: 'https://docs.example/' } },
        tags: { t: 'u' },
      },
    }),
    ok: 201,
    names: ['integration'],
  },
  'POST /connect/sessions/reconnect': {
    call: (world) => ({
      path: '/connect/sessions/reconnect',
      body: { connection_id: world.connection, integration_id: world.integration, end_user: { id: 'user-1' } },
    }),
    ok: 201,
    ...named,
  },
  'GET /connect/session': pathRow(() => '/connect/session', {}),
  'GET /connect/session/integrations': pathRow(() => '/connect/session/integrations', {}),
  'DELETE /connect/session': pathRow(() => '/connect/session', {
    ok: 204,
    prepare: async (matrix, world) => ({ ...world, session: await matrix.newSession(world) }),
  }),
  'POST /connect/telemetry': {
    call: (world) => ({
      path: '/connect/telemetry',
      body: {
        token: world.session,
        event: 'open',
        timestamp: new Date(),
        dimensions: { integration: world.integration },
      },
    }),
    ok: 204,
  },
  'GET /oauth/connect/:providerConfigKey': {
    call: (world) => ({
      path: `/oauth/connect/${world.integration}`,
      query: { connect_session_token: world.session, 'params[a]': 'b', 'authorization_params[prompt]': 'none', user_scope: 'a' }, // prettier-ignore
    }),
    ok: 302,
    names: ['integration'],
  },
  'GET /oauth/callback': pathRow(() => '/oauth/callback', {
    ok: 400,
    query: () => ({ code: 'a-code', state: 'a-state', error: 'denied', error_description: 'No.' }),
  }),
  'GET /app-auth/connect': pathRow(() => '/app-auth/connect', {
    ok: 400,
    query: () => ({ installation_id: '1', setup_action: 'install', state: 'a-state', code: 'a-code' }),
  }),
  'POST /api-auth/api-key/:providerConfigKey': typedRow('/api-auth/api-key', ({ integrations }) => integrations.apiKey, { apiKey: 'a key' }), // prettier-ignore
  'POST /api-auth/basic/:providerConfigKey': typedRow('/api-auth/basic', ({ integrations }) => integrations.basic, { username: 'u', password: 'p' }), // prettier-ignore
  'POST /auth/unauthenticated/:providerConfigKey': typedRow('/auth/unauthenticated', ({ integrations }) => integrations.none), // prettier-ignore
  'POST /oauth2/auth/:providerConfigKey': typedRow('/oauth2/auth', ({ integrations }) => integrations.client, {
    client_id: 'a',
    client_secret: 'b',
  }),
  'POST /auth/tba/:providerConfigKey': modeRow('/auth/tba', { token_id: 'a', token_secret: 'b' }),
  'POST /auth/two-step/:providerConfigKey': modeRow('/auth/two-step', { username: 'a', password: 'b' }),
  'POST /auth/jwt/:providerConfigKey': modeRow('/auth/jwt', { privateKeyId: 'a', issuerId: 'b', privateKey: 'c' }),
  'POST /auth/bill/:providerConfigKey': modeRow('/auth/bill', {
    username: 'a',
    password: 'b',
    organization_id: 'c',
    dev_key: 'd',
  }),
  'POST /auth/signature/:providerConfigKey': modeRow('/auth/signature', { username: 'a', password: 'b' }),
  'POST /auth/aws-sigv4/:providerConfigKey': modeRow('/auth/aws-sigv4', {
    role_arn: 'arn:aws:iam::123456789012:role/x',
    region: 'a',
  }),
  'POST /auth/oauth-outbound/:providerConfigKey': modeRow('/auth/oauth-outbound', {}),
  'GET /connect-ui/': pathRow(() => '/connect-ui/', { query: () => ({ session_token: 'x' }) }),
  'GET /connect-ui/assets/:file': pathRow(() => '/connect-ui/assets/none.js', { ok: 404 }),

  // Whoever sends is proven by what it sends; nobody here is a provider.
  'POST /webhook/:environmentUuid/:providerConfigKey': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}`, { ok: 404 }), // prettier-ignore
  'POST /webhook/:environmentUuid/:providerConfigKey/:secret': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}/1-0`, { ok: 404 }), // prettier-ignore
  'GET /webhook/:environmentUuid/:providerConfigKey': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}`, { ok: 404 }), // prettier-ignore
  'GET /webhook/:environmentUuid/:providerConfigKey/:secret': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}/1-0`, { ok: 404 }), // prettier-ignore
  'HEAD /webhook/:environmentUuid/:providerConfigKey': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}`, { ok: 404 }), // prettier-ignore
  'HEAD /webhook/:environmentUuid/:providerConfigKey/:secret': pathRow((world) => `/webhook/${NOWHERE}/${world.integration}/1-0`, { ok: 404 }), // prettier-ignore
  'GET /inbound-events': pathRow(() => '/inbound-events', { names: ['integration'], query: (world) => ({ state: 'routed', limit: '10', ...byKey(world) }) }), // prettier-ignore
  'GET /inbound-events/:id': pathRow(() => `/inbound-events/${NOWHERE}`, { ok: 404 }),
  'POST /inbound-events/replay': pathRow(() => '/inbound-events/replay', { body: { ids: [NOWHERE], limit: 10 } }),
  'POST /connections/:connectionId/webhook-url/rotate': pathRow((world) => `/connections/${world.connection}/webhook-url/rotate`, { ...named, query: byKey, body: { grace_hours: 1 } }), // prettier-ignore
  'GET /connections/:connectionId/webhook-url': pathRow((world) => `/connections/${world.connection}/webhook-url`, { ...named, query: byKey }), // prettier-ignore

  'GET /proxy/*': proxyRow,
  'HEAD /proxy/*': proxyRow,
  'POST /proxy/*': proxyRow,
  'PUT /proxy/*': proxyRow,
  'PATCH /proxy/*': proxyRow,
  'DELETE /proxy/*': proxyRow,
  'GET /proxy': rootRow,
  'HEAD /proxy': rootRow,
  'POST /proxy': rootRow,
  'PUT /proxy': rootRow,
  'PATCH /proxy': rootRow,
  'DELETE /proxy': rootRow,
};

function metadataRows(method: 'POST' | 'PATCH', ok: number): Record<string, Row> {
  return {
    [`${method} /connections/metadata`]: {
      call: (world) => ({
        path: '/connections/metadata',
        body: { provider_config_key: world.integration, connection_id: [world.connection], metadata: { a: 'b' } },
      }),
      ok,
      ...named,
    },
    [`${method} /connection/:connectionId/metadata`]: {
      call: (world) => ({
        path: `/connection/${world.connection}/metadata`,
        headers: { 'provider-config-key': world.integration },
        body: { a: { b: 'c' } },
      }),
      ok,
      ...named,
    },
  };
}
