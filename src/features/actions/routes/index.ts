import type { Route } from '../../../base/route.ts';
import type { Functions } from '../../functions/index.ts';
import type { IntegrationService } from '../../integrations/index.ts';
import type { Runs } from '../../runs/index.ts';
import type { Actions } from '../model.ts';
import { getActionRoute } from './get-action.ts';
import { triggerActionRoute } from './start-action.ts';

export interface ActionRouteDeps {
  actions: Actions;
  runs: Pick<Runs, 'byUuid' | 'result'>;
  functions: Pick<Functions, 'list'>;
  integrations: Pick<IntegrationService, 'byKey'>;
}

export function actionRoutes(deps: ActionRouteDeps): Route[] {
  return [triggerActionRoute(deps), getActionRoute(deps)];
}
