import { z } from 'zod';
import { defineRoute, environmentOf, type Route } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { FUNCTION_TYPE, functionParams, functionToWire } from '../wire.ts';
import { functionOf, type FunctionRouteDeps } from '../find.ts';

const common = {
  method: 'GET',
  auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsRead },
  params: functionParams,
  query: z.strictObject({ type: FUNCTION_TYPE.optional() }),
  errors: ['not_found', 'ambiguous_function'],
} as const;

/** One function, and its TypeScript source. */
export function getFunctionRoutes(deps: FunctionRouteDeps): Route[] {
  const read = defineRoute({
    ...common,
    path: '/integrations/:uniqueKey/functions/:name',
    summary: 'Get a function',
    async handle(request) {
      return { body: { data: functionToWire(await functionOf(deps, request, request.query.type)) } };
    },
  });
  const code = defineRoute({
    ...common,
    path: '/integrations/:uniqueKey/functions/:name/code',
    summary: 'Get the TypeScript source of a function',
    async handle(request) {
      const fn = await functionOf(deps, request, request.query.type);
      const { ts } = await deps.functions.code(environmentOf(request).id, fn.codeHash);
      return { body: { type: fn.kind, code: ts } };
    },
  });
  return [read, code];
}
