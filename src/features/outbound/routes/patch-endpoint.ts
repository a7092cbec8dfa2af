import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointKinds, endpointParams, endpointToWire, endpointUrl } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** Changes URL, description, kinds; disables, or enables and sends what has waited. Ours. */
export function patchEndpointRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'PATCH',
    path: '/endpoints/:id',
    summary: 'Change, disable or enable an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    params: endpointParams,
    query: z.strictObject({}),
    body: z.strictObject({
      url: endpointUrl.optional(),
      description: z.string().max(500).optional(),
      /** Null: every kind but the feed of records. */
      kinds: endpointKinds.nullable().optional(),
      enabled: z.boolean().optional(),
    }),
    errors: ['unknown_endpoint', 'endpoint_exists', 'egress_refused', 'egress_unresolved'],
    async handle(request) {
      const endpoint = await outbound.endpoints.change(environmentOf(request).id, request.params.id, request.body);
      return { body: { data: endpointToWire(endpoint) } };
    },
  });
}
