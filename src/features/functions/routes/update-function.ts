import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { FUNCTION_TYPE, functionParams, functionToWire } from '../wire.ts';
import { functionOf, type FunctionRouteDeps } from '../find.ts';

/** Switches a function off and on (ours). */
export function updateFunctionRoute(deps: FunctionRouteDeps) {
  return defineRoute({
    method: 'PATCH',
    path: '/integrations/:uniqueKey/functions/:name',
    summary: 'Switch a function on or off; a sync stops with it',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.deploy },
    params: functionParams,
    query: z.strictObject({ type: FUNCTION_TYPE.optional() }),
    body: z.strictObject({ enabled: z.boolean() }),
    errors: ['not_found', 'ambiguous_function'],
    async handle(request) {
      const fn = await functionOf(deps, request, request.query.type);
      const { enabled } = request.body;
      return {
        body: { data: functionToWire(fn.enabled === enabled ? fn : await deps.functions.setEnabled(fn, enabled)) },
      };
    },
  });
}
