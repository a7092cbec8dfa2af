import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { connectionNamed, connectionParams, connectionQuery, urlToWire } from '../wire.ts';
import type { InboundRouteDeps } from './index.ts';

/** The webhook URL of one connection. Who knows it can send events to it: only for keys that may read credentials; ours. */
export function getWebhookUrlRoute(deps: InboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/connections/:connectionId/webhook-url',
    summary: 'Get the webhook URL of a connection',
    auth: { by: 'key', anyOf: [ENVIRONMENT_SCOPES.connectionsCredentials] },
    params: connectionParams,
    query: connectionQuery,
    errors: ['unknown_provider_config', 'unknown_connection'],
    async handle(request) {
      const { integration, connection } = await connectionNamed(deps, environmentOf(request).id, request);
      return { body: urlToWire(await deps.inbound.connectionUrl(integration, connection), true) };
    },
  });
}
