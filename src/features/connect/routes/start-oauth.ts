import { z } from 'zod';
import { HawserError } from '../../../base/errors.ts';
import { defineRoute, type RouteReply } from '../../../base/route.ts';
import { errorText } from '../../../base/log.ts';
import type { Assets } from '../assets.ts';
import type { ConnectDeps } from '../deps.ts';
import { errors, socketType } from '../errors.ts';
import { kindOf } from '../page-texts.ts';
import { resultPage } from '../page.ts';
import { readBrowserQuery, type BrowserQuery } from '../query.ts';
import { checkReturnTo, withResult } from '../return-to.ts';
import type { Sockets } from '../sockets.ts';
import { startFlow } from '../start.ts';

/** Sends a browser to the provider (wire contract C.2, C.3), in a popup or, with `return_to`, in the same window. */
export function startOAuthRoute(deps: ConnectDeps, assets: Assets, sockets: Sockets) {
  return defineRoute({
    method: 'GET',
    path: '/oauth/connect/:providerConfigKey',
    summary: 'Send a customer’s browser to the provider',
    auth: { by: 'public', why: 'a browser navigates here; the connect session token is in the query' },
    params: z.object({ providerConfigKey: z.string().min(1).max(255) }),
    query: z.record(z.string(), z.unknown()),
    headers: z.looseObject({ accept: z.string().optional(), 'accept-language': z.string().optional() }),
    errors: ['invalid_query_params', 'integration_not_allowed', 'invalid_auth_mode', 'url_param_err', 'invalid_scope'],
    html: true,
    async handle(request): Promise<RouteReply> {
      const key = request.params.providerConfigKey;
      let query: BrowserQuery | undefined;
      let returnTo: string | undefined;
      try {
        query = readBrowserQuery(request.query);
        const origins = [...deps.returnOrigins, deps.publicUrl().origin];
        returnTo = query.returnTo === undefined ? undefined : checkReturnTo(query.returnTo, origins);
        const started = await startFlow(deps, { key, query, cookie: request.cookie, returnTo });
        return {
          redirect: started.location,
          headers: { 'set-cookie': started.setCookie, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' },
        };
      } catch (thrown) {
        const error = toPublic(deps, thrown);
        const errorType = socketType(error.code);
        if (query?.wsClientId !== undefined) {
          const notice = {
            message_type: 'error',
            provider_config_key: key,
            connection_id: '',
            error_type: errorType,
            error_desc: error.message,
          } as const;
          await sockets.tell(query.wsClientId, notice).catch((failure: unknown) =>
            // The window shows the error too.
            deps.log.warn('the waiting browser could not be told', { error: errorText(failure) }),
          );
        }
        if (returnTo !== undefined) {
          const location = withResult(returnTo, { provider_config_key: key, status: 'error', error: errorType });
          return {
            redirect: location,
            headers: { 'cache-control': 'no-store' },
            isWrongSecret: error.status === 401,
          };
        }
        if (!request.headers.accept?.includes('text/html')) {
          const { code, message, errors: issues } = error;
          return { status: error.status, body: { error: { code, message, ...(issues && { errors: issues }) } } };
        }
        return resultPage(assets, {
          result: {
            ok: false,
            kind: kindOf(error.code),
            errorType,
            message: error.message,
            clientId: query?.wsClientId,
          },
          origin: deps.publicUrl().origin,
          status: error.status,
          acceptLanguage: request.headers['accept-language'],
        });
      }
    },
  });
}

function toPublic(deps: ConnectDeps, thrown: unknown): HawserError {
  if (thrown instanceof HawserError) return thrown;
  deps.log.error('a flow could not be started', { error: errorText(thrown) });
  return errors.fail('server_error', { cause: thrown });
}
