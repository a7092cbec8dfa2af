/**
 * @module features/actions
 *
 * Functions that run because somebody asked: actions, now or later, and functions that follow the life of connections.
 * Owns no table. Invariants: input is checked before a run exists, output before it counts as done; one idempotency key
 * makes one run in 24 h; asynchronous actions of one environment run one after another, and the event to the app is
 * written in the transaction that ends them.
 */
export type { Actions, ActionsDeps, ActionTarget, TriggerOptions } from './model.ts';
export { actionErrors } from './errors.ts';
export { createActions } from './service.ts';
export { createActionSchemas } from './schema.ts';
export { actionRoutes, type ActionRouteDeps } from './routes/index.ts';
