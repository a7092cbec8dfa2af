/** How the rest of the program sees the place where the app's own code runs. */

/** What a script is told about itself; plain data, no secret. */
export interface ScriptContext {
  kind: 'sync' | 'action' | 'on-event';
  /** Name of the function. */
  name: string;
  connectionId: string;
  providerConfigKey: string;
  provider: string;
  environmentName: string;
  environmentId: number;
  /** Row id of the connection. */
  nangoConnectionId: number;
  /** Public id of the run. */
  runId: string;
  /** Public id of the sync; syncs only. */
  syncId?: string;
  /** Syncs only; `base` unless the sync is a named copy. */
  variant?: string;
  /** ISO 8601: start of the last successful run. Absent on the first run and after a reset. */
  lastSyncDate?: string;
  /** Models the sync may write. */
  models?: string[];
  trackDeletes?: boolean;
  emptyCache?: boolean;
  isCLI?: boolean;
  /** Names are kept for scripts that print them. */
  attributes?: Record<string, unknown>;
  loggerLevel?: 'debug' | 'info' | 'warn' | 'error' | 'off';
  /** How the provider pages; `paginate` of a script goes over it. */
  paginate?: Record<string, unknown>;
  /** What a script may read as `nango.accountId` and `nango.syncJobId`. */
  accountId?: number;
  syncJobId?: number;
}

export interface ScriptLimits {
  /** The run is given up and killed after this. */
  timeoutMs: number;
  /** From here on `saveCheckpoint` ends the run so that the next one resumes. Default: 80 % of `timeoutMs`. */
  softTimeoutMs?: number;
  /** JSON text of the output. Default 2 MiB. */
  outputBytesMax?: number;
}

/** Why a script did not end well; what the caller of an action gets, too (wire contract A.4, F.6). */
export interface ScriptFailure {
  code:
    | 'action_script_runtime_error'
    | 'script_http_error'
    | 'script_network_error'
    | 'script_internal_error'
    | 'script_aborted'
    | 'script_output_too_large'
    | 'execution_timeout'
    /** `saveCheckpoint` past the soft limit: the checkpoint is kept, the next run goes on from it. No failure. */
    | 'script_interrupted'
    /**
     * The process ended under it: crashed, or killed by the system. `payload.neighbour` is true when other runs shared
     * the process, so that this one may have done nothing wrong: it may be tried again, `alone`.
     */
    | 'function_runtime_crashed'
    | 'function_runtime_out_of_memory'
    /** An error of ours that a method of the script object met, and that the script did not catch. */
    | (string & {});
  /** Says what happened and, where it can, what to do. */
  message: string;
  /** What the script gave to ActionError, or details of the error. */
  payload?: unknown;
  /** `script_http_error`: what the provider answered. */
  upstream?: { status: number; headers: Record<string, string>; body: unknown };
  /** Stack with the lines of the TypeScript source. */
  stack?: string;
}

export interface SandboxRun {
  environmentId: number;
  /** CommonJS whose `exports.default` is the definition with `exec` (and `onWebhook`). */
  bundle: { hash: string; code: string };
  entry: 'exec' | 'onWebhook';
  /** Second argument of the entry (JSON value). */
  input: unknown;
  context: ScriptContext;
  limits: ScriptLimits;
  /**
   * Answers a method of the script object; see `docs` of {@link HOST_METHODS}. Values are JSON. A rejection with a
   * HawserError reaches the script as an error with its `code`.
   */
  host(method: string, args: readonly unknown[]): Promise<unknown>;
  /** Aborted: the script is told, and killed some seconds later. */
  signal?: AbortSignal;
  /** A process of its own instead of a shared one: long syncs. */
  alone?: boolean;
}

export type SandboxResult = { ok: true; output: unknown } | { ok: false; error: ScriptFailure };

export interface Sandbox {
  /** Never rejects for what the script does. Errors: `sandbox_unavailable` when no process can be started. */
  run(run: SandboxRun): Promise<SandboxResult>;
  stats(): { processes: number; running: number; started: number; killed: number };
  /** Ends what runs (as aborted) and every process. */
  close(): Promise<void>;
}

/**
 * What a script may ask of its host, by name. Arguments and results are JSON values.
 *
 * - `proxy(ProxyCall)` → `ProxyAnswer`; rejects `script_network_error` without an answer. The child makes the
 *   axios-like response and error of it.
 * - `getConnection(key|null, id|null, {refreshToken?, forceRefresh?, refreshGithubAppJwtToken?})` → as `GET /connections/:id`
 * - `getIntegration({include?})` → as `GET /integrations/:key` (`data`)
 * - `setMetadata(obj)`, `updateMetadata(obj)` → null
 * - `getWebhookURL()` → string or null · `getEnvironmentVariables()` → `[{name, value}]`
 * - `log([{level, message, payload?, at}])` → null; batches, not waited for
 * - `triggerAction(key, connectionId, name, input)` → output; rejects with the action's failure
 * - `triggerSync(key, connectionId, sync | {name, variant}, options?)` → null · `startSync(key, syncs, connectionId?)` → null
 * - `uncontrolledFetch({url, method, headers, bodyBase64?})` → `{status, statusText, headers, bodyBase64}`
 * - `tryAcquireLock({key, ttlMs})` → boolean · `releaseLock({key})` → boolean · `releaseAllLocks()` → null
 * - `getCheckpoint()` → object or null · `saveCheckpoint(obj)` → null · `clearCheckpoint()` → null
 * - syncs: `batchSave(records, model)`, `batchUpdate(records, model)`, `batchDelete(records, model)` →
 *   `{added, updated, deleted, unchanged}` · `getRecordsByIds(ids, model)` → `[[id text, record]]` ·
 *   `listRecords(model, cursor|null)` → `{records, nextCursor}` · `trackDeletesStart(model)` → null ·
 *   `trackDeletesEnd(model)` → `{deletedKeys}` · `deleteRecordsFromPreviousExecutions(model)` → `{deletedKeys}` ·
 *   `setMergingStrategy({strategy}, model)` → null
 */
export const HOST_METHODS = [
  'proxy',
  'getConnection',
  'getIntegration',
  'setMetadata',
  'updateMetadata',
  'getWebhookURL',
  'getEnvironmentVariables',
  'log',
  'triggerAction',
  'triggerSync',
  'startSync',
  'uncontrolledFetch',
  'tryAcquireLock',
  'releaseLock',
  'releaseAllLocks',
  'getCheckpoint',
  'saveCheckpoint',
  'clearCheckpoint',
  'batchSave',
  'batchUpdate',
  'batchDelete',
  'getRecordsByIds',
  'listRecords',
  'trackDeletesStart',
  'trackDeletesEnd',
  'deleteRecordsFromPreviousExecutions',
  'setMergingStrategy',
] as const;
export type HostMethod = (typeof HOST_METHODS)[number];

export interface ProxyCall {
  method: string;
  /** Path or absolute URL, as the script gave it; `params` are already in it. */
  endpoint: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** Exactly one of both, or none. */
  bodyText?: string;
  bodyBase64?: string;
  retries?: number;
  /** `429`, `5xx`, `500-502`; added to what is retried anyway. */
  retryOn?: (number | string)[];
  retryHeader?: { at?: string; after?: string };
  baseUrlOverride?: string;
  /** Of another integration or connection of the same environment. */
  providerConfigKey?: string;
  connectionId?: string;
}

export interface ProxyAnswer {
  status: number;
  statusText: string;
  headers: Record<string, string>;
  /** The body: text when it is UTF-8, else base64. */
  bodyText?: string;
  bodyBase64?: string;
}
