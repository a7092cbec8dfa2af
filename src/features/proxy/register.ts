import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isHawserError } from '../../base/errors.ts';
import { errorText } from '../../base/log.ts';
import { grantsScope, type Principal } from '../../base/route.ts';
import { connectionErrors } from '../connections/index.ts';
import type { LiveConnection } from '../credentials/index.ts';
import { integrationErrors } from '../integrations/index.ts';
import { proxyErrors } from './errors.ts';
import { createCallLog } from './activity.ts';
import type { ExchangeDeps, Watched } from './exchange-input.ts';
import { Exchange } from './exchange.ts';
import { CLAIM_SWEEP_INTERVAL_MS, PROXY_LIMITS, WATCH_INTERVAL_MS } from './limits.ts';
import type { ProxyDeps } from './model.ts';
import { createPreparer } from './prepare.ts';
import { readCall, type Call } from './read-call.ts';
import { createRetryGate } from './retry-gate.ts';
import { createSingleUseWrites, usesUpGrant } from './single-use.ts';

const SCOPE = 'environment:proxy';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Mounts `/proxy/*` (wire contract B.11). What it refuses before calling out goes to the error handler of `app`. */
export function registerProxy(app: FastifyInstance, options: ProxyDeps): void {
  const limits = { ...PROXY_LIMITS, ...options.limits };
  const watched = new Set<Watched>();
  const deps: ExchangeDeps = {
    ...options,
    limits,
    watched,
    retryGate: options.retryGate ?? createRetryGate(options.clock),
    preparer: createPreparer(options),
    singleUse: createSingleUseWrites(options, limits),
    callLog: createCallLog(options),
  };
  const stopWatching = deps.clock.every(WATCH_INTERVAL_MS, () => {
    if (watched.size === 0) return;
    const nowMs = deps.clock.monotonicMs();
    for (const exchange of watched) exchange.check(nowMs);
  });

  let sweeping = false;
  const stopSweeping = deps.clock.every(CLAIM_SWEEP_INTERVAL_MS, () => {
    if (sweeping) return;
    sweeping = true;
    deps.singleUse
      .sweep()
      .catch((error: unknown) => deps.log.warn('the sweep of single-use writes failed', { error: errorText(error) }))
      .finally(() => {
        sweeping = false;
      });
  });

  app.addHook('onClose', async () => {
    stopWatching();
    stopSweeping();
    // The callers are gone by now; what a write of theirs has done must still be noted.
    await deps.singleUse.settled();
    deps.callLog.close();
  });
  // `/proxy/` is the address of the provider itself: the router takes its slash for one too many.
  for (const url of ['/proxy/*', '/proxy']) {
    app.route({
      method: METHODS,
      url,
      // In this hook, because behind it Fastify reads content type and body: both pass through untouched.
      onRequest(request, reply, done) {
        const refuse = (error: unknown): void => done(error as Error);
        try {
          handle(request, reply)?.catch(refuse);
        } catch (error) {
          refuse(error);
        }
      },
      handler() {
        throw new Error('the request was taken over before');
      },
    });
  }

  /** Runs without a promise while the key and the connection are in memory. */
  function handle(request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    const principal = deps.principalOf(request);
    if (!(principal instanceof Promise)) return serve(principal, request, reply);
    return principal.then((known) => serve(known, request, reply));
  }

  function serve(principal: Principal, request: FastifyRequest, reply: FastifyReply): void | Promise<void> {
    if (principal.kind !== 'key' || !grantsScope(principal.scopes, SCOPE)) throw proxyErrors.fail('forbidden');
    const call = readCall(request.raw, limits);
    const environmentId = principal.environment.id;
    const live = deps.credentials.peek(environmentId, call.integrationKey, call.connectionId);
    if (live !== undefined) return forward(call, live, request, reply);
    return deps.credentials.live(environmentId, call.integrationKey, call.connectionId).then(
      (loaded) => forward(call, loaded, request, reply),
      (error: unknown) => {
        throw withStatusOfThisRoute(error);
      },
    );
  }

  function forward(call: Call, live: LiveConnection, request: FastifyRequest, reply: FastifyReply): void {
    const singleUse = usesUpGrant(call, live);
    if (singleUse && live.connection.state === 'spent') throw proxyErrors.fail('connection_spent');
    const dispatchable = deps.preparer.prepare(call, live);
    reply.hijack();
    // The caller left while key or connection were looked up: nobody would hear of its end any more.
    if (request.raw.socket.destroyed) return;
    const exchange = new Exchange(deps, {
      call,
      live,
      dispatchable,
      singleUse,
      request: request.raw,
      response: reply.raw,
      ownHeaders: reply.getHeaders(),
    });
    exchange.start();
  }
}

/** The same codes have other statuses here than elsewhere (wire contract A.4, B.11 step 1). */
function withStatusOfThisRoute(error: unknown): unknown {
  if (isHawserError(error, 'unknown_provider_config')) {
    return integrationErrors.fail('unknown_provider_config', { status: 404, cause: error });
  }
  if (isHawserError(error, 'unknown_connection')) {
    return connectionErrors.fail('unknown_connection', { status: 400, cause: error });
  }
  return error;
}
