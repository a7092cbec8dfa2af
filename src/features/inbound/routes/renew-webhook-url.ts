import { z } from 'zod';
import { defineRoute, environmentOf, grantsScope } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { URL_GRACE_HOURS, URL_GRACE_HOURS_MAX } from '../limits.ts';
import { connectionNamed, connectionParams, connectionQuery, urlToWire } from '../wire.ts';
import type { InboundRouteDeps } from './index.ts';

const HOUR_MS = 3_600_000;

/** Gives a connection another webhook URL; the one before is good as well for a day, or as long as asked for. Ours. */
export function renewWebhookUrlRoute(deps: InboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/connections/:connectionId/webhook-url/rotate',
    summary: 'Rotate the webhook URL of a connection',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsUpdate },
    params: connectionParams,
    query: connectionQuery,
    body: z.strictObject({ grace_hours: z.number().min(0).max(URL_GRACE_HOURS_MAX).optional() }).nullish(),
    errors: ['unknown_provider_config', 'unknown_connection'],
    async handle(request) {
      const { principal } = request;
      const { integration, connection } = await connectionNamed(deps, environmentOf(request).id, request);
      const graceMs = (request.body?.grace_hours ?? URL_GRACE_HOURS) * HOUR_MS;
      const rotated = await deps.inbound.rotateConnectionUrl(integration, connection, graceMs);
      // Who knows the URL can send to it.
      const mayRead =
        principal.kind === 'key' && grantsScope(principal.scopes, ENVIRONMENT_SCOPES.connectionsCredentials);
      return { body: urlToWire(rotated, mayRead) };
    },
  });
}
