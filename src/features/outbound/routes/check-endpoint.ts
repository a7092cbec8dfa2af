import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointParams } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** Sends an event of kind `endpoint.test`; ours. */
export function checkEndpointRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/endpoints/:id/test',
    summary: 'Send a test event to an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    params: endpointParams,
    query: z.strictObject({}),
    errors: ['unknown_endpoint', 'endpoint_disabled'],
    async handle(request) {
      await outbound.endpoints.test(environmentOf(request).id, request.params.id);
      return { body: { success: true } };
    },
  });
}
