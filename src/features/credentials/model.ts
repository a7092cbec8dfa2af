import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import { isMachineMode, type MachineMode } from '../../protocols/machine-token/index.ts';
import type { Activity } from '../activity/index.ts';
import type { Connection, Connections } from '../connections/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';

/** The secret part of a connection, in memory only. Field names are those of the wire (B.5). */
export type Credential =
  | {
      type: 'OAUTH2';
      access_token: string;
      refresh_token?: string | undefined;
      /** ISO 8601. */
      expires_at?: string | undefined;
      /** The provider's whole answer; without the refresh token while at rest. */
      raw: Record<string, unknown>;
      /** The customer's own OAuth client, used instead of the integration's. */
      config_override?: { client_id?: string; client_secret?: string } | undefined;
    }
  | { type: 'API_KEY'; apiKey: string }
  | { type: 'BASIC'; username: string; password: string }
  | { type: 'NONE' }
  | { type: 'OAUTH1'; oauth_token: string; oauth_token_secret: string; raw: Record<string, unknown> }
  | MachineCredential;

/** A credential that brings its own next token; on the wire the fields stand beside the token. */
export interface MachineCredential {
  type: MachineMode;
  token: string;
  /** ISO 8601. */
  expires_at?: string | undefined;
  /** The provider's whole answer. */
  raw: Record<string, unknown>;
  /** The customer's form: what the next token is made from. */
  fields: Record<string, string>;
}

/** What a new credential brings beside itself. */
export interface GrantFacts {
  /** Granted scope, as the provider names it. */
  scope: string | undefined;
  /** By this process's clock; stored by the database's. */
  expiresAt: Date | undefined;
}

/** True for a credential that needs no refresh token to get a new token. */
export function isMachine(credential: Credential): credential is MachineCredential {
  return isMachineMode(credential.type);
}

/** Everything a call needs, held in memory for at most 60 s. */
export interface LiveConnection {
  connection: Connection;
  integration: Integration;
  credential: Credential;
  generation: number;
  scope: string | undefined;
  /** Wall time in ms; undefined: no known end. */
  expiresAtMs: number | undefined;
}

export interface ReadOptions {
  /** Refresh whatever the expiry says; bypasses back-off. */
  force?: boolean;
}

/** What of the refresh protocol tests shorten. */
export interface RefreshTimes {
  /** Long enough for exchange, journal and commit. Default 30,000. */
  leaseMs: number;
  /** Token requests started per second at one provider by all nodes together. Default 20. */
  startsPerSecond: number;
}

export interface CredentialsDeps {
  db: Database;
  clock: Clock;
  log: Log;
  vault: Vault;
  upstream: Upstream;
  integrations: IntegrationService;
  connections: Connections;
  activity: Activity;
  killPoints: KillPoints;
  /** Names this process in leases. */
  nodeId: string;
  /** Where answers are kept while the database is away; one directory per node. */
  spoolDir: string;
  times?: Partial<RefreshTimes>;
  /** True: the database is a restored copy, and no refresh token may be used. Default: never. */
  isQuarantined?: () => boolean;
}

/** A token that a refresh brought after its connection was deleted. */
export interface LateGrant {
  environmentId: number;
  /** Row id of the deleted connection. */
  connectionId: number;
  integrationId: number;
  journalId: number;
  accessToken: string;
  refreshToken: string | undefined;
}

export interface Credentials {
  /**
   * Stores a new grant (connect, reconnect, import): a new generation, without lease, failures or open answers. The
   * caller sets the connection's state in the same transaction.
   */
  write(tx: Sql, input: { connection: Connection; credential: Credential; facts: GrantFacts }): Promise<void>;
  /** From memory only: no SQL, no promise. Undefined unless the credential can be used as it is. */
  peek(environmentId: number, integrationKey: string, connectionId: string): LiveConnection | undefined;
  /**
   * The connection with a credential that can be used, refreshed when due.
   *
   * Errors: `unknown_provider_config`, `unknown_connection`, `connection_refresh_backoff`,
   * `connection_refresh_exhausted`, `refresh_token_external_error`, `connection_needs_reauth`, `sealed`.
   */
  live(
    environmentId: number,
    integrationKey: string,
    connectionId: string,
    options?: ReadOptions,
  ): Promise<LiveConnection>;
  /**
   * The provider answered 401 to this credential. Resolves to a newer one, worth one more try, or to undefined: give
   * the 401 through. A token that cannot be refreshed and is refused repeatedly moves to `needs_reauth(unauthorized)`.
   */
  afterUnauthorized(live: LiveConnection): Promise<LiveConnection | undefined>;
  /** The single-use grant did its write: `spent`, told once. */
  spend(live: LiveConnection): Promise<void>;
  /** Living connections that use this access token or key. */
  findByToken(environmentId: number, token: string): Promise<Connection[]>;
  /** The keyed hash by which a token is found again when it is no longer stored. */
  tokenHash(environmentId: number, token: string): Promise<Buffer>;
  /** Wipes the secret that a connection uses, whoever else uses it. */
  forget(tx: Sql, connection: Connection): Promise<void>;
  /**
   * Wipes it and resolves to what it was, so that it can be revoked at the provider. `shared`: nothing is wiped, because
   * other living connections use it; the caller holds the lock of the grant.
   */
  take(tx: Sql, connection: Connection): Promise<Credential | 'shared' | undefined>;
  /** As stored: no refresh, whatever the state. */
  open(
    connection: Connection,
    sql?: Sql,
  ): Promise<{ credential: Credential; scope: string | undefined; authorizedAt: Date } | undefined>;
  /** Tokens of refreshes that ended after their connection was deleted; oldest first. */
  late(limit: number): Promise<LateGrant[]>;
  /** Wipes a late token, in the transaction that took it over. */
  wipeLate(tx: Sql, grant: LateGrant): Promise<void>;
  /** Provider answers that are not yet in the database; above 0 the node is not ready and must not exit. */
  readonly unflushed: number;
  /**
   * Repairs and keeps alive: spooled answers, exchanges that a killed process left open, refresh tokens unused for a
   * day, old answers. Resolves to the number of connections looked at.
   */
  sweep(): Promise<number>;
  /** Sweeps every minute until the returned function is called. */
  start(): () => void;
  /** For SIGTERM: takes no new refresh, ends the running ones, flushes the spool. */
  drain(): Promise<void>;
}
