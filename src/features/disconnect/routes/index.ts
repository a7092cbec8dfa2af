import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { CONNECTION_ID, connectionErrors, type Connections } from '../../connections/index.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { integrationErrors, PROVIDER_CONFIG_KEY, type IntegrationService } from '../../integrations/index.ts';
import type { Disconnect } from '../service.ts';

export interface DisconnectRouteDeps {
  integrations: IntegrationService;
  connections: Connections;
  disconnect: Disconnect;
}

/** Lets go of a connection, at the provider too where it can; `DELETE /connection/:id` is the old name. */
export function disconnectRoutes({ integrations, connections, disconnect }: DisconnectRouteDeps): Route[] {
  return ['/connections/:connectionId', '/connection/:connectionId'].map((path) =>
    defineRoute({
      method: 'DELETE',
      path,
      summary: 'Delete a connection and revoke the grant at the provider where it can be',
      auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsDelete },
      params: z.object({ connectionId: CONNECTION_ID }),
      query: z.strictObject({ provider_config_key: PROVIDER_CONFIG_KEY }),
      errors: ['unknown_provider_config', 'unknown_connection'],
      documented: path.startsWith('/connections'),
      async handle(request) {
        const environmentId = environmentOf(request).id;
        const integration = await integrations.byKey(environmentId, request.query.provider_config_key);
        if (integration === undefined) throw integrationErrors.fail('unknown_provider_config');
        const connection = await connections.byPublicId(environmentId, integration.id, request.params.connectionId);
        if (connection === undefined) throw connectionErrors.fail('unknown_connection', { status: 400 });
        const { outcome, detail } = await disconnect.connection(environmentId, connection, integration);
        return { body: { success: true, outcome, ...(detail !== undefined && { detail }) } };
      },
    }),
  );
}
