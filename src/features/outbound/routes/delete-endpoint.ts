import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointParams } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** Removes an endpoint with what waits for it and the record of what it got; ours. */
export function deleteEndpointRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'DELETE',
    path: '/endpoints/:id',
    summary: 'Remove an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    params: endpointParams,
    query: z.strictObject({}),
    errors: ['unknown_endpoint'],
    async handle(request) {
      await outbound.endpoints.remove(environmentOf(request).id, request.params.id);
      return { body: { success: true } };
    },
  });
}
