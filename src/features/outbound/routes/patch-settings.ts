import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { endpointUrl, settingsToWire } from '../wire.ts';
import type { OutboundRouteDeps } from './index.ts';

const url = z.union([z.literal(''), endpointUrl]);

/** Changes what is given; an empty URL removes its endpoint. Ours. */
export function patchSettingsRoute({ db, outbound }: OutboundRouteDeps) {
  return defineRoute({
    method: 'PATCH',
    path: '/endpoints/settings',
    summary: 'Change primary and secondary URL and the switches of events',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.endpointsWrite },
    query: z.strictObject({}),
    body: z.strictObject({
      primary_url: url.optional(),
      secondary_url: url.optional(),
      on_auth_creation: z.boolean().optional(),
      on_auth_refresh_error: z.boolean().optional(),
      on_sync_completion_always: z.boolean().optional(),
      on_sync_error: z.boolean().optional(),
      on_async_action_completion: z.boolean().optional(),
    }),
    errors: ['too_many_endpoints', 'endpoint_exists', 'egress_refused', 'egress_unresolved'],
    async handle(request) {
      const { id } = environmentOf(request);
      const { body } = request;
      const switches = {
        onAuthCreation: body.on_auth_creation,
        onAuthRefreshError: body.on_auth_refresh_error,
        onSyncCompletionAlways: body.on_sync_completion_always,
        onSyncError: body.on_sync_error,
        onAsyncActionCompletion: body.on_async_action_completion,
      };
      const given = Object.entries(switches).filter(([, value]) => value !== undefined);
      await outbound.endpoints.changeSettings(id, {
        primaryUrl: body.primary_url,
        secondaryUrl: body.secondary_url,
        ...(Object.fromEntries(given) as Partial<Record<keyof typeof switches, boolean>>),
      });
      const [settings, endpoints] = [await outbound.endpoints.settings(db, id), await outbound.endpoints.list(id)];
      return { body: { data: settingsToWire(settings, endpoints) } };
    },
  });
}
