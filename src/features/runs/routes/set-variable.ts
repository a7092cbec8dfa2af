import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import type { RunRouteDeps } from './index.ts';

/** What a variable may be called. */
export const VARIABLE_NAME = z
  .string()
  .max(255)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'Letters, digits and _, not beginning with a digit.');

const VALUE_LENGTH_MAX = 4_000;

/** Adds or replaces a variable; ours. */
export function setVariableRoute({ runs }: RunRouteDeps) {
  return defineRoute({
    method: 'PUT',
    path: '/environment-variables/:name',
    summary: 'Set an environment variable of functions',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.variablesWrite },
    params: z.object({ name: VARIABLE_NAME }),
    query: z.strictObject({}),
    body: z.strictObject({ value: z.string().max(VALUE_LENGTH_MAX) }),
    errors: ['too_many_variables'],
    async handle(request) {
      await runs.variables.set(environmentOf(request).id, request.params.name, request.body.value);
      return { body: { success: true } };
    },
  });
}
