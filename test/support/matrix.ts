/**
 * Every route of the server with a call that its rightful caller may make, in two environments that hold things of the
 * same names. The tests ask for a row per route of the router: a new route without one fails.
 */
import { vi } from 'vitest';
import { startTinyServer, type TinyServer } from '../flows/connect-helpers.ts';
import { devRoutes } from '../../src/shell/dev/routes.ts';
import type { MountedRoute } from '../../src/shell/http/server.ts';
import { rows, type Call, type Row } from './matrix-rows.ts';
import { deployBody } from './matrix-rows-functions.ts';
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
  /** API key, Basic, no credential, and client credentials. */
  integrations: { apiKey: string; basic: string; none: string; client: string };
  /** An open connect session. */
  session: string;
  /** A run of an action, and a name of a function: for the rows that prepare them. */
  run: string;
  fn: string;
  /** A URL of the app that takes every event. */
  hooks: string;
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
const SHARED = {
  integration: 'crm',
  connection: 'acct-1',
  apiKey: 'with-key',
  basic: 'with-password',
  none: 'open',
  client: 'with-client',
};

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
        play: () => undefined,
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
    integrations: { apiKey: SHARED.apiKey, basic: SHARED.basic, none: SHARED.none, client: SHARED.client },
    session: '',
    run: '00000000-0000-4000-8000-000000000000',
    fn: 'nobody',
    hooks: `${upstream.url}/hooks`,
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
    const client = { provider: 'oauth2-client-credentials', unique_key: SHARED.client, display_name: world.mark, integration_config: { token_url: `${upstream.url}/token`, api_base_url: upstream.url } }; // prettier-ignore
    need(await matrix.api(world, 'POST', '/integrations', client), 200);
    for (const [name, type] of [['hello', 'action'], ['people', 'sync']] as const) need(await matrix.api(world, 'POST', '/sync/deploy', deployBody(world, name, type)), 200); // prettier-ignore
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

/** The syncs of a deleted connection go in the background, some seconds later. */
const OF_LIVING_CONNECTIONS = `AND NOT EXISTS (SELECT FROM connection c WHERE c.environment_id = t.environment_id
  AND c.id = t.connection_id AND c.deleted_at IS NOT NULL)`;

async function dump(app: TestApp, world: World): Promise<string> {
  await app.services.activity.flush();
  // What a call has set going in the background belongs to that call.
  await until(async () => {
    const rows = await app.db.query(
      `SELECT 1 FROM environment e WHERE e.name = $1 AND (
         EXISTS (SELECT FROM run WHERE environment_id = e.id AND state IN ('queued', 'running')) OR
         EXISTS (SELECT FROM sync WHERE environment_id = e.id AND due_at <= clock_timestamp()) OR
         EXISTS (SELECT FROM event WHERE environment_id = e.id AND NOT is_handled) OR
         EXISTS (SELECT FROM delivery WHERE environment_id = e.id AND state = 'pending'))`,
      [world.name],
    );
    return rows.length === 0;
  });
  const tables = await app.db.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = 'environment_id' ORDER BY 1`,
  );
  const parts: string[] = [];
  for (const { name } of tables) {
    const rowsOf = await app.db.query<{ row: string }>(
      `SELECT (to_jsonb(t) - 'last_used_at' - 'last_fetched_at' - 'last_good_call_at')::text AS row
       FROM "${name}" t JOIN environment e ON e.id = t.environment_id
       WHERE e.name = $1 ${name === 'sync' ? OF_LIVING_CONNECTIONS : ''} ORDER BY 1`,
      [world.name],
    );
    parts.push(`${name}:`, ...rowsOf.map(({ row }) => row));
  }
  return parts.join('\n');
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await isSo())) throw new Error('still at work');
    },
    { timeout: 30_000, interval: 20 },
  );
}

type RouteWithRow = { route: MountedRoute; row: Row; name: string };

/** The routes of the router with their rows; preflights are left out. */
export function routesWithRows(matrix: Matrix): RouteWithRow[] {
  return named(matrix).filter((one): one is RouteWithRow => one.row !== undefined);
}

/** Routes that somebody has added without a row. */
export function routesWithoutRows(matrix: Matrix): string[] {
  return named(matrix).flatMap(({ name, row }) => (row === undefined ? [name] : []));
}

function named(matrix: Matrix): { route: MountedRoute; row: Row | undefined; name: string }[] {
  return matrix.app.hawser.routes
    .filter(({ method }) => method !== 'OPTIONS')
    .map((route) => ({ route, name: `${route.method} ${route.path}`, row: rows[`${route.method} ${route.path}`] }));
}
