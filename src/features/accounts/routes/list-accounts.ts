import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import type { AccountRouteDeps } from './index.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** Lists the provider-side accounts behind connections, newest first. */
export function listAccountsRoute({ accounts }: AccountRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/accounts',
    summary: 'List the accounts behind connections, newest first',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsList },
    query: z.strictObject({
      provider_config_key: PROVIDER_CONFIG_KEY.optional(),
      limit: z.coerce.number().int().min(1).max(LIMIT_MAX).optional(),
      page: z.coerce.number().int().min(0).max(1_000_000).optional(),
    }),
    errors: ['unknown_provider_config'],
    async handle(request) {
      const { provider_config_key: integrationKey, limit, page } = request.query;
      const query = { integrationKey, limit: limit ?? LIMIT_DEFAULT, page: page ?? 0 };
      const rows = await accounts.list(environmentOf(request).id, query);
      return {
        body: {
          accounts: rows.map((row) => ({
            id: row.id,
            provider_config_key: row.integrationKey,
            provider: row.provider,
            account_policy: row.policy,
            members: row.members,
            grants: row.grants,
            states: row.states,
            since: row.since.toISOString(),
            connected_elsewhere: row.isElsewhere,
            note: row.note ?? null,
          })),
        },
      };
    },
  });
}
