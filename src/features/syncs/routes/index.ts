import type { Route } from '../../../base/route.ts';
import type { Connections } from '../../connections/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Syncs } from '../model.ts';
import { setFrequencyRoute } from './set-frequency.ts';
import { setScheduleRoutes } from './set-schedule.ts';
import { readStatusRoute } from './read-status.ts';
import { triggerSyncRoute } from './trigger-sync.ts';
import { createVariantRoute } from './create-variant.ts';
import { deleteVariantRoute } from './delete-variant.ts';

export interface SyncRouteDeps {
  syncs: Syncs;
  connections: Pick<Connections, 'byPublicId'>;
  integrations: Pick<IntegrationService, 'byKey'>;
}

export function syncRoutes(deps: SyncRouteDeps): Route[] {
  return [
    triggerSyncRoute(deps),
    ...setScheduleRoutes(deps),
    readStatusRoute(deps),
    setFrequencyRoute(deps),
    createVariantRoute(deps),
    deleteVariantRoute(deps),
  ];
}
