import formbody from '@fastify/formbody';
import swagger from '@fastify/swagger';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { Clock } from '../../base/clock.ts';
import type { HawserError } from '../../base/errors.ts';
import { randomId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { Principal, Route, RouteAuth } from '../../base/route.ts';
import type { Environments } from '../../features/environments/index.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { callerAddress, createTrust } from './address.ts';
import { createAuthenticator, type Authenticator } from './auth.ts';
import { refuseExpectation, refuseMalformed } from './client-error.ts';
import { addCors } from './cors.ts';
import { createDeadlines } from './deadlines.ts';
import { compileValidator, httpErrors, sendError, toHawserError } from './errors.ts';
import { createGuesses } from './guesses.ts';
import { headProblem, securityHeaders } from './head.ts';
import { parseJson } from './json.ts';
import { EDGE_LIMITS, type EdgeLimits } from './limits.ts';
import { mountRoutes, watchBody, type MountDeps } from './mount.ts';
import { watchPeers, type Peers } from './peers.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';

/** Node looks for late heads this often; its own default is 30 s. */
const HEADERS_CHECK_INTERVAL_MS = 500;

export interface ServerDeps {
  db: Pick<Database, 'listening' | 'ping'>;
  log: Log;
  clock: Clock;
  version: string;
  environments: Pick<Environments, 'peekKey' | 'byKey'>;
  sessionByToken(token: string): Promise<Principal | undefined>;
  /** Where browsers reach this server; asked per request, since the port may not be known before. */
  publicUrl: () => URL;
  /** False while the node has work that the database must take first. */
  ready: () => boolean;
  /** True: the database is a restored copy that nobody has accepted yet. Default: never. */
  isQuarantined?: () => boolean;
  routes: readonly Route[];
  /** What is not a declared route (proxy), with who may call it. */
  plugins: readonly { auth: RouteAuth; mount(app: FastifyInstance, edge: Edge): void | Promise<void> }[];
  /** Calls a minute per key, session or address. 0: no limit. */
  rateLimitPerMinute: number;
  /** Wrong keys and tokens a minute of one address. 0: no limit. */
  authFailuresPerMinute: number;
  /** Addresses and CIDR ranges whose `X-Forwarded-For` is believed. */
  trustedProxies: readonly string[];
  limits?: Partial<EdgeLimits>;
}

/** What the edge gives to plugins. */
export interface Edge {
  keyPrincipalFor: Authenticator['keyPrincipalFor'];
  /** Gives a body up that drips in. */
  watchBody(request: FastifyRequest): void;
  /** What was thrown, as an error of ours. */
  toError(error: unknown): HawserError;
  /** Who calls, for limits. */
  callerAddress(request: FastifyRequest): string;
  /** What may fail a minute, as with wrong keys. */
  failures: RateLimit;
}

/** A route as the router has it. */
export interface MountedRoute {
  method: string;
  path: string;
  auth: RouteAuth;
}

export interface EdgeServer {
  app: FastifyInstance;
  /** Everything that answers, preflights and plugins included. */
  routes: readonly MountedRoute[];
}

/** Builds the HTTP edge. The caller listens and closes. Throws when a route declares no auth. */
export async function createServer(deps: ServerDeps): Promise<EdgeServer> {
  const { log, clock } = deps;
  for (const { method, path, auth } of deps.routes) {
    if (auth === undefined) throw new Error(`${method} ${path} declares no auth`);
  }
  const limits = { ...EDGE_LIMITS, ...deps.limits };
  const isTrusted = createTrust(deps.trustedProxies);
  let peers: Peers | undefined;
  const app = fastify({
    genReqId: randomId,
    // A function, because Fastify's own reading of a list also takes names and hop counts.
    trustProxy: deps.trustedProxies.length > 0 ? isTrusted : false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_024, ignoreTrailingSlash: true },
    // Long bodies and streamed answers have their own idle limits on the proxy; 0 means no total limit here.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    http: {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: HEADERS_CHECK_INTERVAL_MS,
      insecureHTTPParser: false,
      // Checked with the rest of the head, for an answer in the envelope.
      requireHostHeader: false,
      // Anything else that wants to switch protocols (h2c) is an ordinary request (RFC 9110 7.8).
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    clientErrorHandler: (error, socket) => refuseMalformed(log, peers as Peers)(error, socket),
    // The router's own refusals come before every hook.
    frameworkErrors: (error, request, reply) => {
      void reply.header('x-request-id', request.id).headers(ownHeaders());
      void sendError(log, request as FastifyRequest, reply as FastifyReply, error);
    },
    // Calls under way may end; whoever closes cuts those that take too long.
    forceCloseConnections: 'idle',
  });
  // Node cuts off what is beyond its own limit without a word; ours refuses.
  app.server.maxHeadersCount = 0;
  app.server.on('checkExpectation', refuseExpectation);
  peers = watchPeers(app.server, { clock, log, limits, isTrusted });
  const deadlines = createDeadlines(clock);
  app.addHook('preClose', (done) => {
    peers.closeIdle();
    done();
  });
  app.addHook('onClose', (_app, done) => {
    deadlines.stop();
    peers.stop();
    done();
  });
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  // A path that is not there reads no body.
  app.removeAllContentTypeParsers();
  app.decorateRequest('principal', undefined);
  app.decorateRequest('answer', undefined);

  const guesses = createGuesses({ clock, perMinute: deps.authFailuresPerMinute });
  const failures = createRateLimit(clock, deps.authFailuresPerMinute);
  const authenticator = createAuthenticator({
    environments: deps.environments,
    sessionByToken: (token) => deps.sessionByToken(token),
    guesses,
    rateLimit: createRateLimit(clock, deps.rateLimitPerMinute),
    admit: (request) => peers.admit(request.raw.socket),
  });

  const mounted: MountedRoute[] = [];
  let pluginAuth: RouteAuth | undefined;
  app.addHook('onRoute', ({ method, url, config }) => {
    const auth = (config as { auth?: RouteAuth } | undefined)?.auth ?? pluginAuth;
    if (auth === undefined) throw new Error(`${String(method)} ${url} declares no auth`);
    for (const one of [method].flat()) mounted.push({ method: one, path: url, auth });
  });

  let security: Record<string, string> | undefined;
  const ownHeaders = (): Record<string, string> => {
    security ??= securityHeaders(deps.publicUrl().protocol === 'https:');
    return security;
  };
  let toldForwarded = false;
  app.addHook('onRequest', (request, reply, done) => {
    request.answer = reply;
    void reply.header('x-request-id', request.id).headers(ownHeaders());
    if (!toldForwarded && request.headers['x-forwarded-for'] !== undefined) {
      const peer = request.raw.socket.remoteAddress ?? '';
      toldForwarded = !isTrusted(peer);
      if (toldForwarded) {
        log.warn('a proxy in front is not trusted: all its callers count as one address. See HAWSER_TRUSTED_PROXIES', {
          peer,
        });
      }
    }
    const problem = headProblem(request.raw, limits);
    if (problem !== undefined) void reply.header('connection', 'close');
    done(problem);
  });
  app.setErrorHandler((error, request, reply) => sendError(log, request, reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      log,
      request,
      reply,
      httpErrors.fail('not_found', { message: `No route ${request.method} ${pathOf(request.url)}.` }),
    ),
  );

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Hawser', description: 'Public API of Hawser.', version: deps.version },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
  });
  addCors(app, deps.routes);
  const mountDeps: MountDeps = { log, authenticator, guesses, deadlines, limits };
  await app.register(async (api) => {
    takeJsonOnly(api, limits);
    const routes = deps.routes.filter((route) => route.form !== true);
    mountRoutes(api, [...routes, ...edgeRoutes(app, deps)], mountDeps);
  });
  await app.register(async (pages) => {
    await pages.register(formbody);
    const routes = deps.routes.filter((route) => route.form === true);
    mountRoutes(pages, routes, mountDeps);
  });
  for (const plugin of deps.plugins) {
    pluginAuth = plugin.auth;
    await plugin.mount(app, {
      keyPrincipalFor: authenticator.keyPrincipalFor,
      watchBody: (request) => watchBody(deadlines, limits, request),
      toError: toHawserError,
      callerAddress,
      failures,
    });
    pluginAuth = undefined;
  }
  return { app, routes: mounted };
}

