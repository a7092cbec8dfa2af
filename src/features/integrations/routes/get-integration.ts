import { z } from 'zod';
import { defineRoute, environmentOf, grantsScope } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors } from '../errors.ts';
import { credentialsToWire, keyParams, toWire, webhookPath } from '../wire.ts';
import type { IntegrationRouteDeps } from './index.ts';

const include = z.enum(['webhook', 'credentials']);

/** One integration. Credentials are left out silently for a key without that scope. */
export function getIntegrationRoute({ integrations, serverUrl }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/integrations/:uniqueKey',
    summary: 'Get an integration',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsRead },
    params: keyParams,
    query: z.strictObject({ include: z.union([include, z.array(include)]).optional() }),
    errors: ['not_found'],
    async handle(request) {
      const environment = environmentOf(request);
      const integration = await integrations.byKey(environment.id, request.params.uniqueKey);
      if (integration === undefined) throw integrationErrors.fail('not_found');
      const wanted = [request.query.include ?? []].flat();
      const data = toWire(integration, serverUrl());
      if (wanted.includes('webhook')) {
        const sends = integration.provider.webhooks !== undefined;
        data.webhook_url = sends ? serverUrl() + webhookPath(environment, integration.uniqueKey) : null;
      }
      const { principal } = request;
      const mayRead =
        principal.kind === 'key' && grantsScope(principal.scopes, ENVIRONMENT_SCOPES.integrationsCredentials);
      if (wanted.includes('credentials') && mayRead) data.credentials = credentialsToWire(integration);
      return { body: { data } };
    },
  });
}
