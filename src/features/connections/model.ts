/**
 * The states of a connection (design 5). Moves:
 *
 *   pending ─▶ active                     credential stored
 *   active ─▶ expiring                    no refresh possible and the token ends within a day
 *   active, expiring ─▶ needs_reauth      the provider refused the credential (reason says how)
 *   active ─▶ not_ready                   the provider's own gate (not credentialed, bank not verified)
 *   active ─▶ spent                       a single-use grant did its one write
 *   active ─▶ revoked_by_provider         a verified event said so
 *   any ─▶ active                         reconnect, import, or a successful forced refresh
 *   any ─▶ disconnecting ─▶ disconnected  the app deleted the connection (reason holds the outcome)
 */
export type ConnectionState =
  | 'pending'
  | 'active'
  | 'expiring'
  | 'needs_reauth'
  | 'not_ready'
  | 'disconnecting'
  | 'disconnected'
  | 'revoked_by_provider'
  | 'spent';

/** Why a connection needs its customer again. */
export type ReauthReason =
  /** The provider refused the refresh token. */
  | 'revoked'
  /** A rotated refresh token was lost together with the provider's answer. */
  | 'lost_rotation'
  /** The provider answers 401 to a token that cannot be refreshed. */
  | 'unauthorized'
  /** The token ended and there is no refresh token. */
  | 'expired';

export interface EndUser {
  /** The app's own id of its user. */
  id: string;
  email: string | undefined;
  displayName: string | undefined;
  tags: Record<string, string>;
  organization: { id: string; displayName: string | undefined } | undefined;
}

export interface Connection {
  environmentId: number;
  /** Row id; `id` on the wire. */
  id: number;
  integrationId: number;
  /** The public name; `connection_id` on the wire. */
  connectionId: string;
  state: ConnectionState;
  stateReason: string | undefined;
  stateSince: Date;
  connectionConfig: Record<string, unknown>;
  metadata: Record<string, unknown> | undefined;
  tags: Record<string, string>;
  endUserId: string | undefined;
  accountId: string | undefined;
  /** The connection whose credential this one uses, which may have been let go; undefined: its own. */
  grantOf: number | undefined;
  webhookUrlOverride: string | undefined;
  lastGoodCallAt: Date | undefined;
  lastFetchedAt: Date | undefined;
  createdAt: Date;
  updatedAt: Date;
}

/** Row id under which the credential of a connection is kept. */
export function grantRowOf({ id, grantOf }: Pick<Connection, 'id' | 'grantOf'>): number {
  return grantOf ?? id;
}
