import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { attemptToWire, deliveryId, deliveryToWire } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** One delivery with its body and its latest tries; ours. */
export function getDeliveryRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/deliveries/:id',
    summary: 'Get a delivery with its body and attempts',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deliveriesRead },
    params: z.object({ id: deliveryId }),
    query: z.strictObject({}),
    errors: ['unknown_delivery'],
    async handle(request) {
      const id = Number(request.params.id);
      const { delivery, body, attempts } = await outbound.deliveries.get(environmentOf(request).id, id);
      return {
        body: { data: { ...deliveryToWire(delivery), body: body ?? null, tries: attempts.map(attemptToWire) } },
      };
    },
  });
}
