/**
 * @module features/environments
 *
 * Isolated worlds, their API keys and their data keys. Owns tables `environment`, `api_key`, `data_key`,
 * `node_keyring`, `previous_signing_key`; a rotation of keys also rewrites the sealed columns of every other slice
 * (`keys-columns.ts`).
 * Invariants: an API key is stored only as its hash; a data key only wrapped; with a wrong operator key nothing is
 * written and the process does not start (`sealed`); a data key seals nothing once it is retired, and opens as long as
 * anything needs it.
 */
export type {
  ApiKey,
  ApiKeys,
  Environment,
  Environments,
  Principal,
  SealedColumnPlace,
  SealedPlace,
  Vault,
} from './model.ts';
export { createEnvironments } from './service.ts';
export { createApiKeys } from './keys-api.ts';
export { rotateKeys, type RotateProgress, type RotateResult } from './keys-rotate.ts';
export { readKeysStatus, type KeysStatus } from './keys-status.ts';
export { selectEnvironment as findEnvironment } from './store.ts';
export { hasKeyTables } from './store-keys.ts';
export { ENVIRONMENT_SCOPES } from './scopes.ts';
export { environmentErrors } from './errors.ts';
