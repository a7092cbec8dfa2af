import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointKinds, endpointToWire, endpointUrl } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

const DESCRIPTION_LENGTH_MAX = 500;

/** Adds an endpoint; its secret is in the answer. Ours. */
export function createEndpointRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/endpoints',
    summary: 'Add an endpoint that gets events',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    query: z.strictObject({}),
    body: z.strictObject({
      url: endpointUrl,
      description: z.string().max(DESCRIPTION_LENGTH_MAX).optional(),
      kinds: endpointKinds.optional(),
    }),
    errors: ['too_many_endpoints', 'egress_refused', 'egress_unresolved'],
    async handle(request) {
      const { endpoint, secret } = await outbound.endpoints.add(environmentOf(request).id, request.body);
      return { status: 201, body: { data: { ...endpointToWire(endpoint), secret } } };
    },
  });
}
