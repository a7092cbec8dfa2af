import type { Sql } from '../../platform/postgres/index.ts';

/** Counters of one write (wire contract G.7); unchanged ones are no news to the app. */
export interface RecordCounts {
  added: number;
  updated: number;
  deleted: number;
  unchanged: number;
}

/** Where records live: one model of one connection. A named copy of a sync writes `Model::variant`. */
export interface RecordPlace {
  environmentId: number;
  /** Row id of the connection. */
  connectionId: number;
  /** With `::variant` where it is not `base`. */
  model: string;
}

export interface RecordWrite extends RecordPlace {
  action: 'save' | 'update' | 'delete';
  /** As the script gave them: at most 1000, each an object with `id`. */
  records: readonly unknown[];
  /** Row id of the sync that owns the model's records. */
  syncId: number;
  /** Row id of the run: the generation every saved row is stamped with, changed or not. */
  generation: number;
  /**
   * Runs in the transaction that writes, after the rows: checks the run's lease (throws to undo all of it), notes
   * counters, checkpoint or events.
   */
  inTransaction?(tx: Sql, counts: RecordCounts): Promise<void>;
  /** Told what was left out, for the log of the run: ids that stand in the batch twice. */
  onWarning?(message: string): void;
}

export type MergingStrategy = 'override' | 'ignore_if_modified_after';

/** A record as the app and scripts read it: its data with `id` and `_nango_metadata` (wire contract G.2). */
export type RecordView = Record<string, unknown> & { id: string | number; _nango_metadata: RecordMetadata };

export interface RecordMetadata {
  first_seen_at: string;
  last_modified_at: string;
  last_action: 'ADDED' | 'UPDATED' | 'DELETED';
  deleted_at: string | null;
  pruned_at: string | null;
  cursor: string;
}

export interface RecordQuery extends RecordPlace {
  /** 1 to 10,000. */
  limit: number;
  cursor?: string | undefined;
  modifiedAfter?: Date | undefined;
  /** The same in microseconds since 1970: stamps of records have them. */
  modifiedAfterMicros?: number | undefined;
  actions?: ('ADDED' | 'UPDATED' | 'DELETED')[] | undefined;
  ids?: string[] | undefined;
}

export interface Records {
  /**
   * One transaction per call: rows, tombstones, change-feed position, counts, `inTransaction`. A record whose content is
   * the same moves nothing but its generation.
   * Errors: `invalid_sync_record` (400: no id, no object, too large, not JSON), `connection_gone` (410), `database_*`.
   */
  write(write: RecordWrite): Promise<RecordCounts>;
  /** Rows in order of modification; strictly after the cursor. Errors: `invalid_cursor` (400), also one of another place. */
  list(query: RecordQuery): Promise<{ records: RecordView[]; nextCursor: string | null }>;
  /** The same page as JSON text of the records' list, spliced and not parsed: for the API. */
  page(query: RecordQuery): Promise<{ recordsJson: Buffer; nextCursor: string | null }>;
  byIds(place: RecordPlace, ids: readonly string[]): Promise<RecordView[]>;
  /** Empties payloads up to and including the cursor. */
  prune(query: RecordPlace & { untilCursor: string; limit: number }): Promise<{ count: number; hasMore: boolean }>;
  /** Living records by model. */
  counts(
    sql: Sql | undefined,
    environmentId: number,
    connectionId: number,
    models: readonly string[],
  ): Promise<Record<string, number>>;
  /** Row ids of the connections of an integration that hold a living record with this id, in any model. */
  holders(sql: Sql, environmentId: number, integrationId: number, externalId: string): Promise<number[]>;
  /** The first call per model in a run wins. Resolves to false when this one came too late and changed nothing. */
  setMergingStrategy(place: RecordPlace & { generation: number; strategy: MergingStrategy }): Promise<boolean>;
  /**
   * Soft-deletes rows of the model not saved since generation `since`, in one transaction with `inTransaction`.
   * Errors: `mass_deletion_held` (409) when more than the guard's share would go and nobody has confirmed: then nothing
   * is deleted and the generation is held for {@link Records.confirmDeletion}.
   */
  deleteNotSavedSince(
    place: RecordPlace & {
      syncId: number;
      since: number;
      inTransaction?(tx: Sql, counts: RecordCounts): Promise<void>;
    },
  ): Promise<{ deletedKeys: string[]; counts: RecordCounts }>;
  /** A person says that the held deletion is right: the next detection of this model passes. */
  confirmDeletion(place: RecordPlace): Promise<boolean>;
  /** Held deletions, for people. */
  held(
    environmentId: number,
  ): Promise<(RecordPlace & { total: number; missing: number; at: Date; confirmed: boolean })[]>;
  /**
   * Hard-deletes every row of these models, in batches. `inTransaction`: in that of each batch, behind the model's lock;
   * throws to let the rest be, such as when the run that wants it has lost its lease.
   */
  empty(
    environmentId: number,
    connectionId: number,
    models: readonly string[],
    inTransaction?: (tx: Sql) => Promise<void>,
  ): Promise<void>;
  /** Every row of a connection; in batches, in the background of a disconnect. */
  emptyConnection(environmentId: number, connectionId: number): Promise<void>;
  /** Retention: payloads unchanged for 30 days are pruned, syncs that have not run for 60 days lose their rows. */
  start(): () => Promise<void>;
}
