import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { ROTATION_GRACE_MS } from '../limits.ts';
import { endpointParams, endpointToWire, graceHours } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

const HOUR_MS = 3_600_000;

/** Gives an endpoint a new secret; the one before signs as well for a day, or as long as asked for. Ours. */
export function renewEndpointSecretRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'POST',
    path: '/endpoints/:id/rotate',
    summary: 'Rotate the secret of an endpoint',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    params: endpointParams,
    query: z.strictObject({}),
    body: z.strictObject({ grace_hours: graceHours.optional() }).nullish(),
    errors: ['unknown_endpoint'],
    async handle(request) {
      const hours = request.body?.grace_hours;
      const graceMs = hours === undefined ? ROTATION_GRACE_MS : hours * HOUR_MS;
      const rotated = await outbound.endpoints.rotate(environmentOf(request).id, request.params.id, graceMs);
      return { body: { data: { ...endpointToWire(rotated.endpoint), secret: rotated.secret } } };
    },
  });
}
