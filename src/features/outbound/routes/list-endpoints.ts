import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointStatusToWire } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** The URLs of the app that get events; ours. Those of connections are among them. */
export function listEndpointsRoute({ outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/endpoints',
    summary: 'List the endpoints that get events',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsRead },
    query: z.strictObject({}),
    errors: [],
    async handle(request) {
      const endpoints = await outbound.endpoints.list(environmentOf(request).id);
      return { body: { endpoints: endpoints.map(endpointStatusToWire) } };
    },
  });
}
