import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { deliveryId } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** Sends a delivery again, now, under the same id; ours. */
export function replayDeliveryRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/deliveries/:id/replay',
    summary: 'Send a delivery again',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deliveriesWrite },
    params: z.object({ id: deliveryId }),
    query: z.strictObject({}),
    errors: ['unknown_delivery', 'endpoint_disabled', 'delivery_parked'],
    async handle(request) {
      await outbound.deliveries.replay(environmentOf(request).id, Number(request.params.id));
      return { body: { success: true } };
    },
  });
}
