import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { keyParams, readClient, toWire, updateBody } from '../wire.ts';
import { assertType } from './create-integration.ts';
import type { IntegrationRouteDeps } from './index.ts';

/** Changes what is given; renaming is refused while connections exist. */
export function updateIntegrationRoute({ integrations, serverUrl }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'PATCH',
    path: '/integrations/:uniqueKey',
    summary: 'Update an integration',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsUpdate },
    params: keyParams,
    query: z.strictObject({}),
    body: updateBody,
    errors: ['invalid_body', 'not_found'],
    async handle(request) {
      const { body } = request;
      assertType(body.credentials?.type);
      const integration = await integrations.update(environmentOf(request).id, request.params.uniqueKey, {
        uniqueKey: body.unique_key,
        displayName: body.display_name,
        client: readClient(body.credentials),
        integrationConfig: body.integration_config,
        custom: body.custom,
        forwardWebhooks: body.forward_webhooks,
      });
      return { body: { data: toWire(integration, serverUrl()) } };
    },
  });
}
