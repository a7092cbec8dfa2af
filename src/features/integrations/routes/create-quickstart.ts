import { defineRoute } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors } from '../errors.ts';

/** A vendor's shared developer app does not exist in a self-hosted product (wire contract B.3). */
export function createQuickstartRoute() {
  return defineRoute({
    method: 'POST',
    path: '/integrations/quickstart',
    summary: 'Create an integration from a shared app (not offered when self-hosted)',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.integrationsCreate },
    errors: ['invalid_body'],
    handle() {
      throw integrationErrors.fail('invalid_body', {
        message:
          'A self-hosted Hawser has no shared developer apps. Create the integration with your own client id and secret, or an emulated one with custom.emulated = "true".',
      });
    },
  });
}
