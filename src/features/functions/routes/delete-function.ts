import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { functionErrors } from '../errors.ts';
import { FUNCTION_TYPE, functionParams } from '../wire.ts';
import { functionOf, type FunctionRouteDeps } from '../find.ts';

/** Deletes a function that no project manages. */
export function deleteFunctionRoute(deps: FunctionRouteDeps) {
  return defineRoute({
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
}
