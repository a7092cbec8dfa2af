import type { Route } from '../../../base/route.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Connections } from '../../connections/index.ts';
import type { Inbound } from '../service.ts';
import { getInboundEventRoute } from './get-inbound-event.ts';
import { getWebhookUrlRoute } from './get-webhook-url.ts';
import { listInboundEventsRoute } from './list-inbound-events.ts';
import { replayInboundEventsRoute } from './replay-inbound-events.ts';
import { renewWebhookUrlRoute } from './renew-webhook-url.ts';

export interface InboundRouteDeps {
  inbound: Inbound;
  integrations: Pick<IntegrationService, 'byKey'>;
  connections: Pick<Connections, 'byPublicId'>;
}

export function inboundRoutes(deps: InboundRouteDeps): Route[] {
  return [
    listInboundEventsRoute(deps),
    getInboundEventRoute(deps),
    replayInboundEventsRoute(deps),
    getWebhookUrlRoute(deps),
    renewWebhookUrlRoute(deps),
  ];
}
