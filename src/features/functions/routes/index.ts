import type { Route } from '../../../base/route.ts';
import type { FunctionRouteDeps } from '../find.ts';
import { deleteFunctionRoute } from './delete-function.ts';
import { getFunctionRoutes } from './get-function.ts';
import { listFunctionsRoute } from './list-functions.ts';
import { listScriptsRoute } from './list-scripts.ts';
import { submitCodeRoutes } from './submit-code.ts';
import { deployRoutes } from './submit-deploy.ts';
import { updateFunctionRoute } from './update-function.ts';

export function functionRoutes(deps: FunctionRouteDeps): Route[] {
  return [
    ...deployRoutes(deps),
    listFunctionsRoute(deps),
    ...getFunctionRoutes(deps),
    deleteFunctionRoute(deps),
    updateFunctionRoute(deps),
    listScriptsRoute(deps),
    ...submitCodeRoutes(deps),
  ];
}
