import type { AccountPolicy } from '../../../catalogue/_spec/index.ts';
import { grantRowOf, type Connection, type Connections } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { Sql } from '../../platform/postgres/index.ts';
import { accountErrors } from './errors.ts';
import type { Admission, Arrival } from './model.ts';

const KEEPS_FOR_OTHERS =
  'This is another account of the provider than before, and other connections share the grant of this one. Nothing was changed: connect it as a new connection.';

/** The integration's own `account_policy`, else what the provider file suggests. */
export function policyOf({ custom, provider }: Pick<Integration, 'custom' | 'provider'>): AccountPolicy {
  // Checked when it was written.
  const own = custom['account_policy'] as AccountPolicy | undefined;
  return own ?? provider.account?.suggestedPolicy ?? 'separate';
}

/**
 * True: a connection may change to another account when its customer connects again. A customer may take the wrong one
 * by mistake; an app that imports names it.
 */
function mayChange({ custom, provider }: Integration, isImport: boolean): boolean {
  const own = custom['account_change'];
  return own === undefined ? isImport || provider.account?.idMayChange === true : own === 'allow';
}

/**
 * Decides anew after each lock, because whoever held it may have changed who uses the grant.
 * Errors: `account_already_connected`, `account_changed`.
 */
export async function admit(connections: Connections, tx: Sql, arrival: Arrival): Promise<Omit<Admission, 'note'>> {
  const { environmentId, integration, accountId } = arrival;
  if (accountId !== undefined) await connections.lockAccount(tx, environmentId, integration.id, accountId);
  const locked = new Set<number>();
  for (;;) {
    const admission = await decide(connections, tx, arrival);
    const { existing, grantOf } = admission;
    const rows = [existing && grantRowOf(existing), grantOf].filter((row) => row !== undefined);
    const open = rows.filter((row) => !locked.has(row)).toSorted((one, other) => one - other);
    if (open.length === 0) return admission;
    for (const row of open) {
      await connections.lockGrant(tx, environmentId, row);
      locked.add(row);
    }
  }
}

/** Errors: `account_already_connected`, `account_changed`. */
export async function decide(connections: Connections, tx: Sql, arrival: Arrival): Promise<Omit<Admission, 'note'>> {
  const { environmentId, integration, connectionId, accountId } = arrival;
  const others =
    accountId === undefined ? [] : await connections.ofAccount(tx, environmentId, integration.id, accountId);
  const existing = await connections.byPublicId(environmentId, integration.id, connectionId, tx);
  const rest = others.filter(({ id }) => id !== existing?.id);
  const shared = existing && (await sharersOf(connections, tx, existing));
  const changes = existing?.accountId !== undefined && accountId !== undefined && existing.accountId !== accountId;
  // Whoever keeps the grant of others cannot take it along to another account.
  const keepsForOthers = shared !== undefined && shared.length > 0 && existing?.grantOf === undefined;
  if (changes && keepsForOthers) throw accountErrors.fail('account_changed', { message: KEEPS_FOR_OTHERS });
  if (changes && !mayChange(integration, arrival.isImport === true)) throw accountErrors.fail('account_changed');

  const isNew = existing === undefined || changes;
  const policy = policyOf(integration);
  if (policy === 'refuse' && isNew && rest.length > 0) throw accountErrors.fail('account_already_connected');
  const grantOf = shareWith(policy, rest, changes ? undefined : shared, existing);
  const sameAccount = existing === undefined || changes ? rest : [existing, ...rest];
  const notReady = sameAccount.find(({ state }) => state === 'not_ready');
  return { existing, grantOf, ousted: policy === 'replace' ? rest : [], notReady };
}

async function sharersOf(connections: Connections, tx: Sql, existing: Connection): Promise<Connection[]> {
  const users = await connections.ofGrant(tx, existing.environmentId, grantRowOf(existing));
  return users.filter(({ id }) => id !== existing.id);
}

/** The row whose grant is used. Who shares one already goes on doing so, whatever the policy is today. */
function shareWith(
  policy: AccountPolicy,
  others: Connection[],
  shared: Connection[] | undefined,
  existing: Connection | undefined,
): number | undefined {
  if (existing !== undefined && shared !== undefined && shared.length > 0) return existing.grantOf;
  const [first] = others;
  return policy === 'share' && first !== undefined ? grantRowOf(first) : undefined;
}
