/**
 * @module features/activity
 *
 * What happened, one line each, for people. Owns table `activity`. Invariants: an entry holds no secret; recording
 * never waits for the database and never fails the caller; entries are written in batches and flushed at close.
 */
export type { Activity, ActivityEntry, ActivityKind } from './model.ts';
export { createActivity } from './record.ts';
