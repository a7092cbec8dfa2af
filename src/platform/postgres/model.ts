/** Shapes the rest of the program sees of the database. */

export interface Sql {
  /**
   * Runs one statement and resolves to its rows. With `name` it is a named prepared statement: one name, one text.
   * `bigint` columns are numbers when safe (else strings), `timestamptz` dates, `date` strings, `jsonb` parsed.
   *
   * Errors: `database_busy`, `database_unavailable`, `database_full`; every other one is PostgreSQL's own, with its
   * SQLSTATE in `code`.
   */
  query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    name?: string,
  ): Promise<R[]>;
}

/** A connection of one's own, for advisory locks. Losing it (`alive` false) has released every lock it held. */
export interface Session extends Sql {
  readonly alive: boolean;
  /** Frees the session's advisory locks and gives the connection back. Safe to call twice. */
  release(): void;
}

export interface Database extends Sql {
  /**
   * Runs `run` between BEGIN and COMMIT; an error rolls back and is thrown again. Do not nest, and make no network call
   * inside: it holds one of few connections.
   *
   * Errors: as `query`, and `database_commit_unknown` when the connection broke while the commit was on its way.
   */
  transaction<R>(run: (tx: Sql) => Promise<R>): Promise<R>;
  /** Takes a dedicated connection from a separate pool of 8. Errors: `database_busy` after 5 s of waiting. */
  session(): Promise<Session>;
  /** Subscribes to a NOTIFY channel; resolves once subscribed, to the function that ends the subscription. */
  listen(channel: string, onMessage: (payload: string) => void): Promise<() => Promise<void>>;
  /**
   * Tells when notifications may have been missed: false the moment the listening session is lost, true once every
   * channel is subscribed again. Bypass caches while false and empty them on true.
   */
  onListenState(fn: (healthy: boolean) => void): () => void;
  /** True while the listening session is up; false before the first `listen`. */
  readonly listening: boolean;
  /** True when the server answered within `timeoutMs`. Uses no connection of the query pool. */
  ping(timeoutMs: number): Promise<boolean>;
  /** Waits up to 5 s for running statements, then cuts every connection. Safe to call twice. */
  close(): Promise<void>;
}
