import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import { FUNCTION_TYPE, functionToWire } from '../wire.ts';
import { integrationOf, type FunctionRouteDeps } from '../find.ts';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;

/** Functions of an integration, by name, a page at a time. */
export function listFunctionsRoute({ functions, integrations }: FunctionRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/integrations/:uniqueKey/functions',
    summary: 'List the functions of an integration',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.functionsList },
    params: z.object({ uniqueKey: PROVIDER_CONFIG_KEY }),
    query: z.strictObject({
      type: FUNCTION_TYPE.optional(),
      search: z.string().min(1).max(255).optional(),
      page: z.coerce.number().int().min(0).max(1_000_000).optional(),
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
    }),
    errors: ['not_found'],
    async handle(request) {
      const { type, search, page = 0, limit = LIMIT_DEFAULT } = request.query;
      const integration = await integrationOf(integrations, request, request.params.uniqueKey);
      const all = await functions.list(environmentOf(request).id, { integrationId: integration.id, kind: type });
      const wanted = search?.toLowerCase() ?? '';
      const found = all.filter((fn) => fn.name.toLowerCase().includes(wanted));
      return {
        body: {
          data: found.slice(page * limit, (page + 1) * limit).map(functionToWire),
          pagination: { total: found.length, page, limit },
        },
      };
    },
  });
}
