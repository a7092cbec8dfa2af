import type { Route } from '../../../base/route.ts';
import type { FunctionRouteDeps } from '../find.ts';
import { changeFunctionRoutes } from './change-function.ts';
import { deployRoutes } from './deploy.ts';
import { getFunctionRoutes } from './get-function.ts';
import { listFunctionsRoute } from './list-functions.ts';
import { scriptsConfigRoute } from './scripts-config.ts';

export function functionRoutes(deps: FunctionRouteDeps): Route[] {
  return [
    ...deployRoutes(deps),
    listFunctionsRoute(deps),
    ...getFunctionRoutes(deps),
    ...changeFunctionRoutes(deps),
    scriptsConfigRoute(deps),
  ];
}
