import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { SyncRouteDeps } from './index.ts';
import { connectionTargetOf, variantBody, variantParams } from '../target.ts';

/** Takes the copy away with its records. */
export function deleteVariantRoute(deps: SyncRouteDeps): Route {
  return defineRoute({
    method: 'DELETE',
    path: '/sync/:name/variant/:variant',
    summary: 'Remove a variant with its records',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncVariantsDelete },
    params: variantParams,
    query: z.strictObject({}),
    body: variantBody,
    output: z.object({ success: z.boolean() }),
    errors: ['unknown_provider_config', 'unknown_connection', 'invalid_variant', 'not_found'],
    async handle(request) {
      const { provider_config_key: key, connection_id: connectionId } = request.body;
      const target = await connectionTargetOf(deps, environmentOf(request).id, key, connectionId);
      await deps.syncs.deleteVariant(target, request.params);
      return { body: { success: true } };
    },
  });
}
