import type { Route } from '../../../base/route.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Connections } from '../service.ts';
import type { WebhookUrlDeps } from '../webhook-url.ts';
import { listConnectionsRoutes } from './list-connections.ts';
import { patchConnectionRoute } from './patch-connection.ts';
import { setMetadataRoutes } from './set-metadata.ts';

export interface ConnectionRouteDeps extends WebhookUrlDeps {
  connections: Connections;
  integrations: IntegrationService;
}

/** Routes that need no credential. Reading one, importing and deleting live in the later slices. */
export function connectionRoutes(deps: ConnectionRouteDeps): Route[] {
  return [...listConnectionsRoutes(deps), patchConnectionRoute(deps), ...setMetadataRoutes(deps)];
}
