import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { deliveryFilter, deliveryId, deliveryToWire, readFilter } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

const LIMIT_MAX = 100;
const LIMIT_DEFAULT = 20;

/** Deliveries, newest first; ours. */
export function listDeliveriesRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/deliveries',
    summary: 'List deliveries of events, newest first',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deliveriesRead },
    query: z.strictObject({
      ...deliveryFilter,
      /** `true`: tried without success, or given up. */
      failing: z.literal('true').optional(),
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
      cursor: deliveryId.optional(),
    }),
    errors: [],
    async handle(request) {
      const { query } = request;
      const limit = query.limit ?? LIMIT_DEFAULT;
      const filter = { ...readFilter(environmentOf(request).id, query), failing: query.failing === 'true' };
      const before = query.cursor === undefined ? undefined : Number(query.cursor);
      const found = await outbound.deliveries.list(filter, { limit: limit + 1, before });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return {
        body: {
          deliveries: page.map(deliveryToWire),
          next_cursor: found.length > limit && last !== undefined ? String(last.id) : null,
        },
      };
    },
  });
}
