import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { deliveryFilter, readFilter } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** Sends again what the filter names, now, under the same ids; ours. At least one condition has to be given. */
export function replayDeliveriesRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/deliveries/replay',
    summary: 'Send many deliveries again',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deliveriesWrite },
    query: z.strictObject({}),
    body: z.strictObject(deliveryFilter).refine((body) => Object.keys(body).length > 0, {
      message: 'Say which: an endpoint, a kind, a connection, a state or a time.',
    }),
    errors: [],
    async handle(request) {
      const count = await outbound.deliveries.replayAll(readFilter(environmentOf(request).id, request.body));
      return { body: { success: true, replayed: count } };
    },
  });
}
