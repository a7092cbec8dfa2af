/**
 * @module features/environments
 *
 * Isolated worlds, their API keys and their data keys. Owns tables `environment`, `api_key`, `data_key`.
 * Invariants: an API key is stored only as its hash; a data key only wrapped; with a wrong operator key nothing is
 * written and the process does not start (`sealed`).
 */
export type { ApiKey, Environment, Environments, Principal, SealedPlace, Vault } from './model.ts';
export { createEnvironments } from './service.ts';
export { ENVIRONMENT_SCOPES } from './scopes.ts';
export { environmentErrors } from './errors.ts';
