/** What an entry is about. */
export type ActivityKind = 'connect' | 'call' | 'refresh' | 'disconnect' | 'state' | 'import';

export interface ActivityEntry {
  environmentId: number;
  kind: ActivityKind;
  ok: boolean;
  /** Row id of the connection. */
  connectionId?: number | undefined;
  /** Unique key of the integration. */
  integration?: string | undefined;
  /** One line for people, without secrets, query strings or bodies. */
  summary: string;
  /** Small facts: status, durationMs, code. */
  detail?: Record<string, string | number | boolean>;
}

export interface Activity {
  /** Queues the entry; written within a second, dropped (and counted in the log) when the queue is full. */
  record(entry: ActivityEntry): void;
  /** Newest first. */
  list(query: {
    environmentId: number;
    connectionId?: number;
    limit: number;
  }): Promise<(ActivityEntry & { id: number; at: Date })[]>;
  flush(): Promise<void>;
  close(): Promise<void>;
}
