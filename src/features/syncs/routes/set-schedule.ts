import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { CONNECTION_ID } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { SyncRouteDeps } from './index.ts';
import { syncNamesSchema, targetHeaders, targetOf } from '../target.ts';

/** Puts schedules on and off. Pausing cancels what is queued or runs. */
export function setScheduleRoutes(deps: SyncRouteDeps): Route[] {
  return (['start', 'pause'] as const).map((verb) =>
    defineRoute({
      method: 'POST',
      path: `/sync/${verb}`,
      summary: verb === 'start' ? 'Start the schedules of syncs' : 'Pause the schedules of syncs',
      auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncsExecute },
      query: z.strictObject({}),
      body: z.strictObject({
        syncs: syncNamesSchema,
        provider_config_key: z.string().min(1).max(255).optional(),
        connection_id: CONNECTION_ID.optional(),
      }),
      headers: targetHeaders,
      output: z.object({ success: z.boolean() }),
      errors: ['missing_provider_config_key', 'unknown_provider_config', 'unknown_connection', 'no_syncs_found'],
      async handle(request) {
        const { body, headers } = request;
        const target = await targetOf(
          deps,
          environmentOf(request).id,
          body.provider_config_key ?? headers['provider-config-key'],
          body.connection_id ?? headers['connection-id'],
        );
        await deps.syncs[verb](target, body.syncs);
        return { body: { success: true } };
      },
    }),
  );
}
