import type { Route } from '../../../base/route.ts';
import type { Database } from '../../../platform/postgres/index.ts';
import type { Outbound } from '../service.ts';
import { createEndpointRoute } from './create-endpoint.ts';
import { patchEndpointRoute } from './patch-endpoint.ts';
import { patchSettingsRoute } from './patch-settings.ts';
import { getDeliveryRoute } from './get-delivery.ts';
import { getEndpointRoute } from './get-endpoint.ts';
import { getEndpointSecretRoute } from './get-endpoint-secret.ts';
import { getSettingsRoute } from './get-settings.ts';
import { listDeliveriesRoute } from './list-deliveries.ts';
import { listEndpointsRoute } from './list-endpoints.ts';
import { deleteEndpointRoute } from './delete-endpoint.ts';
import { replayDeliveriesRoute } from './replay-deliveries.ts';
import { replayDeliveryRoute } from './replay-delivery.ts';
import { renewEndpointSecretRoute } from './renew-endpoint-secret.ts';
import { renewSigningKeyRoute } from './renew-signing-key.ts';
import { checkEndpointRoute } from './check-endpoint.ts';

export interface OutboundRouteDeps {
  db: Database;
  outbound: Pick<Outbound, 'endpoints' | 'deliveries'>;
}

export function outboundRoutes(deps: OutboundRouteDeps): Route[] {
  return [
    listEndpointsRoute(deps),
    createEndpointRoute(deps),
    getSettingsRoute(deps),
    patchSettingsRoute(deps),
    getEndpointRoute(deps),
    patchEndpointRoute(deps),
    deleteEndpointRoute(deps),
    getEndpointSecretRoute(deps),
    renewEndpointSecretRoute(deps),
    checkEndpointRoute(deps),
    renewSigningKeyRoute(deps),
    listDeliveriesRoute(deps),
    replayDeliveriesRoute(deps),
    getDeliveryRoute(deps),
    replayDeliveryRoute(deps),
  ];
}
