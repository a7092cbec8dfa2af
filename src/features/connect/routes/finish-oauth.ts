import { z } from 'zod';
import { defineRoute, type Route, type RouteReply } from '../../../base/route.ts';
import type { Assets } from '../assets.ts';
import type { ConnectDeps } from '../deps.ts';
import { finishFlow } from '../finish.ts';
import { kindOf } from '../page-texts.ts';
import { resultPage } from '../page.ts';
import { withResult } from '../return-to.ts';
import type { Sockets } from '../sockets.ts';

/** Codes of providers that change what the person is told; others are covered by our own type. */
const PERSONAL = ['access_denied', 'invalid_client'];

/** Takes the provider's answer, of an authorization and of an installation (wire contract C.3). */
export function finishOAuthRoutes(deps: ConnectDeps, assets: Assets, sockets: Sockets): Route[] {
  return ['/oauth/callback', '/app-auth/connect'].map((path) => finishRoute(deps, assets, sockets, path));
}

function finishRoute(deps: ConnectDeps, assets: Assets, sockets: Sockets, path: string): Route {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Take the answer of a provider',
    auth: { by: 'public', why: 'the provider sends the browser here; the state and the browser cookie are checked' },
    query: z.record(z.string(), z.unknown()),
    headers: z.looseObject({ 'accept-language': z.string().optional() }),
    errors: ['state_err', 'state_cookie_err', 'callback_err', 'token_err'],
    html: true,
    async handle(request): Promise<RouteReply> {
      const query = toSearchParams(request.query);
      const finish = await finishFlow(deps, { query, cookie: request.cookie }, (to, notice) =>
        sockets.tell(to, notice),
      );
      const { provider_config_key: key, connection_id: connectionId } = finish.notice;
      if (finish.returnTo !== undefined) {
        const result: Record<string, string> = finish.ok
          ? { provider_config_key: key, connection_id: connectionId, status: 'success' }
          : {
              provider_config_key: key,
              status: 'error',
              error: PERSONAL.find((code) => code === finish.notice.provider_error) ?? finish.notice.error_type,
            };
        return { redirect: withResult(finish.returnTo, result), headers: { 'cache-control': 'no-store' } };
      }
      return resultPage(assets, {
        result: finish.ok
          ? { ok: true, kind: 'success', providerConfigKey: key, connectionId, clientId: finish.wsClientId }
          : {
              ok: false,
              kind: kindOf(finish.error.code, finish.notice.provider_error),
              errorType: finish.notice.error_type,
              message: finish.notice.error_desc,
              providerError: finish.notice.provider_error,
              clientId: finish.wsClientId,
            },
        origin: deps.publicUrl().origin,
        status: finish.ok ? 200 : finish.error.status,
        acceptLanguage: request.headers['accept-language'],
      });
    },
  });
}

/** The query as it came; a parameter given twice stays so, and is refused where it matters. */
function toSearchParams(query: Record<string, unknown>): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (typeof one === 'string') params.append(name, one);
  }
  return params;
}
