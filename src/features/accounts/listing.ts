import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { integrationErrors, type Integration } from '../integrations/index.ts';
import { accountErrors } from './errors.ts';
import type { AccountsDeps, ListedAccount, ListedMember } from './model.ts';
import { policyOf } from './policy.ts';
import { selectAccounts, selectMembers, type AccountRow } from './store.ts';

/** More members than any account has. */
const MEMBERS_MAX = 10_000;

/** Errors: `unknown_provider_config`. */
export async function list(
  { db, integrations }: Pick<AccountsDeps, 'db' | 'integrations'>,
  environmentId: number,
  query: { integrationKey?: string | undefined; limit: number; page: number },
): Promise<ListedAccount[]> {
  const known = await integrations.list(environmentId);
  const wanted = known.find(({ uniqueKey }) => uniqueKey === query.integrationKey);
  if (query.integrationKey !== undefined && wanted === undefined)
    throw integrationErrors.fail('unknown_provider_config');
  const rows = await selectAccounts(db, {
    environmentId,
    integrationId: wanted?.id,
    limit: query.limit,
    offset: query.page * query.limit,
  });
  return rows.flatMap((row) => {
    const integration = known.find(({ id }) => id === row.integration_id);
    return integration === undefined ? [] : [listed(row, integration)];
  });
}

function listed(row: AccountRow, integration: Integration): ListedAccount {
  return {
    id: row.account_id,
    integrationKey: integration.uniqueKey,
    provider: integration.provider.name,
    policy: policyOf(integration),
    members: row.members,
    grants: row.grants,
    states: row.states,
    since: row.since,
    isElsewhere: row.is_elsewhere,
    note: row.is_elsewhere ? elsewhereNote(integration.provider) : undefined,
  };
}

/** What it means that the same account is connected under another environment too. */
export function elsewhereNote({ disconnect, displayName }: ProviderSpec): string {
  const endsAll = 'ends' in disconnect && disconnect.ends === 'account';
  return endsAll
    ? `Another environment of this server is connected to the same account. If both use the same client id, disconnecting here ends that one too: ${displayName} ends all that an app has of an account.`
    : 'Another environment of this server is connected to the same account, with a grant of its own: disconnecting here does not end that one.';
}

/** Errors: `account_not_connected`. */
export async function members(
  { db, integrations }: Pick<AccountsDeps, 'db' | 'integrations'>,
  environmentId: number,
  accountId: string,
  integrationKey?: string,
): Promise<ListedMember[]> {
  const known = (await integrations.list(environmentId)).filter(
    ({ uniqueKey }) => integrationKey === undefined || uniqueKey === integrationKey,
  );
  const rows = await selectMembers(db, {
    environmentId,
    accountId,
    integrationIds: known.map(({ id }) => id),
    limit: MEMBERS_MAX,
  });
  if (rows.length === 0) throw accountErrors.fail('account_not_connected');
  return rows.flatMap((row) => {
    const integration = known.find(({ id }) => id === row.integration_id);
    if (integration === undefined) return [];
    return [
      {
        connectionId: row.connection_id,
        integrationKey: integration.uniqueKey,
        provider: integration.provider.name,
        endUserId: row.end_user_id ?? undefined,
        endUserEmail: row.email ?? undefined,
        organizationId: row.organization_id ?? undefined,
        tags: row.tags,
        state: row.state,
        stateReason: row.state_reason ?? undefined,
        stateSince: row.state_since,
        isShared: row.is_shared,
        createdAt: row.created_at,
      },
    ];
  });
}
