import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Activity } from '../activity/index.ts';
import type { Connection, Connections } from '../connections/index.ts';
import type { ConnectionEvents, Credential, Credentials } from '../credentials/index.ts';
import type { Vault } from '../environments/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';

/**
 * How letting go of an account ended. Moves: pending ─▶ revoked | unsupported | failed; a token that turns up late
 * (a refresh that ended after the disconnect) makes any of them pending once more, without telling the app again.
 */
export type DisconnectOutcome =
  /** The provider is being asked; retried for 7 days. */
  | 'pending'
  /** The provider let go, had let go before, or nothing was granted. */
  | 'revoked'
  /** The provider has no call for it: `detail` says what the customer must do. */
  | 'unsupported'
  /** The provider could not be made to let go within 7 days. */
  | 'failed';

export interface DisconnectResult {
  outcome: DisconnectOutcome;
  /** For people, without secrets. */
  detail?: string | undefined;
}

export interface DisconnectStatus extends DisconnectResult {
  attempts: number;
  nextAttemptAt: Date | undefined;
  finishedAt: Date | undefined;
  /** When the provider itself told of it. */
  echoedAt: Date | undefined;
}

/** What a retry needs; sealed in the task, wiped with the outcome. */
export interface TaskSecret {
  integrationId: number;
  connectionConfig: Record<string, unknown>;
  /** Usually one; more when refreshes ended late, or the customer had connected again. */
  grants: Credential[];
  /** The connection left a grant that others go on using. */
  isShared?: boolean;
}

export interface DisconnectDeps {
  db: Database;
  clock: Clock;
  log: Log;
  vault: Vault;
  upstream: Upstream;
  integrations: IntegrationService;
  connections: Connections;
  credentials: Credentials;
  activity: Activity;
  killPoints: KillPoints;
  /** The app's functions around a connection. Default: none. */
  events?: Pick<ConnectionEvents, 'deleting' | 'deleted'>;
  /** True: the database is a restored copy, and providers are not asked; tasks wait. Default: never. */
  isQuarantined?: () => boolean;
}

/** A connection that is gone. */
export interface LetGoConnection {
  /** Row id. */
  id: number;
  connectionConfig: Record<string, unknown>;
  /** The provider has told of it. */
  isEchoed: boolean;
}

export interface Disconnect {
  /**
   * Deletes the connection at once and asks the provider to let go. Resolves after at most 5 s: to `pending` when the
   * provider is slow or fails, and then it goes on behind the caller's back.
   */
  connection(environmentId: number, connection: Connection, integration: Integration): Promise<DisconnectResult>;
  /** Deletes in the caller's transaction; the sweep asks the provider. */
  enqueue(tx: Sql, connection: Connection): Promise<void>;
  /**
   * Lets go of a grant that the customer's next one has taken the place of, where the provider file says that one call
   * ends one token. The connection lives on; nobody is told.
   */
  replaced(tx: Sql, connection: Connection, integration: Integration, grant: Credential): Promise<void>;
  /**
   * The provider tells that this token has ended. Resolves to true when it was us who let go of it, in the last day: the
   * app knows already.
   */
  echoed(tx: Sql, environmentId: number, token: string): Promise<boolean>;
  /** Connections of this account, or with one of these values in a field, that we let go of in the last day. */
  letGoOf(
    tx: Sql,
    query: { environmentId: number; integrationId: number; config: string | undefined; values: readonly string[] },
  ): Promise<LetGoConnection[]>;
  /** The provider has told of what became of these. */
  noteEchoes(tx: Sql, environmentId: number, connectionIds: readonly number[]): Promise<void>;
  /** Works on everything due; nodes share the work. Resolves to the number of tasks worked on. */
  sweep(): Promise<number>;
  /** Sweeps every 10 s until the returned function is called, which waits for what runs. */
  start(): () => Promise<void>;
  outcomeOf(environmentId: number, connectionRowId: number): Promise<DisconnectStatus | undefined>;
}
