import type { FastifyInstance } from 'fastify';
import type { Route } from '../../base/route.ts';

/** How long a preflight answer may be kept (wire contract A.5). */
const MAX_AGE_SECONDS = 600;
const ALLOWED_HEADERS =
  'Authorization, Content-Type, Accept, Origin, X-Requested-With, Nango-Activity-Log-Id, Nango-Is-Dry-Run, Nango-Is-Sync, Provider-Config-Key, Connection-Id, Sentry-Trace, Baggage';
const EXPOSED_HEADERS =
  'Authorization, Etag, Content-Type, Content-Length, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset';

/** Pages of other origins may use what a connect session or nobody's secret opens; never what an API key opens. */
export function addCors(app: FastifyInstance, routes: readonly Route[]): void {
  // Pages and their forms are for this origin only.
  const open = routes.filter((route) => route.auth.by !== 'key' && route.html !== true && route.form !== true);
  const methodsOf = new Map<string, string[]>();
  for (const route of open) methodsOf.set(route.path, [...(methodsOf.get(route.path) ?? []), route.method]);
  for (const [path, methods] of methodsOf) {
    app.options(
      path,
      { schema: { hide: true }, config: { auth: { by: 'public', why: 'a preflight carries no credential' } } },
      (_request, reply) =>
        reply
          .headers({
            'access-control-allow-origin': '*',
            'access-control-allow-methods': methods.join(', '),
            'access-control-allow-headers': ALLOWED_HEADERS,
            'access-control-max-age': String(MAX_AGE_SECONDS),
          })
          .code(204)
          .send(),
    );
  }
  app.addHook('onRequest', (request, reply, done) => {
    const path = request.routeOptions.url;
    if (request.headers.origin !== undefined && path !== undefined && methodsOf.get(path)?.includes(request.method)) {
      void reply.header('access-control-allow-origin', '*');
      void reply.header('access-control-expose-headers', EXPOSED_HEADERS);
    }
    done();
  });
}
