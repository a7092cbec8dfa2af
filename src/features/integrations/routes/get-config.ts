import { z } from 'zod';
import { defineRoute, environmentOf, grantsScope } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors } from '../errors.ts';
import { keyParams } from '../wire.ts';
import type { IntegrationRouteDeps } from './index.ts';

/** Old alias that early client versions still call (wire contract B.3, K.1). */
export function getConfigRoute({ integrations }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/config/:uniqueKey',
    summary: 'Get an integration (deprecated form)',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsRead },
    params: keyParams,
    query: z.strictObject({ include_creds: z.enum(['true', 'false']).optional() }),
    errors: ['unknown_provider_config'],
    documented: false,
    async handle(request) {
      const integration = await integrations.byKey(environmentOf(request).id, request.params.uniqueKey);
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      const { principal, query } = request;
      const mayRead =
        principal.kind === 'key' && grantsScope(principal.scopes, ENVIRONMENT_SCOPES.integrationsCredentials);
      const client = query.include_creds === 'true' && mayRead ? integration.client : undefined;
      return {
        body: {
          config: {
            unique_key: integration.uniqueKey,
            provider: integration.provider.name,
            ...(client && {
              client_id: client.clientId,
              client_secret: client.clientSecret,
              scopes: client.scopes.join(','),
              app_link: client.appLink ?? null,
              webhook_secret: client.webhookSecret ?? null,
            }),
          },
        },
      };
    },
  });
}
