/**
 * States of a database: ordinary ─▶ quarantined (restored here, or found to be a copy) ─▶ ordinary (accepted by a person).
 */
export interface Quarantine {
  since: Date;
  reason: QuarantineReason;
}

export type QuarantineReason =
  /** By `hawser restore`. */
  | 'restored'
  /** The row lies on another server, in another database or in another table than the nodes left it. */
  | 'other_place'
  /** A node has seen a later state than the database holds. */
  | 'older_state'
  /** The data folder with the embedded database is a copy. */
  | 'copied_folder';

export interface Recovery {
  /** True: nothing may be sent to a provider, and nothing may be sent or deleted because of its age. */
  isQuarantined(): boolean;
  /** Undefined in ordinary operation. */
  readonly quarantine: Quarantine | undefined;
  /** Looks again now and moves the mark. Errors: those of the database. */
  beat(): Promise<void>;
  /** Beats every 15 s until the returned function has resolved. */
  start(): () => Promise<void>;
}

/** First line of a backup: what can be known of it without reading on. */
export interface BackupHeader {
  format: 1;
  /** Of the program that made it. */
  version: string;
  /** Newest migration of the database. */
  schema: string;
  migrations: { name: string; checksum: string }[];
  /** PostgreSQL's own identifier of the server; empty where it does not tell. */
  systemIdentifier: string;
  /** Encryption keys that the data keys are wrapped with: names, not keys. */
  encryptionKeys: string[];
  /** ISO 8601, by the database's clock. */
  createdAt: string;
  /** In the order in which they can be filled. */
  tables: { name: string; columns: string[]; rowsAbout: number }[];
}

/** `total` is an estimate before the end. */
export type OnProgress = (progress: { phase: 'check' | 'backup' | 'restore'; done: number; total: number }) => void;
