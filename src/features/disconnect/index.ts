/**
 * @module features/disconnect
 *
 * Letting go of an account, here and at the provider. Owns table `disconnect_task`, the tombstone's outcome.
 *
 * Invariants: the connection is gone from the API at once, whatever the provider does; the secret is wiped in the
 * transaction that stores the outcome, and kept sealed in the task for at most 7 days while a retry needs it; a grant is
 * revoked when its last connection leaves; the app is told once. Kill point L1: the provider has answered, the outcome is
 * not stored.
 */
export type { Disconnect, DisconnectDeps, DisconnectOutcome, DisconnectResult, DisconnectStatus } from './model.ts';
export { createDisconnect } from './service.ts';
export { disconnectRoutes, type DisconnectRouteDeps } from './routes/index.ts';
