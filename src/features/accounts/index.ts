/**
 * @module features/accounts
 *
 * Life of a provider-side account behind connections: who may connect to it, who shares its grant, when it becomes ready,
 * and what happens when its customer disconnects at the provider. Owns no table; reads `connection` of its account.
 *
 * Invariants: with policy `share` an account has one grant, however many members, and the last one that leaves ends it; a
 * grant that another one has taken the place of is let go of; an event of the provider moves a connection once and tells
 * the app once; the token in such an event goes nowhere; what names no token ends something only when it is signed, and
 * never a grant that was given after it.
 */
export type { Accounts, AccountsDeps } from './model.ts';
export { createAccounts } from './service.ts';
export { accountErrors } from './errors.ts';
export { accountRoutes } from './routes/index.ts';