/** The published client names JSON as its content type on calls without a body; those have none. */
function takeJsonOnly(api: FastifyInstance, limits: EdgeLimits): void {
  api.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? undefined : parseJson(text as string, limits));
    } catch (error) {
      done(error as Error);
    }
  });
}

function edgeRoutes(app: FastifyInstance, { db, ready: isReady, isQuarantined }: ServerDeps): Route[] {
  // Not unhealthy: reads are served, and a restart would change nothing.
  const fine = (): string => (isQuarantined?.() === true ? 'quarantined' : 'ok');
  const common = { errors: [], documented: false } as const;
  return [
    {
      ...common,
      method: 'GET',
      path: '/health',
      summary: 'The process answers',
      auth: { by: 'public', why: 'probes of load balancers' },
      handle: () => ({ body: { result: fine() } }),
    },
    {
      ...common,
      method: 'GET',
      path: '/ready',
      summary: 'The process can serve: database and notifications are there',
      auth: { by: 'public', why: 'probes of load balancers' },
      async handle() {
        const ready = isReady() && db.listening && (await db.ping(2_000));
        return { status: ready ? 200 : 503, body: { result: ready ? fine() : 'database unavailable' } };
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/openapi.json',
      summary: 'This API as OpenAPI 3.1',
      auth: { by: 'public', why: 'documentation' },
      handle: () => ({ body: app.swagger() }),
    },
  ];
}

function pathOf(url: string): string {
  return url.split('?')[0]?.slice(0, 200) ?? '';
}
