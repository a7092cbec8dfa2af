import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { recordErrors } from '../errors.ts';
import { connectionHeaders, modelSchema, placeOf, variantSchema } from '../wire.ts';
import type { RecordRouteDeps } from './index.ts';

/** A person says that a held deletion is right: the next run of the sync deletes. */
export function confirmDeletionRoute(deps: RecordRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/records/confirm-deletion',
    summary: 'Let the next run delete what was held back',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.recordsWrite },
    headers: connectionHeaders,
    query: z.strictObject({}),
    body: z.strictObject({ model: modelSchema, variant: variantSchema }),
    errors: ['unknown_provider_config', 'unknown_connection', 'no_held_deletion'],
    async handle(request) {
      const place = await placeOf(deps, environmentOf(request).id, request.headers, request.body);
      if (!(await deps.records.confirmDeletion(place))) throw recordErrors.fail('no_held_deletion');
      return { body: { success: true } };
    },
  });
}
