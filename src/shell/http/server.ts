import formbody from '@fastify/formbody';
import swagger from '@fastify/swagger';
import { fastify, type FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { randomId } from '../../base/ids.ts';
import type { Route } from '../../base/route.ts';
import type { Database } from '../../platform/postgres/index.ts';
import { compileValidator, httpErrors, sendError } from './errors.ts';
import { mountRoutes, type MountDeps } from './mount.ts';

/** A request head must arrive within this time: slow clients hold no socket for long. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Between two requests of one connection. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
const HEADER_BYTES_MAX = 32_768;
/** How long a preflight answer may be kept (wire contract A.5). */
const CORS_MAX_AGE_SECONDS = 600;

const CORS_ALLOWED_HEADERS =
  'Authorization, Content-Type, Accept, Origin, X-Requested-With, Nango-Activity-Log-Id, Nango-Is-Dry-Run, Nango-Is-Sync, Provider-Config-Key, Connection-Id, Sentry-Trace, Baggage';
const CORS_EXPOSED_HEADERS =
  'Authorization, Etag, Content-Type, Content-Length, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset';

export interface ServerDeps extends MountDeps {
  db: Database;
  version: string;
  /** False while the node has work that the database must take first. */
  ready: () => boolean;
  routes: readonly Route[];
  /** Mounts what is not a declared route (proxy). */
  plugins: readonly ((app: FastifyInstance) => void | Promise<void>)[];
}

/** Builds the HTTP edge. The caller listens and closes. */
export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const app = fastify({
    genReqId: randomId,
    trustProxy: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1_024, ignoreTrailingSlash: true },
    // Long bodies and streamed answers have their own idle limits on the proxy; 0 means no total limit here.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_TIMEOUT_MS },
    // A stop lets running calls end; the node cuts them at its deadline.
    forceCloseConnections: 'idle',
  });
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.decorateRequest('principal', undefined);

  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    void reply.header('x-content-type-options', 'nosniff');
    void reply.header('referrer-policy', 'no-referrer');
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(deps.log, request, reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      deps.log,
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
  await app.register(async (api) => {
    takeEmptyJson(api);
    const routes = deps.routes.filter((route) => route.form !== true);
    mountRoutes(api, [...routes, ...edgeRoutes(app, deps)], deps);
  });
  await app.register(async (pages) => {
    pages.removeAllContentTypeParsers();
    await pages.register(formbody);
    const routes = deps.routes.filter((route) => route.form === true);
    mountRoutes(pages, routes, deps);
  });
  for (const plugin of deps.plugins) await plugin(app);
  return app;
}

/** The published client names JSON as its content type on calls without a body; those have none. */
function takeEmptyJson(api: FastifyInstance): void {
  const parse = api.getDefaultJsonParser('error', 'error');
  api.removeContentTypeParser('application/json');
  api.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else void parse(request, text as string, done);
  });
}

/** Pages of other origins may use what a connect session or nobody's secret opens; never what an API key opens. */
function addCors(app: FastifyInstance, routes: readonly Route[]): void {
  // Pages and their forms are for this origin only.
  const open = routes.filter((route) => route.auth.by !== 'key' && route.html !== true && route.form !== true);
  const methodsOf = new Map<string, string[]>();
  for (const route of open) methodsOf.set(route.path, [...(methodsOf.get(route.path) ?? []), route.method]);
  for (const [path, methods] of methodsOf) {
    app.options(path, { schema: { hide: true } }, (_request, reply) =>
      reply
        .headers({
          'access-control-allow-origin': '*',
          'access-control-allow-methods': methods.join(', '),
          'access-control-allow-headers': CORS_ALLOWED_HEADERS,
          'access-control-max-age': String(CORS_MAX_AGE_SECONDS),
        })
        .code(204)
        .send(),
    );
  }
  app.addHook('onRequest', (request, reply, done) => {
    const path = request.routeOptions.url;
    if (request.headers.origin !== undefined && path !== undefined && methodsOf.get(path)?.includes(request.method)) {
      void reply.header('access-control-allow-origin', '*');
      void reply.header('access-control-expose-headers', CORS_EXPOSED_HEADERS);
    }
    done();
  });
}

function edgeRoutes(app: FastifyInstance, { db, ready: isReady }: ServerDeps): Route[] {
  const common = { errors: [], documented: false } as const;
  return [
    {
      ...common,
      method: 'GET',
      path: '/health',
      summary: 'The process answers',
      auth: { by: 'public', why: 'probes of load balancers' },
      handle: () => ({ body: { result: 'ok' } }),
    },
    {
      ...common,
      method: 'GET',
      path: '/ready',
      summary: 'The process can serve: database and notifications are there',
      auth: { by: 'public', why: 'probes of load balancers' },
      async handle() {
        const ready = isReady() && db.listening && (await db.ping(2_000));
        return { status: ready ? 200 : 503, body: { result: ready ? 'ok' : 'database unavailable' } };
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
