import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { connectionErrors } from '../errors.ts';
import { tagsWithUser } from '../user-tags.ts';
import { checkWebhookUrl } from '../webhook-url.ts';
import { CONNECTION_ID, endUserSchema, readEndUser, tagsSchema, webhookOverrideSchema } from '../wire.ts';
import type { ConnectionRouteDeps } from './index.ts';

/** Changes end user, tags (all replaced) and webhook override. */
export function patchConnectionRoute(deps: ConnectionRouteDeps) {
  const { connections, integrations } = deps;
  return defineRoute({
    method: 'PATCH',
    path: '/connections/:connectionId',
    summary: 'Change end user, tags or webhook override of a connection',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsUpdate },
    params: z.object({ connectionId: CONNECTION_ID }),
    query: z.strictObject({ provider_config_key: PROVIDER_CONFIG_KEY }),
    body: z.strictObject({
      end_user: endUserSchema.optional(),
      tags: tagsSchema.optional(),
      webhook_url_override: webhookOverrideSchema.optional(),
    }),
    errors: ['unknown_provider_config', 'not_found', 'invalid_body'],
    async handle(request) {
      const environmentId = environmentOf(request).id;
      const integration = await integrations.byKey(environmentId, request.query.provider_config_key);
      if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
      const connection = await connections.byPublicId(environmentId, integration.id, request.params.connectionId);
      if (connection === undefined) throw connectionErrors.fail('not_found');
      const { body } = request;
      await checkWebhookUrl(deps, body.webhook_url_override, ['webhook_url_override']);
      const endUser = readEndUser(body.end_user);
      const tags = endUser === undefined ? body.tags : await tagsWithUser(connections, connection, endUser, body.tags);
      await connections.patch({
        environmentId,
        id: connection.id,
        endUser,
        tags,
        webhookUrlOverride: body.webhook_url_override,
      });
      return { body: { success: true } };
    },
  });
}
