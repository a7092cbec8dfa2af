import { z } from 'zod';
import { defineRoute, environmentOf } from '../../../base/route.ts';
import { ENVIRONMENT_SCOPES } from '../../environments/index.ts';
import { PROVIDER_CONFIG_KEY } from '../../integrations/index.ts';
import type { AccountRouteDeps } from './index.ts';

/** Lists who holds a connection to an account, oldest first. */
export function listMembersRoute({ accounts }: AccountRouteDeps) {
  return defineRoute({
    method: 'GET',
    path: '/accounts/:id/members',
    summary: 'List who holds a connection to an account',
    auth: { by: 'key', anyOf: ENVIRONMENT_SCOPES.connectionsList },
    params: z.object({ id: z.string().min(1).max(255) }),
    query: z.strictObject({ provider_config_key: PROVIDER_CONFIG_KEY.optional() }),
    errors: ['account_not_connected'],
    async handle(request) {
      const environmentId = environmentOf(request).id;
      const rows = await accounts.members(environmentId, request.params.id, request.query.provider_config_key);
      return {
        body: {
          members: rows.map((row) => ({
            connection_id: row.connectionId,
            provider_config_key: row.integrationKey,
            provider: row.provider,
            end_user:
              row.endUserId === undefined
                ? null
                : {
                    id: row.endUserId,
                    email: row.endUserEmail ?? null,
                    organization_id: row.organizationId ?? null,
                  },
            tags: row.tags,
            state: row.state,
            state_reason: row.stateReason ?? null,
            state_since: row.stateSince.toISOString(),
            shares_grant: row.isShared,
            created: row.createdAt.toISOString(),
          })),
        },
      };
    },
  });
}
