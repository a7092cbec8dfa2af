import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { keyParams } from '../wire.ts';
import type { IntegrationRouteDeps } from './index.ts';

/** Deletes the integration and lets go of its connections, at the provider too. */
export function deleteIntegrationRoute({ integrations, releaseConnections }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'DELETE',
    path: '/integrations/:uniqueKey',
    summary: 'Delete an integration and its connections',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsDelete },
    params: keyParams,
    query: z.strictObject({}),
    errors: ['not_found'],
    async handle(request) {
      await integrations.remove(environmentOf(request).id, request.params.uniqueKey, releaseConnections);
      return { body: { success: true } };
    },
  });
}
