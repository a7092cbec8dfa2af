/**
 * Routes that only `hawser dev` has: the first page and its buttons. They act with the rights of the `dev` environment,
 * so they answer only to this machine, or to who knows the dashboard password, and never to another site's page.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { defineErrors } from '../../base/errors.ts';
import { defineRoute, type Environment, type Route, type RouteReply, type RouteRequest } from '../../base/route.ts';
import { createUpstream, type Upstream } from '../../platform/upstream/index.ts';
import type { EmulatorHandle, Emulators } from '../../../emulators/index.ts';
import { readBrowserQuery } from '../../features/connect/index.ts';
import type { Integration } from '../../features/integrations/index.ts';
import type { Services } from '../node.ts';
import { readFunctions, runSyncRoute } from './functions.ts';
import { pageHeaders, renderDevPage, STYLE } from './page.ts';
import { SEEDED } from './seed.ts';
import { hasShownCall, proxiedCall } from './shown-call.ts';
import { isOwnHost, isThisMachine } from './visitor.ts';
import { readWebhooks } from './webhooks.ts';

const devErrors = defineErrors({
  forbidden: { status: 403, message: 'This page answers only to its own buttons, on the address it was opened at.' },
  unauthorized: { status: 401, message: 'Sign in as `hawser` with the dashboard password from hawser.json.' },
  not_found: { status: 404, message: 'No such integration or connection in the dev environment.' },
});

export interface DevDeps {
  services: Services;
  emulators: () => Emulators | undefined;
  /** The emulator of an integration, when it runs in this process and can play the provider. */
  play: (integration: Integration) => EmulatorHandle | undefined;
  /** Key of the dev environment, for the proxied call that the page shows. */
  apiKey: () => string;
  /** The example functions are on their way. */
  isSeeding?: () => boolean;
  dashboardPassword: string;
  dataDir: string;
  version: string;
}

/** Modes in which the customer goes to a page of the provider. */
const WITH_PAGE: readonly string[] = ['OAUTH2', 'OAUTH1', 'APP'];

/** Enough for a first look. */
const CONNECTIONS_SHOWN = 20;

export function devRoutes(deps: DevDeps): Route[] {
  const { services } = deps;
  // The page calls its own server as any client would; this agent may reach nothing else.
  const loopback = createUpstream({
    policy: () => ({ allow: [services.publicUrl().host] }),
    clock: services.clock,
    userAgent: `hawser-dev/${deps.version}`,
  });
  return [
    pageRoute(deps, loopback),
    {
      method: 'GET',
      path: '/dev/style.css',
      summary: 'Style of the dev page',
      auth: { by: 'public', why: 'a style sheet' },
      errors: [],
      documented: false,
      handle: () => ({ headers: { 'content-type': 'text/css; charset=utf-8' }, body: Buffer.from(STYLE) }),
    },
    connectRoute(deps),
    disconnectRoute(deps),
    runSyncRoute(services, (request, key) => enter(deps, request, key)),
  ];
}

function pageRoute(deps: DevDeps, loopback: Upstream): Route {
  const { services } = deps;
  return defineRoute({
    method: 'GET',
    path: '/',
    summary: 'First page',
    auth: { by: 'public', why: 'checked by address and dashboard password' },
    query: z.object({
      provider_config_key: z.string().max(255).optional(),
      connection_id: z.string().max(255).optional(),
      model: z.string().max(511).optional(),
      error: z.string().max(100).optional(),
      error_description: z.string().max(500).optional(),
    }),
    errors: ['unauthorized'],
    html: true,
    documented: false,
    async handle(request) {
      const refused = admit(deps, request);
      if (refused !== undefined) return refused;
      const own = services.publicUrl();
      // The flow's cookie belongs to the public name; a page opened under another one would lose it.
      if ((request.headers as { host?: string }).host !== own.host) return { redirect: own.href };
      const environment = await devEnvironment(services);
      const connections = await services.connections.list({
        environmentId: environment.id,
        connectionId: undefined,
        search: undefined,
        endUserId: undefined,
        organizationId: undefined,
        integrationKeys: undefined,
        tags: undefined,
        limit: CONNECTIONS_SHOWN,
        page: 0,
      });
      const { query } = request;
      const shown =
        connections.find((one) => one.connectionId === query.connection_id) ?? connections.find(hasShownCall);
      const integrations = await services.integrations.list(environment.id);
      return {
        headers: pageHeaders(deps.emulators()?.url),
        html: renderDevPage({
          url: services.publicUrl().origin,
          emulatorUrl: deps.emulators()?.url,
          dataDir: deps.dataDir,
          integrations: integrations.map((one) => ({
            key: one.uniqueKey,
            displayName: one.displayName ?? one.provider.displayName,
            about: SEEDED.find((seed) => seed.key === one.uniqueKey)?.about ?? one.provider.summary,
            emulated: one.emulated,
            developerUrl: developerUrlOf(one.emulated ? deps.play(one) : undefined),
          })),
          connections: connections.map((one) => ({
            connectionId: one.connectionId,
            integrationKey: one.integrationKey,
            state: one.stateReason === undefined ? one.state : `${one.state} (${one.stateReason})`,
            createdAt: one.createdAt,
          })),
          call: shown && (await proxiedCall(deps, loopback, shown.integrationKey, shown.connectionId)),
          shown: shown?.integrationKey,
          functions: await readFunctions(services, {
            environmentId: environment.id,
            model: query.model,
            connectionId: query.connection_id,
            listed: connections,
            isSeeding: deps.isSeeding?.() ?? false,
          }),
          webhooks: await readWebhooks(services, {
            environmentId: environment.id,
            playUrl: playUrlOf(deps, integrations, shown?.integrationKey),
          }),
          problem:
            query.error === undefined
              ? undefined
              : `Connecting did not work: ${query.error_description ?? query.error}`,
        }),
      };
    },
  });
}

