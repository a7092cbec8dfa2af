import type { Route } from '../../../base/route.ts';
import type { Sql } from '../../../platform/postgres/index.ts';
import type { Integration } from '../model.ts';
import type { IntegrationService } from '../service.ts';
import { createIntegrationRoute } from './create-integration.ts';
import { createQuickstartRoute } from './create-quickstart.ts';
import { deleteIntegrationRoute } from './delete-integration.ts';
import { getConfigRoute } from './get-config.ts';
import { getIntegrationRoute } from './get-integration.ts';
import { listIntegrationsRoute } from './list-integrations.ts';
import { updateIntegrationRoute } from './update-integration.ts';

export interface IntegrationRouteDeps {
  integrations: IntegrationService;
  /** Public URL, no trailing slash. */
  serverUrl: () => string;
  /** Lets go of all connections of an integration that is being deleted. */
  releaseConnections: (tx: Sql, integration: Integration) => Promise<void>;
}

export function integrationRoutes(deps: IntegrationRouteDeps): Route[] {
  return [
    listIntegrationsRoute(deps),
    getIntegrationRoute(deps),
    createIntegrationRoute(deps),
    createQuickstartRoute(),
    updateIntegrationRoute(deps),
    deleteIntegrationRoute(deps),
    getConfigRoute(deps),
  ];
}
