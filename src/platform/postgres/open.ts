import { Client } from 'pg';
import { errorText, type Log } from '../../base/log.ts';
import type { Clock } from '../../base/clock.ts';
import { clientConfig, cutSocket, whenUp } from './client.ts';
import { isConnectionLoss } from './errors.ts';
import { answers, Listener } from './listener.ts';
import type { Database, Session } from './model.ts';
import { Pool } from './pool.ts';
import { serialSql } from './statement.ts';

/** Enough for one node: PostgreSQL does more with few busy connections than with many. */
const POOL_SIZE_DEFAULT = 12;
/** Sessions are held for as long as a lock is; their own pool keeps queries from starving. */
const SESSION_POOL_SIZE = 8;
/** Longest wait of a session for a lock. */
const SESSION_STATEMENT_TIMEOUT_MS = 60_000;
/** Makes the server notice a vanished node, and free its locks, within about a minute. */
const SESSION_SETTINGS =
  "SET tcp_keepalives_idle=30; SET tcp_keepalives_interval=10; SET tcp_keepalives_count=3; SET client_connection_check_interval='10s'";

export interface OpenOptions {
  url: string;
  /** Connections for queries and transactions. Default 12. */
  poolSize?: number;
  log: Log;
  clock: Clock;
  /** How long to wait for a server that is not up yet, in ms. Default 5,000. */
  waitMs?: number;
}

/**
 * Opens the database: proves that it can be reached and is new enough, then serves from a pool.
 *
 * Errors: StartupError (unreachable, refused user, no such database, older than 14), never with the password.
 */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  const { url, log, clock, poolSize = POOL_SIZE_DEFAULT } = options;
  const pool = new Pool({ url, size: poolSize, log, clock });
  try {
    await whenUp(options, () => pool.prove());
  } catch (error) {
    await pool.close();
    throw error;
  }
  const sessions = new Pool({
    url,
    size: SESSION_POOL_SIZE,
    log,
    clock,
    statementTimeoutMs: SESSION_STATEMENT_TIMEOUT_MS,
    settings: SESSION_SETTINGS,
  });
  const listener = new Listener({ url, log, clock });
  return {
    query: (text, values, name) => pool.query(text, values, name),
    transaction: (work) => pool.transaction(work),
    session: () => takeSession(sessions, log),
    listen: (channel, onMessage) => listener.listen(channel, onMessage),
    onListenState: (fn) => listener.onState(fn),
    get listening() {
      return listener.up;
    },
    async ping(timeoutMs) {
      return listener.up ? listener.ping(timeoutMs) : pingOnce(url, timeoutMs, log, clock);
    },
    async close() {
      await listener.close();
      await Promise.all([pool.close(), sessions.close()]);
    },
  };
}

async function takeSession(sessions: Pool, log: Log): Promise<Session> {
  const client = await sessions.take();
  let alive = true;
  let released = false;
  const markDead = () => {
    alive = false;
  };
  client.on('error', markDead);
  client.on('end', markDead);
  const serial = serialSql(client, markDead);

  const giveBack = async () => {
    let broken = !alive;
    alive = false;
    await serial.end();
    try {
      // A lock left behind would live on in the pool, owned by nobody.
      if (!broken) await client.query('SELECT pg_advisory_unlock_all()');
    } catch (error) {
      broken = true;
      log.debug('could not free the locks of a session; dropping it', {
        error: errorText(error),
        lost: isConnectionLoss(error),
      });
    }
    client.off('error', markDead);
    client.off('end', markDead);
    client.release(broken);
  };

  return {
    query: (text, values, name) => serial.sql.query(text, values, name),
    get alive() {
      return alive;
    },
    release() {
      if (released) return;
      released = true;
      void giveBack();
    },
  };
}

/** Asks over a connection of its own; used while there is no listening session to ask over. */
async function pingOnce(url: string, timeoutMs: number, log: Log, clock: Clock): Promise<boolean> {
  const client = new Client({ ...clientConfig(url), connectionTimeoutMillis: timeoutMs });
  client.on('error', (error) => log.debug('ping failed', { error: errorText(error) }));
  const startedMs = clock.monotonicMs();
  try {
    await client.connect();
    const leftMs = Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
    return await answers(serialSql(client).sql, leftMs, clock);
  } catch (error) {
    log.debug('ping failed', { error: errorText(error) });
    return false;
  } finally {
    cutSocket(client);
  }
}