/** The page of an emulator, where its buttons are. */
function playUrlOf(deps: DevDeps, integrations: readonly Integration[], key: string | undefined): string | undefined {
  const integration = integrations.find((one) => one.uniqueKey === key && one.emulated);
  const url = developerUrlOf(integration && deps.play(integration));
  return url && `${url}#plays`;
}

function developerUrlOf(handle: EmulatorHandle | undefined): string | undefined {
  return handle === undefined ? undefined : `${handle.url}/developer`;
}

/** A click: starts an ordinary flow; with an emulator in this process its user says yes without a page. */
function connectRoute(deps: DevDeps): Route {
  const { services } = deps;
  return defineRoute({
    method: 'POST',
    path: '/dev/connect',
    summary: 'Connect an emulated account',
    auth: { by: 'public', why: 'checked by address, origin and dashboard password' },
    form: true,
    body: z.object({ integration: z.string().max(255), consent: z.enum(['given', 'ask']).default('given') }),
    errors: ['forbidden', 'unauthorized', 'not_found'],
    html: true,
    documented: false,
    async handle(request) {
      const entered = await enter(deps, request, request.body.integration);
      if ('refused' in entered) return entered.refused;
      const { environment, integration } = entered;
      const session = await services.connect.createSession(environment, {
        end_user: { id: 'dev-user', display_name: 'You' },
        allowed_integrations: [integration.uniqueKey],
      });
      // A form is filled in on the Connect page; the developer page of the emulator shows what to type.
      if (!WITH_PAGE.includes(integration.provider.authMode)) return { redirect: session.connectLink, status: 303 };
      const flow = await services.connect.startFlow({
        key: integration.uniqueKey,
        query: readBrowserQuery({ connect_session_token: session.token }),
        cookie: request.cookie,
        returnTo: new URL('/', services.publicUrl()).href,
      });
      const handle = integration.emulated ? deps.play(integration) : undefined;
      const location =
        request.body.consent === 'given' && handle !== undefined ? handle.consent(flow.location) : flow.location;
      return { redirect: location, status: 303, headers: { 'set-cookie': flow.setCookie } };
    },
  });
}

function disconnectRoute(deps: DevDeps): Route {
  const { services } = deps;
  return defineRoute({
    method: 'POST',
    path: '/dev/disconnect',
    summary: 'Disconnect an account',
    auth: { by: 'public', why: 'checked by address, origin and dashboard password' },
    form: true,
    body: z.object({ integration: z.string().max(255), connection: z.string().max(255) }),
    errors: ['forbidden', 'unauthorized', 'not_found'],
    html: true,
    documented: false,
    async handle(request) {
      const refused = admit(deps, request) ?? refuseForeign(request, services.publicUrl());
      if (refused !== undefined) return refused;
      const environment = await devEnvironment(services);
      const integration = await services.integrations.byKey(environment.id, request.body.integration);
      const connection =
        integration && (await services.connections.byPublicId(environment.id, integration.id, request.body.connection));
      if (integration === undefined || connection === undefined) throw devErrors.fail('not_found');
      await services.disconnect.connection(environment.id, connection, integration);
      return { redirect: '/', status: 303 };
    },
  });
}

/** What every button needs: an admitted visitor, a press on our own page, and its integration. */
async function enter(
  deps: DevDeps,
  request: AnyRequest,
  key: string,
): Promise<{ refused: RouteReply } | { environment: Environment; integration: Integration }> {
  const refused = admit(deps, request) ?? refuseForeign(request, deps.services.publicUrl());
  if (refused !== undefined) return { refused };
  const environment = await devEnvironment(deps.services);
  const integration = await deps.services.integrations.byKey(environment.id, key);
  if (integration === undefined) throw devErrors.fail('not_found');
  return { environment, integration };
}

async function devEnvironment(services: Services): Promise<Environment> {
  const environment = (await services.environments.list()).find((one) => one.name === 'dev');
  if (environment === undefined) throw devErrors.fail('not_found');
  return environment;
}

type AnyRequest = Pick<RouteRequest<unknown, unknown, unknown, unknown>, 'ip' | 'origin' | 'headers'>;

/** This machine may enter; everybody else needs the password (HTTP Basic). Undefined: admitted. */
function admit(deps: DevDeps, request: AnyRequest) {
  const { host, authorization } = request.headers as { host?: string; authorization?: string };
  if (isThisMachine(request)) return undefined;
  // A foreign name that resolves to this machine (DNS rebinding) gets nothing, password or not.
  const ownName = host !== undefined && isOwnHost(host, deps.services.publicUrl());
  const expected = `Basic ${Buffer.from(`hawser:${deps.dashboardPassword}`).toString('base64')}`;
  if (ownName && authorization !== undefined && sameText(authorization, expected)) return undefined;
  return {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="Hawser"', 'content-type': 'text/plain; charset=utf-8' },
    body: 'Sign in as "hawser" with the dashboard password from hawser.json.\n',
  };
}

/** A form of another site cannot press our buttons. */
function refuseForeign(request: AnyRequest, publicUrl: URL): undefined {
  const { host } = request.headers as { host?: string };
  const own = [publicUrl.origin, `${publicUrl.protocol}//${host ?? ''}`];
  if (request.origin !== undefined && own.includes(request.origin)) return undefined;
  throw devErrors.fail('forbidden');
}

function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
