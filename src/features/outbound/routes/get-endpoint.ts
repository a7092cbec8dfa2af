import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointParams, endpointStatusToWire } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** One endpoint and how it fares; ours. */
export function getEndpointRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/endpoints/:id',
    summary: 'Get an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsRead },
    params: endpointParams,
    query: z.strictObject({}),
    errors: ['unknown_endpoint'],
    async handle(request) {
      const endpoint = await outbound.endpoints.get(environmentOf(request).id, request.params.id);
      return { body: { data: endpointStatusToWire(endpoint) } };
    },
  });
}
