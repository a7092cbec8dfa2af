import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { inboundErrors } from '../errors.ts';
import { eventToWire } from '../wire.ts';
import type { InboundRouteDeps } from './index.ts';

/** One webhook with its body, without the secrets in it; ours. */
export function getInboundEventRoute({ inbound }: InboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/inbound-events/:id',
    summary: 'Get a webhook as received',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.inboundRead },
    params: z.object({ id: z.uuid() }),
    query: z.strictObject({}),
    errors: ['unknown_inbound_event'],
    async handle(request) {
      const found = await inbound.read(environmentOf(request).id, request.params.id);
      if (found === undefined) throw inboundErrors.fail('unknown_inbound_event');
      return { body: { data: { ...eventToWire(found.event), body: found.body } } };
    },
  });
}
