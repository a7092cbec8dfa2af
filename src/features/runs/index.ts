/**
 * @module features/runs
 *
 * One durable record of each execution of a function, and the queue of those to come. Owns tables `run`, `run_log`,
 * `checkpoint`, `script_lock`, `environment_variable`.
 *
 * Invariants: the row is the job, so record and queue cannot disagree; a lane has one running run on all nodes together;
 * whoever has lost the lease writes nothing; every run ends in a final state; an action that may have had effects is not
 * repeated unless its caller asked for tries; input, output and what an error carries are sealed; a credential's values
 * stand in no log line and in no error.
 */
export type * from './model.ts';
export { runErrors } from './errors.ts';
export { createRuns, type RunsDeps } from './service.ts';
export { RUN_LIMITS, type RunLimits } from './limits.ts';
export { runRoutes, type RunRouteDeps } from './routes/index.ts';
