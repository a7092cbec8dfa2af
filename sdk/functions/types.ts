import type { z } from 'zod';
import type { ProxyConfiguration, ScriptResponse } from './http.ts';

/** What a provider answers has no type until you give one: `nango.get<Account>(…)`. */
export type Untyped = ReturnType<JSON['parse']>;

export type ModelSchemas = Record<string, z.ZodType>;
type Data<Schema> = Schema extends z.ZodType ? z.infer<Schema> : Untyped;
type CheckpointOf<Schema> = Schema extends z.ZodType ? z.infer<Schema> : Record<string, string | number | boolean>;
type ModelName<Models> = Extract<keyof Models, string>;

export interface OAuth2Credentials {
  type: 'OAUTH2' | 'OAUTH2_CC';
  access_token: string;
  refresh_token?: string;
  expires_at?: Date | string;
  raw: Record<string, Untyped>;
}

export interface OAuth1Credentials {
  type: 'OAUTH1';
  oauth_token: string;
  oauth_token_secret: string;
  raw: Record<string, Untyped>;
}

export interface BasicCredentials {
  type: 'BASIC';
  username: string;
  password: string;
}

export interface ApiKeyCredentials {
  type: 'API_KEY';
  apiKey: string;
}

/** Every other kind; look at `type` before you read a field. */
export interface OtherCredentials {
  type: 'APP' | 'APP_STORE' | 'CUSTOM' | 'NONE' | 'TBA' | 'JWT' | 'BILL' | 'TWO_STEP' | 'SIGNATURE' | 'TABLEAU' | 'AWS_SIGV4' | 'MCP_OAUTH2'; // prettier-ignore
  [field: string]: Untyped;
}

export type Credentials =
  OAuth2Credentials | OAuth1Credentials | BasicCredentials | ApiKeyCredentials | OtherCredentials;

/** A connection as `GET /connections/:id` shows it. */
export interface Connection {
  id: number;
  connection_id: string;
  provider_config_key: string;
  provider: string;
  credentials: Credentials;
  connection_config: Record<string, Untyped>;
  metadata: Record<string, Untyped>;
  tags?: Record<string, string>;
  end_user: Untyped;
  errors: { type: string; log_id: string }[];
  created_at: string;
  updated_at: string;
  last_fetched_at: string;
}

export interface Integration {
  unique_key: string;
  provider: string;
  display_name: string;
  logo?: string;
  created_at: string;
  updated_at: string;
  webhook_url?: string | null;
  credentials?: Untyped;
}

/** What the record cache knows about a record. */
export interface RecordMetadata {
  first_seen_at: string;
  last_modified_at: string;
  last_action: 'ADDED' | 'UPDATED' | 'DELETED';
  deleted_at: string | null;
  pruned_at: string | null;
  cursor: string;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'off';

/** Thrown with `throw new nango.ActionError({ message, … })`: the caller gets its argument as `payload`. */
export interface ActionErrorClass {
  new (payload?: Record<string, unknown> | string): Error & { type: string; payload: unknown };
}

/**
 * The script object: the first argument of every function, whatever you call it. It acts for one connection; the
 * credentials are added outside of the process that runs your code.
 *
 * Every method ends the run with `script_aborted` after a cancellation, and with `execution_timeout` past the limit.
 */
export interface NangoAction<Metadata = undefined, Checkpoint = undefined> {
  readonly connectionId: string;
  /** Unique key of the integration. */
  readonly providerConfigKey: string;
  readonly provider: string;
  readonly environmentId: number;
  readonly environmentName: string;
  readonly accountId: number;
  /** Public id of the run. */
  readonly activityLogId: string;
  readonly nangoConnectionId: number;
  readonly syncId?: string;
  readonly syncJobId?: number;
  /** True in a dry run. */
  readonly isCLI: boolean;
  readonly scriptType: string;
  readonly telemetryBag: Untyped;
  /** Aborted when the run is cancelled or ends. */
  readonly abortSignal: AbortSignal;
  readonly ActionError: ActionErrorClass;

  /** Calls the provider's API with the connection's credentials. Rejects with an axios-like error outside of 200–299. */
  proxy<T = Untyped>(config: ProxyConfiguration): Promise<ScriptResponse<T>>;
  get<T = Untyped>(config: Omit<ProxyConfiguration, 'method'>): Promise<ScriptResponse<T>>;
  post<T = Untyped>(config: Omit<ProxyConfiguration, 'method'>): Promise<ScriptResponse<T>>;
  put<T = Untyped>(config: Omit<ProxyConfiguration, 'method'>): Promise<ScriptResponse<T>>;
  patch<T = Untyped>(config: Omit<ProxyConfiguration, 'method'>): Promise<ScriptResponse<T>>;
  delete<T = Untyped>(config: Omit<ProxyConfiguration, 'method'>): Promise<ScriptResponse<T>>;
  /** The pages of a listing, each a list. */
  paginate<T = Untyped>(config: ProxyConfiguration): AsyncGenerator<T[], undefined, void>;
  /** Plain HTTP without credentials, to public addresses only. */
  uncontrolledFetch(options: {
    url: URL | string;
    method?: string;
    headers?: Record<string, string>;
    body?: string | URLSearchParams | Uint8Array | ArrayBuffer | FormData | Blob | null;
  }): Promise<Response>;

