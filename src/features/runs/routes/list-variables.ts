import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { RunRouteDeps } from './index.ts';

/** `GET /environment-variables` (wire contract B.10). */
export function listVariablesRoute({ runs }: RunRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/environment-variables',
    summary: 'List the environment variables of functions',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.variablesRead },
    errors: [],
    async handle(request) {
      return { body: await runs.variables.list(environmentOf(request).id) };
    },
  });
}
