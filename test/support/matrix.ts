/**
 * Every route of the server with a call that its rightful caller may make, in two environments that hold things of the
 * same names. The tests ask for a row per route of the router: a new route without one fails.
 */
import { startTinyServer, type TinyServer } from '../flows/connect-helpers.ts';
import { devRoutes } from '../../src/shell/dev/routes.ts';
import type { MountedRoute } from '../../src/shell/http/server.ts';
import { callApi, startTestApp, type TestApp, type TestAppOptions } from './app.ts';

/** One environment, as its rightful caller sees it. */
export interface World {
  name: 'dev' | 'prod';
  key: string;
  /** Held by this environment in every free text, and by nothing else. */
  mark: string;
  /** OAuth 2, with {@link World.connection}. */
  integration: string;
  connection: string;
  /** API key, Basic and no credential. */
  integrations: { apiKey: string; basic: string; none: string };
  /** An open connect session. */
  session: string;
}

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

export interface Matrix {
  app: TestApp;
  upstream: TinyServer;
  dev: World;
  prod: World;
  /** A key of `dev` that may do nothing. */
  powerless: string;
  /** A session of `dev` that has made its connection. */
  usedSession: string;
  api(world: World, method: string, path: string, body?: unknown): ReturnType<typeof callApi>;
  newSession(world: World, more?: Record<string, unknown>): Promise<string>;
  newConnection(world: World, id: string, integration?: string): Promise<void>;
  newIntegration(world: World, key: string): Promise<void>;
  /** A name that nothing has yet. */
  unique(): string;
  send(route: Pick<MountedRoute, 'method'>, call: Call, authorization?: string): Promise<Response>;
  /** All rows that belong to an environment, as text; what only tells the time of use is left out. */
  dump(world: World): Promise<string>;
  close(): Promise<void>;
}

/** Names of the integrations and connections that both environments have. */
const SHARED = { integration: 'crm', connection: 'acct-1', apiKey: 'with-key', basic: 'with-password', none: 'open' };

export async function startMatrix(options: TestAppOptions = {}): Promise<Matrix> {
  const upstream = await startTinyServer();
  upstream.answer = ({ headers }) => ({
    body: JSON.stringify({
      access_token: 'issued',
      token_type: 'Bearer',
      expires_in: 3_600,
      got: headers.authorization,
    }),
  });
  const app: TestApp = await startTestApp({
    ...options,
    settings: { HAWSER_EGRESS_ALLOW: upstream.pair, ...options.settings },
    devRoutes: (services) =>
      devRoutes({
        services,
        emulators: () => app?.emulators,
        apiKey: () => app?.apiKey ?? '',
        dashboardPassword: 'a password of a test',
        dataDir: '/nowhere',
        version: '0.0.0-test',
      }),
  });
  let count = 0;
  const worldOf = (name: World['name'], key: string): World => ({
    name,
    key,
    mark: `only-${name}`,
    integration: SHARED.integration,
    connection: SHARED.connection,
    integrations: { apiKey: SHARED.apiKey, basic: SHARED.basic, none: SHARED.none },
    session: '',
  });
  const matrix: Matrix = {
    app,
    upstream,
    dev: worldOf('dev', app.apiKey),
    prod: worldOf('prod', app.prodApiKey),
    powerless: '',
    usedSession: '',
    api: (world, method, path, body) => callApi(app.url, world.key, method, path, body),
    unique: () => `made-${(count += 1)}`,
    async newSession(world, more = {}) {
      const answer = await matrix.api(world, 'POST', '/connect/sessions', { end_user: endUserOf(world), ...more });
      return need(answer, 201).body.data.token as string;
    },
    async newConnection(world, id, integration = world.integration) {
      const answer = await matrix.api(world, 'POST', '/connections', {
        provider_config_key: integration,
        connection_id: id,
        credentials: { type: 'OAUTH2', access_token: `token-${world.mark}`, refresh_token: `refresh-${world.mark}` },
        metadata: { note: world.mark },
        end_user: endUserOf(world),
      });
      need(answer, 201);
    },
    async newIntegration(world, key) {
      need(await matrix.api(world, 'POST', '/integrations', oauthIntegration(world, key, upstream)), 200);
    },
    send: (route, call, authorization) => send(app.url, route.method, call, authorization),
    dump: (world) => dump(app, world),
    async close() {
      await app.close();
      await upstream.close();
    },
  };
  for (const world of [matrix.dev, matrix.prod]) {
    await matrix.newIntegration(world, SHARED.integration);
    for (const [key, provider] of [
      [SHARED.apiKey, 'private-api-bearer'],
      [SHARED.basic, 'private-api-basic'],
      [SHARED.none, 'unauthenticated'],
    ]) {
      const body = {
        provider,
        unique_key: key,
        display_name: world.mark,
        integration_config: { base_url: upstream.url },
      };
      need(await matrix.api(world, 'POST', '/integrations', body), 200);
    }
    await matrix.newConnection(world, SHARED.connection);
    world.session = await matrix.newSession(world);
  }
  const { environments } = app.services;
  const dev = await environments.byName('dev');
  const { secret } = await environments.createKey({
    environmentId: dev?.id as number,
    displayName: 'powerless',
    scopes: [],
  });
  matrix.powerless = secret;
  matrix.usedSession = await matrix.newSession(matrix.dev);
  const used = await matrix.send({ method: 'POST' }, rows['POST /auth/unauthenticated/:providerConfigKey']!.call({ ...matrix.dev, session: matrix.usedSession })); // prettier-ignore
  if (used.status !== 200) throw new Error(`the session was not used: ${used.status}`);
  return matrix;
}

