import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { SyncRouteDeps } from './index.ts';
import { connectionTargetOf, variantBody, variantParams } from '../target.ts';

/** What a new variant may be called (wire contract A.6): `name::variant` and lists with commas name it elsewhere. */
const VARIANT = z
  .string()
  .max(255)
  .regex(/^[a-zA-Z0-9_-]+$/, 'Letters, digits, _ and - only.');

/** A named copy of a sync: own schedule, own records. */
export function createVariantRoute(deps: SyncRouteDeps): Route {
  return defineRoute({
    method: 'POST',
    path: '/sync/:name/variant/:variant',
    summary: 'Add a variant of a sync to a connection',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncVariantsCreate },
    params: variantParams.extend({ variant: VARIANT }),
    query: z.strictObject({}),
    body: variantBody,
    output: z.object({ id: z.string(), name: z.string(), variant: z.string() }),
    errors: [
      'unknown_provider_config',
      'unknown_connection',
      'unknown_sync',
      'invalid_variant',
      'sync_variant_already_exists',
      'resource_capped',
    ],
    async handle(request) {
      const { provider_config_key: key, connection_id: connectionId } = request.body;
      const target = await connectionTargetOf(deps, environmentOf(request).id, key, connectionId);
      const created = await deps.syncs.createVariant(target, request.params);
      return { body: { id: created.uuid, name: request.params.name, variant: created.variant } };
    },
  });
}
