import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { CONNECTION_ID, connectionErrors } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import type { InboundRouteDeps } from './index.ts';

/** The webhook URL of one connection. Who knows it can send events to it: only for keys that may read credentials; ours. */
export function getWebhookUrlRoute({ inbound, integrations, connections }: InboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/connections/:connectionId/webhook-url',
    summary: 'Get the webhook URL of a connection',
    auth: { by: 'key', anyOf: [ENVIRONMENT_SCOPES.connectionsCredentials] },
    params: z.object({ connectionId: CONNECTION_ID }),
    query: z.strictObject({ provider_config_key: PROVIDER_CONFIG_KEY }),
    errors: ['unknown_provider_config', 'unknown_connection'],
    async handle(request) {
      const environmentId = environmentOf(request).id;
      const integration = await integrations.byKey(environmentId, request.query.provider_config_key);
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      const connection = await connections.byPublicId(environmentId, integration.id, request.params.connectionId);
      if (connection === undefined) throw connectionErrors.fail('unknown_connection');
      return { body: { webhook_url: await inbound.connectionUrl(integration, connection) } };
    },
  });
}