/** The world `inside`, but naming things that only `outside` has. */
export async function foreignNames(
  matrix: Matrix,
  outside: World,
): Promise<Pick<World, 'integration' | 'connection' | 'session'>> {
  const integration = matrix.unique();
  const connection = matrix.unique();
  await matrix.newIntegration(outside, integration);
  await matrix.newConnection(outside, connection, integration);
  await matrix.newConnection(outside, connection);
  return { integration, connection, session: outside.session };
}

function endUserOf(world: World): Record<string, unknown> {
  return { id: 'user-1', email: 'user@example.com', display_name: world.mark };
}

function oauthIntegration(world: World, key: string, upstream: TinyServer): Record<string, unknown> {
  return {
    provider: 'oauth2-generic',
    unique_key: key,
    display_name: world.mark,
    credentials: {
      type: 'OAUTH2',
      client_id: `client-${world.mark}`,
      client_secret: `secret-${world.mark}`,
      scopes: 'a,b',
    },
    integration_config: {
      authorization_url: `${upstream.url}/authorize`,
      token_url: `${upstream.url}/token`,
      api_base_url: `${upstream.url}/api`,
    },
  };
}

function need<A extends { status: number; text: string }>(answer: A, status: number): A {
  if (answer.status !== status) throw new Error(`expected ${status}: ${answer.status} ${answer.text}`);
  return answer;
}

async function send(url: string, method: string, call: Call, authorization?: string): Promise<Response> {
  const search = call.query === undefined ? '' : `?${new URLSearchParams(call.query)}`;
  const hasBody = call.body !== undefined && method !== 'GET' && method !== 'HEAD';
  const type = call.form === true ? 'application/x-www-form-urlencoded' : 'application/json';
  return fetch(`${url}${call.path}${search}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(hasBody && { 'content-type': type }),
      ...(authorization !== undefined && { authorization }),
      ...call.headers,
    },
    ...(hasBody && {
      body:
        call.form === true
          ? new URLSearchParams(call.body as Record<string, string>).toString()
          : JSON.stringify(call.body),
    }),
  });
}

async function dump(app: TestApp, world: World): Promise<string> {
  await app.services.activity.flush();
  const tables = await app.db.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = 'environment_id' ORDER BY 1`,
  );
  const parts: string[] = [];
  for (const { name } of tables) {
    const rowsOf = await app.db.query<{ row: string }>(
      `SELECT (to_jsonb(t) - 'last_used_at' - 'last_fetched_at' - 'last_good_call_at')::text AS row
       FROM "${name}" t JOIN environment e ON e.id = t.environment_id WHERE e.name = $1 ORDER BY 1`,
      [world.name],
    );
    parts.push(`${name}:`, ...rowsOf.map(({ row }) => row));
  }
  return parts.join('\n');
}

