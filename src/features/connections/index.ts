/**
 * @module features/connections
 *
 * One customer's link to one integration. Owns tables `connection`, `end_user`, `event`. Invariants: a public
 * connection id names one living connection per integration; every change of state writes exactly one event in the
 * same statement; a deleted connection stays as a tombstone.
 */
export { grantRowOf, type Connection, type ConnectionState, type EndUser, type ReauthReason } from './model.ts';
export { createConnections, type Connections, type UpsertInput } from './service.ts';
export { eventPlace, type NewEvent } from './write-event.ts';
export { connectionErrors } from './errors.ts';
export { connectionRoutes } from './routes/index.ts';
export { tagsWithUser } from './user-tags.ts';
export { checkWebhookUrl } from './webhook-url.ts';
export * from './wire.ts';