  /** This connection, or another one of the same environment; remembered for 60 s unless an option is set. */
  getConnection(
    providerConfigKey?: string,
    connectionId?: string,
    options?: { refreshToken?: boolean; forceRefresh?: boolean; [option: string]: boolean | undefined },
  ): Promise<Connection>;
  /** OAuth 2: the access token. OAuth 1: both parts. Else the whole credentials. */
  getToken(): Promise<string | { oAuthToken: string; oAuthTokenSecret: string } | Credentials>;
  getIntegration(options?: { include?: ('webhook' | 'credentials')[] }): Promise<Integration>;
  getMetadata<T = Data<Metadata>>(): Promise<T>;
  /** Replaces the connection's metadata. */
  setMetadata(metadata: Data<Metadata>): Promise<void>;
  /** Merges into the connection's metadata, first level only. */
  updateMetadata(metadata: Partial<Data<Metadata>>): Promise<void>;
  /** @deprecated Use updateMetadata. */
  setFieldMapping(mapping: Record<string, string>): Promise<void>;
  /** @deprecated Use getMetadata. */
  getFieldMapping<T = Data<Metadata>>(): Promise<T>;
  /** URL to register at the provider for its webhooks; null where it has none. */
  getWebhookURL(): Promise<string | null>;
  getEnvironmentVariables(): Promise<{ name: string; value: string }[] | null>;
  getFlowAttributes<T = Record<string, Untyped>>(): T;

  /** Writes a log line of the run: message, payload, `{ level }`. Default level: info. */
  log(...args: unknown[]): void;
  /** Lines below are dropped; `off` is final. Default: warn, in a dry run debug. */
  setLogger(options: { level: LogLevel }): void;

  /** Runs another action and gives its output. */
  triggerAction<Input = unknown, Output = Untyped>(
    providerConfigKey: string,
    connectionId: string,
    actionName: string,
    input?: Input,
  ): Promise<Output>;
  triggerSync(
    providerConfigKey: string,
    connectionId: string,
    sync: string | { name: string; variant: string },
    options?: Untyped,
  ): Promise<void>;
  startSync(
    providerConfigKey: string,
    syncs: (string | { name: string; variant: string })[],
    connectionId?: string,
  ): Promise<void>;

  /** Checks an input; logs every issue and throws an ActionError when it does not fit. */
  zodValidateInput<Schema extends z.ZodType>(options: {
    zodSchema: Schema;
    input: unknown;
  }): Promise<z.ZodSafeParseSuccess<z.infer<Schema>>>;

  /** Takes a lock of the environment for this run; false when another run has it. Released when the run ends. */
  tryAcquireLock(options: { key: string; ttlMs: number }): Promise<boolean>;
  releaseLock(options: { key: string }): Promise<boolean>;
  releaseAllLocks(): Promise<void>;

  /** What an earlier run of this function saved for this connection, or null. */
  getCheckpoint(): Promise<CheckpointOf<Checkpoint> | null>;
  /** Saves where the next run goes on. Near the time limit it ends the run; the next one resumes. */
  saveCheckpoint(checkpoint: CheckpointOf<Checkpoint>): Promise<void>;
  clearCheckpoint(): Promise<void>;
}

/** The script object of a sync: everything of an action's, and the record cache. */
export interface NangoSync<
  Models extends ModelSchemas = ModelSchemas,
  Metadata = undefined,
  Checkpoint = undefined,
> extends NangoAction<Metadata, Checkpoint> {
  /** Start of the last successful run; absent on the first one and after a reset. */
  readonly lastSyncDate?: Date;
  readonly track_deletes: boolean;
  readonly emptyCache: boolean;
  /** `base` unless the sync is a named copy. */
  readonly variant: string;

  /** Adds and replaces records by `id`. Writes of one run keep their order. Errors: `invalid_sync_record`. */
  batchSave<Name extends ModelName<Models>>(records: z.input<Models[Name]>[], model: Name): Promise<boolean | null>;
  /** @deprecated Use batchSave. */
  batchSend<Name extends ModelName<Models>>(records: z.input<Models[Name]>[], model: Name): Promise<boolean | null>;
  /** Merges into records that are there; lists are replaced whole, unknown ids are ignored. */
  batchUpdate<Name extends ModelName<Models>>(
    records: DeepPartial<z.input<Models[Name]>>[],
    model: Name,
  ): Promise<boolean | null>;
  /** Marks records as deleted, by `id`. */
  batchDelete<Name extends ModelName<Models>, Row extends { id: string | number }>(
    records: Row[],
    model: Name,
  ): Promise<boolean | null>;
  getRecordsByIds<Id extends string | number, Name extends ModelName<Models>>(
    ids: Id[],
    model: Name,
  ): Promise<Map<Id, z.infer<Models[Name]> & { _nango_metadata: RecordMetadata }>>;
  listRecords<Name extends ModelName<Models>>(
    model: Name,
    options?: { cursor?: string },
  ): AsyncGenerator<z.infer<Models[Name]> & { _nango_metadata: RecordMetadata }>;
  /** Begins a complete listing; survives runs that are resumed. */
  trackDeletesStart(model: ModelName<Models>): Promise<void>;
  /** Ends it: records not saved since the start are deleted. */
  trackDeletesEnd(model: ModelName<Models>): Promise<{ deletedKeys: string[] }>;
  /** @deprecated Use trackDeletesStart and trackDeletesEnd. */
  deleteRecordsFromPreviousExecutions(model: ModelName<Models>): Promise<{ deletedKeys: string[] }>;
  /** Call it before saving. `ignore_if_modified_after`: later writes skip records that changed meanwhile. */
  setMergingStrategy(
    merging: { strategy: 'override' | 'ignore_if_modified_after' },
    model: ModelName<Models>,
  ): Promise<void>;
}

export type DeepPartial<T> = T extends (infer _Item)[]
  ? T
  : T extends object
    ? { [Key in keyof T]?: DeepPartial<T[Key]> }
    : T;
