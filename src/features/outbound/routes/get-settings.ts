import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { settingsToWire } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

/** What an environment is told of (wire contract D.1); ours. */
export function getSettingsRoute({ db, outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/endpoints/settings',
    summary: 'Get primary and secondary URL and the switches of events',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsRead },
    query: z.strictObject({}),
    errors: [],
    async handle(request) {
      const { id } = environmentOf(request);
      const [settings, endpoints] = [await outbound.endpoints.settings(db, id), await outbound.endpoints.list(id)];
      return { body: { data: settingsToWire(settings, endpoints) } };
    },
  });
}
