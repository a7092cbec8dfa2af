import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { toWire } from '../wire.ts';
import type { IntegrationRouteDeps } from './index.ts';

/** All integrations; with a connect session those it allows. */
export function listIntegrationsRoute({ integrations, serverUrl }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/integrations',
    summary: 'List the integrations of the environment',
    auth: { by: 'key-or-session', anyOf: ENVIRONMENT_SCOPES.integrationsList },
    query: z.strictObject({}),
    errors: [],
    async handle(request) {
      const { principal } = request;
      const allowed = principal.kind === 'session' ? principal.session.allowedIntegrations : undefined;
      const all = await integrations.list(environmentOf(request).id);
      const visible = all.filter((integration) => allowed === undefined || allowed.includes(integration.uniqueKey));
      return { body: { data: visible.map((integration) => toWire(integration, serverUrl())) } };
    },
  });
}
