import type { AccountPolicy, WebhookLookup, WebhookMeaning } from '../../../catalogue/_spec/index.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Upstream } from '../../platform/upstream/index.ts';
import type { Activity } from '../activity/index.ts';
import type { Connection, Connections, ConnectionState } from '../connections/index.ts';
import type { ConnectionEvents, Credential, Credentials } from '../credentials/index.ts';
import type { Disconnect } from '../disconnect/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';

export interface AccountsDeps {
  db: Database;
  clock: Clock;
  log: Log;
  upstream: Pick<Upstream, 'call'>;
  integrations: Pick<IntegrationService, 'byId' | 'list' | 'targetUrl'>;
  connections: Connections;
  credentials: Pick<Credentials, 'forget' | 'live' | 'open' | 'take'>;
  disconnect: Pick<Disconnect, 'echoed' | 'enqueue' | 'letGoOf' | 'noteEchoes' | 'replaced'>;
  activity: Pick<Activity, 'record'>;
  /** Cancels what runs on a connection. Default: nothing runs. */
  events?: Pick<ConnectionEvents, 'deleted'>;
  /** True: the database is a restored copy, and no provider is asked. Default: never. */
  isQuarantined?: () => boolean;
}

/** What somebody who connects brings. */
export interface Arrival {
  environmentId: number;
  integration: Integration;
  /** Public name of the connection to be. */
  connectionId: string;
  /** Undefined: the provider has no accounts, or did not tell which. */
  accountId: string | undefined;
  /** The app itself brings the credential, and not its customer. Default false. */
  isImport?: boolean;
}

/** Leave to connect, for the transaction in which it was given. */
export interface Admission {
  /** The living connection that is overridden. */
  existing: Connection | undefined;
  /** Row that keeps the grant to share; undefined: an own one. */
  grantOf: number | undefined;
  /** Others of the account that have to go. */
  ousted: Connection[];
  /** A connection that says that the account is not ready. */
  notReady: Connection | undefined;
  /** For the app: what it means that another environment is connected to the same account. */
  note: string | undefined;
}

/** Whether an account can be used for everything. */
export type Readiness = { ready: true } | { ready: false; reason: string } | { ready: 'unknown' };

/** A provider's event, as the gateway hands it over. */
export interface ProviderEvent {
  environmentId: number;
  integrationId: number;
  type?: string;
  meaning?: WebhookMeaning;
  body: unknown;
  /** By the provider's clock where it tells, but never later than it was received. */
  happenedAt: Date;
  /** What proved it. */
  trust: 'signature' | 'url' | 'none';
  /** Whom it names: the values, and where they were looked up. */
  about?: { by: WebhookLookup; values: string[] };
}

/** An account as lists show it. */
export interface ListedAccount {
  id: string;
  integrationKey: string;
  provider: string;
  policy: AccountPolicy;
  /** Living connections. */
  members: number;
  /** Grants that they use. */
  grants: number;
  states: ConnectionState[];
  since: Date;
  /** Also connected under another environment of this server. */
  isElsewhere: boolean;
  note: string | undefined;
}

export interface ListedMember {
  connectionId: string;
  integrationKey: string;
  provider: string;
  endUserId: string | undefined;
  endUserEmail: string | undefined;
  organizationId: string | undefined;
  tags: Record<string, string>;
  state: ConnectionState;
  stateReason: string | undefined;
  stateSince: Date;
  /** Others use the same grant. */
  isShared: boolean;
  createdAt: Date;
}

export interface Accounts {
  /** Asks the provider whether the account behind a new credential is ready. Never rejects for what the provider does. */
  readiness(
    integration: Integration,
    connectionConfig: Record<string, unknown>,
    credential: Credential,
  ): Promise<Readiness>;
  /**
   * Checks the policy and locks the account; the first step of the transaction that stores a connection.
   * Errors: `account_already_connected`, `account_changed`.
   */
  admit(tx: Sql, arrival: Arrival): Promise<Admission>;
  /**
   * True: storing this credential would end another one that other connections use. Nothing is locked; `admit` decides.
   * Errors: those of `admit`.
   */
  takesPlace(arrival: Arrival, credential: Credential): Promise<boolean>;
  /**
   * Stores the credential of a connection that was just inserted or overridden, in the row that its policy says, and lets
   * go of what it takes the place of.
   */
  settle(
    tx: Sql,
    input: {
      connection: Connection;
      integration: Integration;
      admission: Admission;
      credential: Credential;
      write: (connection: Connection) => Promise<void>;
    },
  ): Promise<Connection>;
  /**
   * Lets go of what a refused customer has granted, where that is safe and a connection of theirs is known: the one to
   * repair, even when it is gone, or one of the same account.
   */
  refused(arrival: Arrival, credential: Credential, reconnect?: Connection): Promise<void>;
  /** Two kinds of a provider's events. Called in the transaction that marks them handled. */
  onProviderEvent(
    event: ProviderEvent,
    matched: readonly { id: number }[],
    tx: Sql,
  ): Promise<{ forward?: unknown; settled?: boolean } | undefined>;
  list(
    environmentId: number,
    query: { integrationKey?: string | undefined; limit: number; page: number },
  ): Promise<ListedAccount[]>;
  members(environmentId: number, accountId: string, integrationKey?: string): Promise<ListedMember[]>;
  /** Asks about accounts that are not ready yet. Resolves to how many were asked about. */
  sweep(): Promise<number>;
  /** Sweeps every hour until the returned function is called. */
  start(): () => void;
}
