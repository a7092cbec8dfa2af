import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { RecordRouteDeps } from './index.ts';

/** Deletions that the guard holds back until somebody confirms them. */
export function listHeldRoute({ connections, integrations, records }: RecordRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/records/held',
    summary: 'List deletions that wait to be confirmed',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.recordsRead },
    query: z.strictObject({}),
    errors: [],
    async handle(request) {
      const environmentId = environmentOf(request).id;
      const data = [];
      for (const held of await records.held(environmentId)) {
        const connection = await connections.byId(environmentId, held.connectionId);
        const integration = connection && (await integrations.byId(environmentId, connection.integrationId));
        // Deleted since the list was read.
        if (connection === undefined || integration === undefined) continue;
        const [model, ...rest] = held.model.split('::');
        data.push({
          connection_id: connection.connectionId,
          provider_config_key: integration.uniqueKey,
          model,
          // The name of a variant may hold the separator; that of a model may not.
          variant: rest.length === 0 ? 'base' : rest.join('::'),
          total: held.total,
          missing: held.missing,
          held_at: held.at.toISOString(),
          confirmed: held.confirmed,
        });
      }
      return { body: { data } };
    },
  });
}
