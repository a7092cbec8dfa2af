import type { Sql } from '../../platform/postgres/index.ts';
import type { ScriptFailure } from '../../platform/sandbox/index.ts';
import type { Connection } from '../connections/index.ts';
import type { LiveConnection } from '../credentials/index.ts';
import type { DeployedFunction } from '../functions/index.ts';
import type { Integration } from '../integrations/index.ts';

/**
 * One execution of a function.
 *
 *   queued ─▶ running ─▶ succeeded | failed | cancelled
 *   running ─▶ queued         the node that held it is gone, or it failed and has tries left
 *   queued ─▶ cancelled       nobody wants it any more
 *
 * `running` is a lease: owner, epoch and end. Every write of a run carries the epoch; a later owner has a higher one.
 */
export type RunState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
export type RunKind = 'sync' | 'action' | 'on-event' | 'webhook';
/** What made it run. */
export type RunTrigger = 'schedule' | 'api' | 'deploy' | 'connect' | 'disconnect' | 'webhook' | 'script' | 'cli';

export interface Run {
  environmentId: number;
  /** Row id: also the generation of the records a sync saves; rises with every run. */
  id: number;
  /** Public id. */
  uuid: string;
  kind: RunKind;
  trigger: RunTrigger;
  state: RunState;
  functionId: number;
  functionName: string;
  /** Row id; 0 while a connection is validated that is not stored yet. */
  connectionId: number;
  integrationId: number;
  /** Undefined: ran at once, without the queue. */
  lane: string | undefined;
  /** Row id of the sync, for syncs and webhooks of syncs. */
  syncId: number | undefined;
  version: string;
  attempts: number;
  attemptsMax: number;
  leaseEpoch: number;
  error: ScriptFailure | undefined;
  /** By model. */
  counts: Record<string, { added: number; updated: number; deleted: number }>;
  cancelRequested: boolean;
  queuedAt: Date;
  startedAt: Date | undefined;
  finishedAt: Date | undefined;
  durationMs: number | undefined;
}

export interface RunRequest {
  environmentId: number;
  kind: RunKind;
  trigger: RunTrigger;
  fn: DeployedFunction;
  connection: Pick<Connection, 'id'>;
  /** Spares a read of what the caller has at hand. */
  known?: { connection: Connection; integration: Integration };
  input?: unknown;
  syncId?: number;
  /** At most one run of a lane runs at a time, on all nodes together. */
  lane: string;
  /** With `syncId`: one run per slot, whoever asks. A second one resolves to undefined. */
  slotAt?: Date;
  /** Not before. Default: now. */
  runAt?: Date;
  /**
   * Tries after a failure. Default 0. When its node is lost, an action is tried again only if it has tries left (it may
   * have paid); everything else is taken up by another node, five times at most.
   */
  retries?: number;
  /** The same key within 24 h names the same run; `request` is what was asked, to refuse another question. */
  idempotency?: { key: string; request: string };
  /**
   * True: resolves to undefined while another run of the lane is queued or running, unless that one is being cancelled.
   * Who asks for the same lane at the same moment must be kept apart by a lock of the caller's.
   */
  unlessActive?: boolean;
}

/** What a kind of run adds to the common way of running (syncs: records, last date, next slot, the event to the app). */
export interface RunHooks {
  /** Context and limits beside the common ones; may refuse by throwing a HawserError. */
  prepare(run: RunContext): Promise<{
    context?: Record<string, unknown>;
    timeoutMs?: number;
    alone?: boolean;
    /** Methods of the script object beyond the common ones; see HOST_METHODS. */
    host?: Record<string, (...args: never[]) => Promise<unknown>>;
  }>;
  /** The script has ended well and the run is still held; may write, and may throw to let the run fail. */
  completing?(run: RunContext): Promise<void>;
  /** Looks at what a script returned; what it throws is the failure of the run. */
  checkOutput?(run: RunContext, output: unknown): void;
  /** False: `finished` has nothing to do for this run, which then ends in a single statement. Default true. */
  tells?(run: Run): boolean;
  /** In the transaction that ends the run. Not called when a later try follows. */
  finished?(
    tx: Sql,
    run: RunContext,
    result: { ok: true } | { ok: false; error: ScriptFailure; cancelled: boolean },
  ): Promise<void>;
}

