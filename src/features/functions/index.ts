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
export type { Dryrun, DryrunRequest, FunctionRouteDeps } from './find.ts';
export { createFunctionTasks, type FunctionTasks } from './tasks.ts';
export { functionRoutes } from './routes/index.ts';
export { bundleFile, bundleSource } from './compile/bundle.ts';
export { compileFunctions, type Compiled } from './compile/compile.ts';
export { KIND_FOLDERS, type FunctionFile } from './compile/definition.ts';
export { problemText, type CompileProblem } from './compile/problem.ts';
export { deployToWire, NO_DEFINITION } from './wire.ts';
