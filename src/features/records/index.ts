/**
 * @module features/records
 *
 * Objects synced from providers, kept per connection and model. Owns tables `record` and `record_model`. Invariants:
 * a payload is sealed, bound to its row; positions of a model rise strictly and become visible in that order, so that a
 * reader behind a cursor misses nothing; a batch is written whole or not at all; nothing is written for a connection
 * that was deleted.
 */
export type * from './model.ts';
export { recordErrors } from './errors.ts';
export { createRecords, type RecordsDeps } from './service.ts';
export { recordRoutes, type RecordRouteDeps } from './routes/index.ts';
