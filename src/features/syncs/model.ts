import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KillPoints } from '../../platform/kill-points.ts';
import type { Database, Sql } from '../../platform/postgres/index.ts';
import type { Connection, Connections } from '../connections/index.ts';
import type { Functions } from '../functions/index.ts';
import type { Integration, IntegrationService } from '../integrations/index.ts';
import type { Records } from '../records/index.ts';
import type { Runs } from '../runs/index.ts';

/**
 * One sync of one connection, in one variant.
 *
 *   paused ─▶ started     start, or created by a function that starts by itself
 *   started ─▶ paused     pause, or the connection was deleted
 *
 * While `started` it is due once per slot; a slot that comes while a run is queued or running passes.
 */
export type SyncState = 'started' | 'paused';

export interface Sync {
  environmentId: number;
  /** Row id. */
  id: number;
  /** Public id. */
  uuid: string;
  functionId: number;
  /** Row id. */
  connectionId: number;
  /** `base` unless it is a named copy. */
  variant: string;
  state: SyncState;
  periodMs: number;
  periodIsOwn: boolean;
  /** Next slot; undefined while paused. */
  dueAt: Date | undefined;
  /** The next run deletes the records first. */
  emptyFirst: boolean;
  /** Start of the last run that succeeded; undefined before the first and after a reset. */
  lastSuccessAt: Date | undefined;
  lastFinishedAt: Date | undefined;
  lastOutcome: 'succeeded' | 'failed' | 'cancelled' | undefined;
  lastDurationMs: number | undefined;
  /** By model, of the last run. */
  lastCounts: Record<string, { added: number; updated: number; deleted: number }> | undefined;
}

/** The copy every connection has. */
export const BASE_VARIANT = 'base';

/** A sync as callers name it. */
export interface SyncName {
  name: string;
  variant: string;
}

export interface SyncsDeps {
  db: Database;
  clock: Clock;
  log: Log;
  connections: Pick<Connections, 'byId' | 'byPublicId' | 'ofIntegration' | 'writeEvent'>;
  integrations: Pick<IntegrationService, 'byKey' | 'byId'>;
  functions: Pick<Functions, 'byId' | 'list' | 'onChange'>;
  records: Records;
  runs: Runs;
  /** Whether the environment wants to hear of runs that changed nothing. Default: no. */
  tellsUnchanged?: ((sql: Sql, environmentId: number) => Promise<boolean>) | undefined;
  /** For tests. Default: none is armed. */
  killPoints?: KillPoints;
}

/** How a sync is asked to run now. */
export interface TriggerMode {
  /** Forgets where it stopped: cancels what runs, clears last date, checkpoint and marks. */
  reset: boolean;
  /** Deletes the records before the run; only together with `reset`. */
  emptyCache: boolean;
}

/** Where a call is aimed: one connection, or every one of the integration. */
export interface SyncTarget {
  environmentId: number;
  integration: Integration;
  connection: Connection | undefined;
}

/** A provider's event, as the functions of an integration are told. */
export interface WebhookCall {
  environmentId: number;
  integrationId: number;
  /** Row ids of the connections it is about. */
  connectionIds: readonly number[];
  /** Its type and the values of its headers: what syncs subscribe to. */
  names: readonly string[];
  /** Parsed, without secrets. */
  body: unknown;
}

export interface SyncStatus {
  sync: Sync;
  name: string;
  models: string[];
  /** Public id of the connection. */
  connectionId: string;
  status: 'RUNNING' | 'PAUSED' | 'STOPPED' | 'SUCCESS' | 'ERROR';
  latestExecutionStatus: 'RUNNING' | 'SUCCESS' | 'STOPPED' | 'ERROR' | undefined;
  recordCount: Record<string, number>;
  checkpoint: Record<string, unknown> | undefined;
}

export interface Syncs {
  /** `names` empty: all. Errors: `no_syncs_found` (names before the unknown one were triggered). */
  trigger(
    target: SyncTarget,
    names: readonly SyncName[],
    mode: TriggerMode,
    trigger?: 'api' | 'script' | 'cli',
  ): Promise<void>;
  /** Errors: `no_syncs_found`. */
  start(target: SyncTarget, names: readonly SyncName[]): Promise<void>;
  /** Stops the schedule and cancels what is queued or runs. Errors: `no_syncs_found`. */
  pause(target: SyncTarget, names: readonly SyncName[]): Promise<void>;
  /** `names` empty: all. Unknown names are left out. */
  status(target: SyncTarget, names: readonly SyncName[]): Promise<SyncStatus[]>;
  /** Undefined: back to the definition's. Errors: `unknown_sync`. Resolves to the period in force. */
  setPeriod(
    target: SyncTarget & { connection: Connection },
    name: SyncName,
    periodMs: number | undefined,
  ): Promise<number>;
  /** Errors: `unknown_sync`, `invalid_variant`, `sync_variant_already_exists`, `resource_capped`. */
  createVariant(target: SyncTarget & { connection: Connection }, name: SyncName): Promise<Sync>;
  /** With its records. Errors: `invalid_variant`, `not_found`. */
  deleteVariant(target: SyncTarget & { connection: Connection }, name: SyncName): Promise<void>;
  /** False: no sync of the integration wants to be told of webhooks. */
  hasSubscribers(sql: Sql, environmentId: number, integrationId: number): Promise<boolean>;
  /** Queues what the syncs of these connections do about a provider's event. In the caller's transaction. */
  onWebhook(tx: Sql, call: WebhookCall): Promise<void>;
  /** False: it is gone, or has ended no run for `ageMs`. */
  hasRunWithin(environmentId: number, syncId: number, ageMs: number): Promise<boolean>;
  /** One look at what is due; resolves to how many runs were queued. */
  sweep(): Promise<number>;
  /** Looks every second until the returned function has resolved. */
  startSchedules(): () => Promise<void>;
}
