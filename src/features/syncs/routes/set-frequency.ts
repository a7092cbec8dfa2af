import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { CONNECTION_ID } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { frequencyProblem, parseFrequency } from '../../functions/index.ts';
import { syncErrors } from '../errors.ts';
import { BASE_VARIANT } from '../model.ts';
import type { SyncRouteDeps } from './index.ts';
import { frequencyText } from './read-status.ts';
import { connectionTargetOf } from '../target.ts';

/** Another period for one connection; null goes back to the definition's. */
export function setFrequencyRoute(deps: SyncRouteDeps): Route {
  return defineRoute({
    method: 'PUT',
    path: '/sync/update-connection-frequency',
    summary: 'Set how often a sync runs for one connection',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncsUpdate },
    query: z.strictObject({}),
    body: z.strictObject({
      sync_name: z.string().min(1).max(255),
      sync_variant: z.string().min(1).max(255).optional(),
      provider_config_key: z.string().min(1).max(255),
      connection_id: CONNECTION_ID,
      frequency: z.string().min(1).max(100).nullable(),
    }),
    output: z.object({ frequency: z.string() }),
    errors: ['unknown_provider_config', 'unknown_connection', 'unknown_sync', 'sync_interval_too_short'],
    async handle(request) {
      const { body } = request;
      const problem = body.frequency === null ? undefined : frequencyProblem(body.frequency);
      if (problem !== undefined) throw syncErrors.fail('sync_interval_too_short', { message: problem });
      const periodMs = body.frequency === null ? undefined : parseFrequency(body.frequency);
      const environmentId = environmentOf(request).id;
      const target = await connectionTargetOf(deps, environmentId, body.provider_config_key, body.connection_id);
      const name = { name: body.sync_name, variant: body.sync_variant ?? BASE_VARIANT };
      const inForceMs = await deps.syncs.setPeriod(target, name, periodMs);
      return { body: { frequency: body.frequency ?? frequencyText(inForceMs) } };
    },
  });
}
