import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { runErrors } from '../errors.ts';
import type { RunRouteDeps } from './index.ts';
import { VARIABLE_NAME } from './set-variable.ts';

/** Removes a variable; ours. */
export function deleteVariableRoute({ runs }: RunRouteDeps) {
  return defineRoute({
    method: 'DELETE',
    path: '/environment-variables/:name',
    summary: 'Remove an environment variable of functions',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.variablesWrite },
    params: z.object({ name: VARIABLE_NAME }),
    query: z.strictObject({}),
    errors: ['not_found'],
    async handle(request) {
      const removed = await runs.variables.remove(environmentOf(request).id, request.params.name);
      if (!removed) throw runErrors.fail('not_found', { message: 'There is no variable of this name.' });
      return { body: { success: true } };
    },
  });
}
