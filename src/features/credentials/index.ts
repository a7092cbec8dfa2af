/**
 * @module features/credentials
 *
 * The secret part of a connection and the refresh protocol (threats-and-faults 3.3). Owns tables `credential`,
 * `refresh_journal` and `refresh_pace`, and the spool directory.
 *
 * Steps of a refresh: collapse callers in this process (`read.ts`) · lock session for providers that rotate strictly ·
 * claim with a durable intent (`refresh.ts`) · adopt what an interrupted refresh left (`adopt.ts`) · send once and
 * journal before looking (`exchange.ts`, `journal.ts`, `spool.ts`) · judge (`send.ts`, `verdict.ts`) · commit by
 * compare-and-set (`commit.ts`).
 *
 * Invariants: I1 the generation rises by 1. I2 at most one token request per connection and generation, unless the
 * provider's rotation allows to repeat it. I3 the stored refresh token is the newest one journalled in its grant. I4 no
 * access token leaves before its commit. I5 nothing is at rest in the clear. I6 every end is a working credential or an
 * explained `needs_reauth` with one event. I7 a token that is still valid is never withheld because a refresh failed.
 */
export type {
  Credential,
  Credentials,
  CredentialsDeps,
  GrantFacts,
  LateGrant,
  LiveConnection,
  MachineCredential,
  ReadOptions,
  RefreshTimes,
} from './model.ts';
export type { Candidate, ConnectionEvents } from './events.ts';
export { credentialErrors } from './errors.ts';
export { credentialRoutes, type CredentialRouteDeps } from './routes/index.ts';
export { createCredentials } from './service.ts';
export { clientOf, signatureOf, tlsOf, tlsOption } from './renewal.ts';
export { obtainToken } from './obtain.ts';
export { doubtRefreshTokens } from './store-restored.ts';
export { accessSecretOf } from './seal.ts';
export { connectionToWire, credentialToWire } from './wire.ts';
