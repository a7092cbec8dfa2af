import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Principal, Route, RouteReply } from '../../base/route.ts';
import type { Log } from '../../base/log.ts';
import { authenticate, type AuthDeps } from './auth.ts';
import { envelope, httpErrors, sendError, toHawserError } from './errors.ts';
import { errorPage } from './page.ts';
import type { RateLimit } from './rate-limit.ts';

/** Wire contract allows 75 MB; no route of ours needs more than this unless it says so. */
const BODY_BYTES_MAX = 1_048_576;

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | undefined;
  }
}

export interface MountDeps extends AuthDeps {
  log: Log;
  rateLimit: RateLimit;
}

/** Mounts declared routes: auth, then limits, then validation, then the handler. */
export function mountRoutes(app: FastifyInstance, routes: readonly Route[], deps: MountDeps): void {
  for (const route of routes) {
    if (route.auth === undefined) throw new Error(`${route.method} ${route.path} declares no auth`);
    app.route({
      method: route.method,
      url: route.path,
      bodyLimit: route.bodyBytesMax ?? BODY_BYTES_MAX,
      schema: {
        summary: route.summary,
        hide: route.documented === false || route.html === true,
        ...(route.params && { params: route.params }),
        ...(route.query && { querystring: route.query }),
        ...(route.body && { body: route.body }),
        ...(route.headers && { headers: route.headers }),
        ...(route.output && { response: { 200: route.output } }),
      },
      onRequest: async (request, reply) => {
        // The API answers per caller and moment: nothing of it may be stored by a cache.
        void reply.header('cache-control', 'no-store');
        const found = await authenticate(deps, route.auth, request.headers.authorization);
        request.principal = found;
        take(deps.rateLimit, found, request, reply);
      },
      handler: async (request, reply) => send(reply, await route.handle(toRouteRequest(request))),
      errorHandler: (error, request, reply) => {
        if (route.html !== true) return sendError(deps.log, request, reply, error);
        const own = toHawserError(error);
        if (own.status >= 500) return sendError(deps.log, request, reply, error);
        return reply
          .code(own.status)
          .headers(errorPage.headers)
          .send(errorPage.render(own.code, [own.message, ...(own.errors ?? []).map((issue) => issue.message)]));
      },
    });
  }
}

function take(limit: RateLimit, principal: Principal | undefined, request: FastifyRequest, reply: FastifyReply): void {
  const caller = principal === undefined ? `ip:${request.ip}` : `env:${principal.environment.id}`;
  const { allowed, headers } = limit.take(caller);
  void reply.headers(headers);
  if (!allowed) {
    throw httpErrors.fail('too_many_request', { payload: { method: request.method, path: request.url.split('?')[0] } });
  }
}

function toRouteRequest(request: FastifyRequest): Parameters<Route['handle']>[0] {
  const aborted = new AbortController();
  request.raw.once('close', () => {
    if (request.raw.destroyed && !request.raw.complete) aborted.abort();
  });
  return {
    // Public routes have no principal and must not look at it.
    principal: request.principal as Principal,
    params: request.params,
    query: request.query,
    body: request.body,
    headers: request.headers,
    id: request.id,
    ip: request.ip,
    cookie: request.headers.cookie ?? '',
    origin: request.headers.origin,
    signal: aborted.signal,
  };
}

function send(reply: FastifyReply, answer: RouteReply): FastifyReply {
  if (answer.headers) void reply.headers(answer.headers);
  if (answer.redirect !== undefined) return reply.redirect(answer.redirect, answer.status ?? 302);
  void reply.code(answer.status ?? 200);
  if (answer.html !== undefined) return reply.header('content-type', 'text/html; charset=utf-8').send(answer.html);
  if (answer.body === undefined) return reply.send();
  const isBinary = Buffer.isBuffer(answer.body);
  if (isBinary || reply.getHeader('content-type') !== undefined) return reply.send(answer.body);
  return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer.body));
}

export { envelope };
