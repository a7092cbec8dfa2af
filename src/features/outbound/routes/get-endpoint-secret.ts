import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointParams } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** The secret that signs for an endpoint, and during a rotation the one before; ours. */
export function getEndpointSecretRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/endpoints/:id/secret',
    summary: 'Get the secret of an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    params: endpointParams,
    query: z.strictObject({}),
    errors: ['unknown_endpoint'],
    async handle(request) {
      const [secret, previous] = await outbound.endpoints.secrets(environmentOf(request).id, request.params.id);
      return { body: { data: { secret, previous_secret: previous ?? null } } };
    },
  });
}
