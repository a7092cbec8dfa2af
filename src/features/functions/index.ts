/**
 * @module features/functions
 *
 * The app's own code as deployed. Owns tables `function`, `function_code`, `function_version` and `function_task`.
 * Invariants: one deploy per environment at a time, all or nothing; a bundle never changes under its hash; whoever
 * follows functions is told in the transaction that changes them.
 */
export type * from './model.ts';
export { functionErrors } from './errors.ts';
export { FREQUENCY_MAX_MS, FREQUENCY_MIN_MS, frequencyProblem, parseFrequency } from './frequency.ts';
export { createFunctions } from './service.ts';
