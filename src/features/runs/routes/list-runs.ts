import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { CONNECTION_ID, connectionErrors } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { runsToWire } from '../wire.ts';
import type { RunRouteDeps } from './index.ts';

const LIMIT_MAX = 100;
const LIMIT_DEFAULT = 20;

/** Runs, newest first; ours. */
export function listRunsRoute(deps: RunRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/runs',
    summary: 'List runs of functions, newest first',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.runsRead },
    query: z
      .strictObject({
        provider_config_key: PROVIDER_CONFIG_KEY.optional(),
        connection_id: CONNECTION_ID.optional(),
        state: z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']).optional(),
        limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
        cursor: z
          .string()
          .regex(/^[1-9][0-9]{0,15}$/, 'The cursor of a run.')
          .optional(),
      })
      .refine((query) => query.connection_id === undefined || query.provider_config_key !== undefined, {
        message: 'A connection is named together with its integration.',
        path: ['provider_config_key'],
      }),
    errors: ['unknown_provider_config', 'unknown_connection'],
    async handle(request) {
      const { query } = request;
      const environmentId = environmentOf(request).id;
      let integrationId: number | undefined;
      let connectionId: number | undefined;
      if (query.provider_config_key !== undefined) {
        const integration = await deps.integrations.byKey(environmentId, query.provider_config_key);
        if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
        integrationId = integration.id;
        if (query.connection_id !== undefined) {
          const connection = await deps.connections.byPublicId(environmentId, integration.id, query.connection_id);
          if (connection === undefined) throw connectionErrors.fail('unknown_connection');
          connectionId = connection.id;
        }
      }
      const limit = query.limit ?? LIMIT_DEFAULT;
      const runs = await deps.runs.list({
        environmentId,
        limit: limit + 1,
        ...(integrationId !== undefined && { integrationId }),
        ...(connectionId !== undefined && { connectionId }),
        ...(query.state !== undefined && { state: query.state }),
        ...(query.cursor !== undefined && { before: Number(query.cursor) }),
      });
      const page = runs.slice(0, limit);
      const last = page.at(-1);
      return {
        body: {
          runs: await runsToWire(deps, page),
          next_cursor: runs.length > limit && last !== undefined ? String(last.id) : null,
        },
      };
    },
  });
}