const proxyRow: Row = {
  call: (world) => ({
    path: '/proxy/v1/things',
    headers: { 'provider-config-key': world.integration, 'connection-id': world.connection },
  }),
  ok: 200,
  names: ['integration', 'connection'],
};
const preflightFree = { ok: undefined };

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
function modeRow(path: string): Row {
  return {
    ...preflightFree,
    call: (world) => ({
      path: `${path}/${world.integration}`,
      query: { connect_session_token: world.session },
      body: {},
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

/** By `METHOD path` as the router has it. Preflights need none: they answer the same to everybody. */
export const rows: Record<string, Row> = {
  'GET /health': pathRow(() => '/health', {}),
  'GET /ready': pathRow(() => '/ready', {}),
  'GET /openapi.json': pathRow(() => '/openapi.json', {}),
  'GET /': pathRow(() => '/', {}),
  'GET /dev/style.css': pathRow(() => '/dev/style.css', {}),
  // Without the origin of the page its buttons do nothing.
  'POST /dev/connect': { call: () => ({ path: '/dev/connect', form: true, body: { integration: 'xref' } }), ok: 403 },
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
        webhook_url_override: 'https://hooks.example/x',
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
  'POST /api-auth/api-key/:providerConfigKey': typedRow('/api-auth/api-key', ({ integrations }) => integrations.apiKey, { apiKey: 'a key' }), // prettier-ignore
  'POST /api-auth/basic/:providerConfigKey': typedRow('/api-auth/basic', ({ integrations }) => integrations.basic, { username: 'u', password: 'p' }), // prettier-ignore
  'POST /auth/unauthenticated/:providerConfigKey': typedRow('/auth/unauthenticated', ({ integrations }) => integrations.none), // prettier-ignore
  'POST /oauth2/auth/:providerConfigKey': modeRow('/oauth2/auth'),
  'POST /auth/tba/:providerConfigKey': modeRow('/auth/tba'),
  'POST /auth/two-step/:providerConfigKey': modeRow('/auth/two-step'),
  'POST /auth/jwt/:providerConfigKey': modeRow('/auth/jwt'),
  'POST /auth/bill/:providerConfigKey': modeRow('/auth/bill'),
  'POST /auth/signature/:providerConfigKey': modeRow('/auth/signature'),
  'POST /auth/aws-sigv4/:providerConfigKey': modeRow('/auth/aws-sigv4'),
  'POST /auth/oauth-outbound/:providerConfigKey': modeRow('/auth/oauth-outbound'),
  'GET /connect-ui/': pathRow(() => '/connect-ui/', { query: () => ({ session_token: 'x' }) }),
  'GET /connect-ui/assets/:file': pathRow(() => '/connect-ui/assets/none.js', { ok: 404 }),

  'GET /proxy/*': proxyRow,
  'HEAD /proxy/*': proxyRow,
  'POST /proxy/*': proxyRow,
  'PUT /proxy/*': proxyRow,
  'PATCH /proxy/*': proxyRow,
  'DELETE /proxy/*': proxyRow,
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

/** Routes that the table must know. */
export function routesWithRows(matrix: Matrix): { route: MountedRoute; row: Row; name: string }[] {
  return matrix.app.hawser.routes
    .filter(({ method }) => method !== 'OPTIONS')
    .map((route) => {
      const name = `${route.method} ${route.path}`;
      const row = rows[name];
      if (row === undefined) throw new Error(`${name} has no row in test/support/matrix.ts`);
      return { route, row, name };
    });
}
