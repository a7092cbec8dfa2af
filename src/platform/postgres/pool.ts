import { Pool as DriverPool, type PoolClient } from 'pg';
import { errorText, type Log } from '../../base/log.ts';
import type { Clock } from '../../base/clock.ts';
import { beginWaiting, endWaiting } from './after-commit.ts';
import { clientConfig, CONNECT_TIMEOUT_MS, cutSocket, PooledClient, refuseOldServer } from './client.ts';
import { isConnectionLoss, translate } from './errors.ts';
import type { Sql } from './model.ts';
import { commit, run, serialSql } from './statement.ts';

/** Beyond this a statement is a mistake or a partition; the caller gets `database_busy`. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A forgotten transaction must not hold its locks for ever. */
const IDLE_TRANSACTION_TIMEOUT_MS = 60_000;
/** What the client waits beyond the server's own timeout before it holds the link for dead. */
const LINK_SLACK_MS = 5_000;
/** An unused connection costs the server about 3 MB. */
const IDLE_CONNECTION_MS = 30_000;
/** How long close() waits for running statements. */
const DRAIN_MS = 5_000;

export interface PoolOptions {
  url: string;
  size: number;
  log: Log;
  clock: Clock;
  /** Longest statement. Default 30,000. */
  statementTimeoutMs?: number;
  /** Settings for each new connection; a server that does not know one is no failure. */
  settings?: string;
}

/** A pool whose errors never reach the process: they are logged, and the next query connects anew. */
export class Pool {
  #pool: DriverPool;
  #url: string;
  #log: Log;
  #clock: Clock;
  #closed: Promise<void> | undefined;
  #clients = new Set<PoolClient>();

  constructor(options: PoolOptions) {
    const { log, settings, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
    this.#log = log;
    this.#url = options.url;
    this.#clock = options.clock;
    this.#pool = new DriverPool({
      ...clientConfig(options.url),
      Client: PooledClient,
      max: options.size,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + LINK_SLACK_MS,
      idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
      onConnect: async (client) => {
        if (settings === undefined) return;
        await client.query(settings).catch((error: unknown) => {
          if (isConnectionLoss(error)) throw error;
          log.debug('the server does not know one of our connection settings', { error: errorText(error) });
        });
      },
    });
    this.#pool.on('error', (error) => {
      // A closing connection may be cut by a server that stops: nobody lost anything.
      if (this.#closed === undefined) log.warn('idle database connection lost', { error: errorText(error) });
    });
    this.#pool.on('connect', (client) => {
      this.#clients.add(client);
      // The pool takes its own listener off while a client is lent; an unheard 'error' would end the process.
      client.on('error', (error) => log.debug('database connection lost', { error: errorText(error) }));
    });
    this.#pool.on('remove', (client) => this.#clients.delete(client));
  }

  /** Connects, and keeps the connection for who asks next. Errors: the driver's own; StartupError for an old server. */
  async prove(): Promise<void> {
    const client = await this.#pool.connect();
    try {
      await refuseOldServer(client, this.#url);
    } finally {
      client.release();
    }
  }

  /** Lends a connection. Errors: `database_busy` when none is free within 5 s, `database_unavailable`. */
  async take(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw translate(error);
    }
  }

  async query<R extends object>(text: string, values?: readonly unknown[], name?: string): Promise<R[]> {
    const client = await this.take();
    let broken = true;
    try {
      const rows = await run<R>(client, text, values, name);
      broken = false;
      return rows;
    } catch (error) {
      broken = isConnectionLoss(error);
      throw translate(error);
    } finally {
      client.release(broken);
    }
  }

  async transaction<R>(work: (tx: Sql) => Promise<R>): Promise<R> {
    const client = await this.take();
    const tx = serialSql(client);
    beginWaiting(tx.sql);
    let broken = false;
    try {
      await run(client, 'BEGIN');
      const result = await work(tx.sql).finally(() => tx.end());
      await commit(client, tx.failure());
      endWaiting(tx.sql);
      return result;
    } catch (error) {
      broken = !(await this.#rollback(client));
      throw translate(error);
    } finally {
      client.release(broken);
    }
  }

  async #rollback(client: PoolClient): Promise<boolean> {
    try {
      await run(client, 'ROLLBACK');
      return true;
    } catch (error) {
      // The server rolls back by itself when the connection goes.
      this.#log.debug('rollback failed; dropping the connection', { error: errorText(error) });
      return false;
    }
  }

  /** Waits up to 5 s for lent connections, then cuts them. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#drain();
    return this.#closed;
  }

  async #drain(): Promise<void> {
    const drained = new AbortController();
    const cut = this.#clock.sleep(DRAIN_MS, drained.signal).then(
      () => {
        this.#log.warn('cutting database connections still in use', { connections: this.#clients.size });
        for (const client of this.#clients) cutSocket(client);
        return undefined;
      },
      // Aborted: everything was given back in time.
      () => {},
    );
    await Promise.race([this.#pool.end(), cut]);
    drained.abort();
  }
}
