import type { Route } from '../../../base/route.ts';
import type { Database } from '../../../platform/postgres/index.ts';
import type { Connections } from '../../connections/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Runs } from '../model.ts';
import { cancelRunRoute } from './cancel-run.ts';
import { getRunRoute } from './get-run.ts';
import { listRunLogsRoute } from './list-run-logs.ts';
import { listRunsRoute } from './list-runs.ts';
import { listVariablesRoute } from './list-variables.ts';
import { deleteVariableRoute } from './delete-variable.ts';
import { setVariableRoute } from './set-variable.ts';

export interface RunRouteDeps {
  db: Database;
  runs: Runs;
  integrations: Pick<IntegrationService, 'byKey' | 'byId'>;
  connections: Pick<Connections, 'byId' | 'byPublicId'>;
}

export function runRoutes(deps: RunRouteDeps): Route[] {
  return [
    listRunsRoute(deps),
    getRunRoute(deps),
    listRunLogsRoute(deps),
    cancelRunRoute(deps),
    listVariablesRoute(deps),
    setVariableRoute(deps),
    deleteVariableRoute(deps),
  ];
}
