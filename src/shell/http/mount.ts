import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { HawserError } from '../../base/errors.ts';
import type { Principal, Route, RouteAuth, RouteReply } from '../../base/route.ts';
import type { Log } from '../../base/log.ts';
import { callerAddress } from './address.ts';
import type { Authenticator } from './auth.ts';
import type { Deadlines } from './deadlines.ts';
import { httpErrors, sendError, toHawserError } from './errors.ts';
import type { Guesses } from './guesses.ts';
import { holdsNul } from './head.ts';
import type { EdgeLimits } from './limits.ts';
import { errorPage } from './page.ts';

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** Who may call. Routes without it do not boot. */
    auth?: RouteAuth;
  }
}

export interface MountDeps {
  log: Log;
  authenticator: Authenticator;
  guesses: Guesses;
  deadlines: Deadlines;
  limits: EdgeLimits;
}

/** Mounts declared routes: auth, then limits, then validation, then the handler. */
export function mountRoutes(app: FastifyInstance, routes: readonly Route[], deps: MountDeps): void {
  const { authenticator, deadlines, guesses, limits, log } = deps;
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      bodyLimit: route.bodyBytesMax ?? (route.form === true ? limits.formBytesMax : limits.bodyBytesMax),
      config: { auth: route.auth },
      schema: {
        summary: route.summary,
        hide: route.documented === false || route.html === true,
        ...(route.params && { params: route.params }),
        ...(route.query && { querystring: route.query }),
        ...(route.body && { body: route.body }),
        ...(route.headers && { headers: route.headers }),
        ...(route.output && { response: { 200: route.output } }),
      },
      onRequest: async (request) => {
        request.principal = await authenticator.principalFor(route.auth, request);
      },
      preParsing: (request, _reply, payload, done) => {
        watchBody(deadlines, limits, request);
        done(null, payload);
      },
      preHandler: (request, _reply, done) => {
        // After validation, which names the place.
        done(holdsNul(request.url) ? nulProblem(request.url, route.auth.by === 'public') : undefined);
      },
      onSend: (request, reply, payload, done) => {
        // A route that checks a token or a password itself says so by its status.
        if (route.auth.by === 'public' && reply.statusCode === 401) guesses.browserFailed(callerAddress(request));
        watchReader(deadlines, limits, reply);
        done(null, payload);
      },
      handler: async (request, reply) => {
        const answer = await route.handle(toRouteRequest(request));
        if (answer.isWrongSecret === true) guesses.browserFailed(callerAddress(request));
        return send(reply, answer);
      },
      errorHandler: (error, request, reply) => {
        if (route.html !== true) return sendError(log, request, reply, error);
        const own = toHawserError(error);
        if (own.status >= 500) return sendError(log, request, reply, error);
        return reply
          .code(own.status)
          .headers(errorPage.headers)
          .send(errorPage.render(own.code, [own.message, ...(own.errors ?? []).map((issue) => issue.message)]));
      },
    });
  }
}

/** Public routes take any query and read it themselves; nothing has a name with a NUL in it. */
function nulProblem(url: string, isPublic: boolean): HawserError | undefined {
  const inPath = holdsNul(url.split('?')[0] ?? '');
  if (isPublic) return inPath ? httpErrors.fail('not_found') : undefined;
  return httpErrors.fail(inPath ? 'invalid_uri_params' : 'invalid_query_params', {
    message: 'The URL holds a NUL character.',
  });
}

/** A body that drips in is given up; its parser sends the error. */
export function watchBody(deadlines: Deadlines, limits: EdgeLimits, { raw }: FastifyRequest): void {
  const { headers } = raw;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
  const cancel = deadlines.in(limits.bodyTimeoutMs, () => {
    // Nobody listens when the route takes no body: then nobody waits for it either.
    if (!raw.complete && raw.listenerCount('error') > 0) raw.emit('error', httpErrors.fail('request_timeout'));
  });
  raw.once('close', cancel);
}

/** An answer that is not read is given up: its memory is ours. */
function watchReader(deadlines: Deadlines, limits: EdgeLimits, { raw }: FastifyReply): void {
  const cancel = deadlines.in(limits.replyTimeoutMs, () => raw.destroy());
  raw.once('close', cancel);
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
