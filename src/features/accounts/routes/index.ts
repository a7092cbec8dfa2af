import type { Route } from '../../../base/route.ts';
import type { Accounts } from '../model.ts';
import { listAccountsRoute } from './list-accounts.ts';
import { listMembersRoute } from './list-members.ts';

export interface AccountRouteDeps {
  accounts: Pick<Accounts, 'list' | 'members'>;
}

export function accountRoutes(deps: AccountRouteDeps): Route[] {
  return [listAccountsRoute(deps), listMembersRoute(deps)];
}
