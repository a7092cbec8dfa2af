import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors } from '../errors.ts';
import { createBody, readClient, toWire } from '../wire.ts';
import type { IntegrationRouteDeps } from './index.ts';

/** Sets a provider up. `custom.emulated = "true"` lets the emulator play it. */
export function createIntegrationRoute({ integrations, serverUrl }: IntegrationRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/integrations',
    summary: 'Create an integration',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsCreate },
    query: z.strictObject({}),
    body: createBody,
    errors: ['invalid_body'],
    async handle(request) {
      const { body } = request;
      assertType(body.credentials?.type);
      const integration = await integrations.create(environmentOf(request).id, {
        provider: body.provider,
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

/** Types that some provider of the catalogue takes. */
const SUPPORTED: readonly string[] = ['OAUTH2', 'OAUTH1', 'AWS_SIGV4', 'APP'];

/** The catalogue's providers take client credentials of one type. Errors: `invalid_body`. */
export function assertType(type: string | undefined): void {
  if (type === undefined || SUPPORTED.includes(type)) return;
  throw integrationErrors.fail('invalid_body', {
    message: `Credentials of type ${type} do not fit this provider. Use one of: ${SUPPORTED.join(', ')}.`,
    errors: [{ code: 'custom', message: `Use one of: ${SUPPORTED.join(', ')}.`, path: ['credentials', 'type'] }],
  });
}
