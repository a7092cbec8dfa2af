import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { functionErrors } from '../errors.ts';
import { FUNCTION_TYPE, functionParams, functionToWire } from '../wire.ts';
import { functionOf, type FunctionRouteDeps } from '../find.ts';

/** Deletes a function that no project manages; switches any function off and on (ours). */
export function changeFunctionRoutes(deps: FunctionRouteDeps): Route[] {
  const remove = defineRoute({
    method: 'DELETE',
    path: '/integrations/:uniqueKey/functions/:name',
    summary: 'Delete a function and the records of its models',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsDelete },
    params: functionParams,
    query: z.strictObject({ type: FUNCTION_TYPE }),
    errors: ['not_found', 'function_managed_by_deploy'],
    async handle(request) {
      const fn = await functionOf(deps, request, request.query.type);
      if (fn.source === 'repo') throw functionErrors.fail('function_managed_by_deploy');
      await deps.functions.remove(fn);
      return { body: { data: { success: true } } };
    },
  });
  const patch = defineRoute({
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
  return [remove, patch];
}
