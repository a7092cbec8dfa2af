import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { CONNECTION_ID } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { syncErrors } from '../errors.ts';
import type { TriggerMode } from '../model.ts';
import type { SyncRouteDeps } from './index.ts';
import { syncNamesSchema, targetHeaders, targetOf } from '../target.ts';

const body = z.strictObject({
  syncs: syncNamesSchema,
  provider_config_key: z.string().min(1).max(255).optional(),
  connection_id: CONNECTION_ID.optional(),
  opts: z.strictObject({ reset: z.boolean().optional(), emptyCache: z.boolean().optional() }).optional(),
  sync_mode: z.enum(['incremental', 'full_refresh', 'full_refresh_and_clear_cache']).optional(),
  full_resync: z.boolean().optional(),
});

/** Runs syncs now. A sync that is running already, or waits to, is left as it is unless it is reset. */
export function triggerSyncRoute(deps: SyncRouteDeps): Route {
  return defineRoute({
    method: 'POST',
    path: '/sync/trigger',
    summary: 'Run syncs now',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.syncsExecute },
    query: z.strictObject({}),
    body,
    headers: targetHeaders,
    output: z.object({ success: z.boolean() }),
    errors: ['missing_provider_config_key', 'unknown_provider_config', 'unknown_connection', 'no_syncs_found'],
    async handle(request) {
      const { body: asked, headers } = request;
      const mode = readMode(asked);
      const target = await targetOf(
        deps,
        environmentOf(request).id,
        asked.provider_config_key ?? headers['provider-config-key'],
        asked.connection_id ?? headers['connection-id'],
      );
      await deps.syncs.trigger(target, asked.syncs, mode);
      return { body: { success: true } };
    },
  });
}

/** Errors: `invalid_body` when the old and the new way of saying it are mixed. */
function readMode({ opts, sync_mode: mode, full_resync: full }: z.output<typeof body>): TriggerMode {
  if (opts !== undefined && (mode !== undefined || full !== undefined)) {
    throw syncErrors.fail('invalid_body', {
      errors: [
        { code: 'custom', message: 'Give `opts`, or `sync_mode`, or `full_resync`; not several.', path: ['opts'] },
      ],
    });
  }
  const reset = opts?.reset === true || full === true || (mode !== undefined && mode !== 'incremental');
  return { reset, emptyCache: reset && (opts?.emptyCache === true || mode === 'full_refresh_and_clear_cache') };
}
