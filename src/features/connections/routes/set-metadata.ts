import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { connectionErrors } from '../errors.ts';
import { CONNECTION_ID } from '../wire.ts';
import type { ConnectionRouteDeps } from './index.ts';

/** Wire contract J.2: ids a call may name. */
const IDS_MAX = 100;
const metadata = z.record(z.string().max(255), z.unknown());

/** Replaces (POST, 201) or shallowly merges (PATCH, 200) the app's own data on connections; all or nothing. */
export function setMetadataRoutes(deps: ConnectionRouteDeps): Route[] {
  return (['POST', 'PATCH'] as const).flatMap((method) => [
    defineRoute({
      method,
      path: '/connections/metadata',
      summary: method === 'POST' ? 'Replace the metadata of connections' : 'Merge into the metadata of connections',
      auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsUpdate },
      query: z.strictObject({}),
      body: z.strictObject({
        connection_id: z.union([CONNECTION_ID, z.array(CONNECTION_ID).min(1).max(IDS_MAX)]),
        provider_config_key: PROVIDER_CONFIG_KEY,
        metadata,
      }),
      errors: ['unknown_provider_config', 'unknown_connection'],
      async handle(request) {
        const { body } = request;
        const ids = [...new Set([body.connection_id].flat())];
        await write(deps, environmentOf(request).id, body.provider_config_key, ids, body.metadata, method === 'PATCH');
        return { status: method === 'POST' ? 201 : 200, body };
      },
    }),
    defineRoute({
      method,
      path: '/connection/:connectionId/metadata',
      summary: 'Set metadata (deprecated form)',
      auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsUpdate },
      params: z.object({ connectionId: CONNECTION_ID }),
      query: z.object({ provider_config_key: PROVIDER_CONFIG_KEY.optional() }),
      headers: z.object({ 'provider-config-key': PROVIDER_CONFIG_KEY.optional() }),
      body: metadata,
      errors: ['missing_provider_config_key', 'unknown_provider_config', 'unknown_connection'],
      documented: false,
      async handle(request) {
        const key = request.query.provider_config_key ?? request.headers['provider-config-key'];
        if (key === undefined) throw connectionErrors.fail('missing_provider_config_key');
        const ids = [request.params.connectionId];
        await write(deps, environmentOf(request).id, key, ids, request.body, method === 'PATCH');
        return { status: method === 'POST' ? 201 : 200, body: request.body };
      },
    }),
  ]);
}

async function write(
  { connections, integrations }: ConnectionRouteDeps,
  environmentId: number,
  key: string,
  connectionIds: string[],
  value: object,
  merge: boolean,
): Promise<void> {
  const integration = await integrations.byKey(environmentId, key);
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
  const unknown = await connections.setMetadata({
    environmentId,
    integrationId: integration.id,
    connectionIds,
    metadata: value,
    merge,
  });
  if (unknown.length > 0) throw connectionErrors.fail('unknown_connection');
}
