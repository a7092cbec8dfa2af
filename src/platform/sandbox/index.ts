/**
 * @module platform/sandbox
 *
 * Where the app's own code runs: child processes with an empty environment and no credential. Invariants: nothing a
 * script does harms another run's result without saying so; a run never outlives its deadline; a process serves one
 * function of one environment.
 */
export * from './model.ts';
export { sandboxErrors } from './errors.ts';
export { SANDBOX_LIMITS, type SandboxLimits } from './limits.ts';
export { createSandbox, type SandboxDeps } from './sandbox.ts';
