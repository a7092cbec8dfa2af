/**
 * @module features/syncs
 *
 * Functions that fetch on a schedule. Owns tables `sync`, `sync_plan` and `sync_deletion_mark`.
 *
 * A row of `sync` is one sync of one connection in one variant; it comes with the connection or with the deploy, in
 * their transaction. Due rows become runs (`schedule.ts`); what a run does with records is in `hooks.ts`.
 * Invariants: one run per slot, on all nodes together; one run at a time per row; every write of a run holds its lease
 * in the same transaction; nothing is deleted by a listing that did not end.
 */
export { createSyncs } from './service.ts';
export { scriptSyncControl } from './script-control.ts';
export { syncErrors } from './errors.ts';
export { syncRoutes, type SyncRouteDeps } from './routes/index.ts';
export { storedModel } from './models.ts';
export { BASE_VARIANT, type Sync, type SyncName, type SyncStatus, type Syncs, type WebhookCall } from './model.ts';
