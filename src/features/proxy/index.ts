/**
 * @module features/proxy
 *
 * Calls a provider's API with the customer's credential: `ALL /proxy/*`. Owns table `single_use_write`.
 * Invariants: a credential goes only to the provider's own address or to an allow-listed override; nothing is followed,
 * buffered or shortened silently; a request is sent again only when that cannot do a thing twice; a single-use grant
 * makes one write at most, on all nodes together.
 */
export { registerProxy } from './register.ts';
export { proxyErrors } from './errors.ts';
export { PROXY_LIMITS, type ProxyLimits } from './limits.ts';
export type { ProxyDeps } from './model.ts';
export { createRetryGate, type RetryGate } from './retry-gate.ts';
export { createScriptCalls, type ScriptCallDeps, type ScriptCallInput, type ScriptCalls } from './script-call.ts';
