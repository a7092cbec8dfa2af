import type { Route } from '../../../base/route.ts';
import type { Connections } from '../../connections/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Records } from '../model.ts';
import { confirmDeletionRoute } from './confirm-deletion.ts';
import { listHeldRoute } from './list-held.ts';
import { listRecordsRoute } from './list-records.ts';
import { pruneRecordsRoute } from './prune-records.ts';

export interface RecordRouteDeps {
  connections: Pick<Connections, 'byId' | 'byPublicId'>;
  integrations: Pick<IntegrationService, 'byId' | 'byKey'>;
  records: Records;
}

export function recordRoutes(deps: RecordRouteDeps): Route[] {
  return [listRecordsRoute(deps), pruneRecordsRoute(deps), listHeldRoute(deps), confirmDeletionRoute(deps)];
}
