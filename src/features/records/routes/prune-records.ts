import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { connectionHeaders, modelSchema, placeOf, variantSchema } from '../wire.ts';
import type { RecordRouteDeps } from './index.ts';

/** Wire contract B.7. */
const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;

/** Empties payloads that the app has taken; ids, hashes, stamps and cursors stay. */
export function pruneRecordsRoute(deps: RecordRouteDeps) {
  return defineRoute({
    method: 'PATCH',
    path: '/records/prune',
    summary: 'Empty the payloads of records up to and including a cursor',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.recordsWrite },
    headers: connectionHeaders,
    query: z.strictObject({}),
    body: z.strictObject({
      model: modelSchema,
      variant: variantSchema,
      until_cursor: z.string().min(1).max(1_000),
      limit: z.number().int().min(1).max(LIMIT_MAX).optional(),
    }),
    errors: ['unknown_provider_config', 'unknown_connection', 'invalid_cursor'],
    async handle(request) {
      const { body } = request;
      const place = await placeOf(deps, environmentOf(request).id, request.headers, body);
      const { count, hasMore } = await deps.records.prune({
        ...place,
        untilCursor: body.until_cursor,
        limit: body.limit ?? LIMIT_DEFAULT,
      });
      return { body: { count, has_more: hasMore } };
    },
  });
}