export interface RunContext {
  run: Run;
  fn: DeployedFunction;
  connection: Connection;
  integration: Integration;
  /** Throws `run_superseded` (409) unless this run still holds its lease; holds it against others until the commit. */
  fence(tx: Sql): Promise<void>;
  /** A line in the run's log, said by us. */
  note(level: 'info' | 'warn', message: string, payload?: unknown): void;
  /** Adds to the run's counters. */
  count(tx: Sql, model: string, counts: { added: number; updated: number; deleted: number }): Promise<void>;
}

export interface ExecuteOptions {
  signal?: AbortSignal;
  /** How many runs this one hangs below; capped. Default 0. */
  depth?: number;
  /** Used instead of the stored credential: a connection that is not stored yet. */
  candidate?: LiveConnection;
  /** Default: by kind (J.1). */
  timeoutMs?: number;
}

export type RunResult = { ok: true; output: unknown } | { ok: false; error: ScriptFailure };

export interface Runs {
  /** Runs now, in this process, no queue in the way; the record of it is durable before the script starts. */
  execute(
    request: Omit<RunRequest, 'lane' | 'slotAt' | 'runAt' | 'retries'>,
    options?: ExecuteOptions,
  ): Promise<{ run: Run; result: RunResult }>;
  /**
   * In the caller's transaction; a node takes it up after the commit. Undefined: this slot has its run already. With
   * `idempotency` it resolves to the earlier run. Errors: `idempotency_key_reused`.
   */
  enqueue(tx: Sql, request: RunRequest): Promise<Run | undefined>;
  /** Queued ones end at once, running ones are aborted wherever they run. Resolves to how many. */
  cancel(
    tx: Sql,
    filter: { environmentId: number; id?: number; syncId?: number; connectionId?: number; functionId?: number },
  ): Promise<number>;
  byUuid(environmentId: number, uuid: string): Promise<Run | undefined>;
  /** The result of an ended run. */
  result(run: Run): Promise<RunResult | undefined>;
  list(query: {
    environmentId: number;
    integrationId?: number;
    connectionId?: number;
    functionId?: number;
    syncId?: number;
    state?: RunState;
    limit: number;
    before?: number;
  }): Promise<Run[]>;
  logs(
    run: Run,
    options?: { limit?: number; after?: number },
  ): Promise<{ id: number; at: Date; level: string; message: string; payload?: unknown }[]>;
  /** One per kind, before `start`. */
  register(kind: RunKind, hooks: RunHooks): void;
  /** Where functions stopped. */
  readonly checkpoints: Checkpoints;
  readonly variables: Variables;
  /** Takes up queued runs until the returned function is called, which lets running ones end or hands them back. */
  start(): () => Promise<void>;
}

export interface CheckpointPlace {
  environmentId: number;
  /** Row id. */
  connectionId: number;
  kind: RunKind;
  /** Of the function, or another name of the caller's. */
  name: string;
  variant: string;
}

export interface Checkpoint {
  data: Record<string, unknown>;
  version: number;
}

export interface Checkpoints {
  get(sql: Sql, place: CheckpointPlace): Promise<Checkpoint | undefined>;
  /** `expected`: version read before, 0 for none. Errors: `checkpoint_conflict` (409) when somebody else was faster. */
  save(tx: Sql, place: CheckpointPlace, data: Record<string, unknown>, expected: number): Promise<number>;
  clear(tx: Sql, place: CheckpointPlace): Promise<void>;
}

/** Values that the app gives to its functions. */
export interface Variables {
  list(environmentId: number): Promise<{ name: string; value: string }[]>;
  /** Errors: `too_many_variables`. */
  set(environmentId: number, name: string, value: string): Promise<void>;
  remove(environmentId: number, name: string): Promise<boolean>;
}

/** What the syncs slice binds, so that scripts can ask for it. */
export interface SyncControl {
  trigger(
    target: { environmentId: number; integration: Integration; connection: Connection },
    sync: { name: string; variant: string },
    options: unknown,
  ): Promise<void>;
  start(
    target: { environmentId: number; integration: Integration; connection: Connection | undefined },
    syncs: { name: string; variant: string }[],
  ): Promise<void>;
}
