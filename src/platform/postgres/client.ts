import type { Socket } from 'node:net';
import { Client, types as driverTypes, type ClientBase, type ClientConfig, type CustomTypesConfig } from 'pg';
import { errorText, type Log } from '../../base/log.ts';
import { StartupError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { explainConnectFailure, isStarting } from './errors.ts';

/** Oldest server we run on: `client_connection_check_interval` and `pg_current_xact_id` need it. */
const SERVER_MAJOR_MIN = 14;
/** A server that takes longer to shake hands is as good as gone; also the queue deadline of the pools. */
export const CONNECT_TIMEOUT_MS = 5_000;
/** Detects a peer that vanished without a word; the kernel's default is two hours. */
const KEEPALIVE_DELAY_MS = 10_000;

const INT8 = 20;
const DATE = 1082;

function parseInt8(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

/** Our reading of column types; the driver's own for all others. */
const types: CustomTypesConfig = {
  getTypeParser(oid: number, format?: string) {
    if (format !== 'binary') {
      if (oid === INT8) return parseInt8;
      // A day has no zone; as a Date it would move with the machine's.
      if (oid === DATE) return (text: string) => text;
    }
    return driverTypes.getTypeParser(oid, format as 'text');
  },
};

/** Connection settings for the driver. Errors: StartupError when `url` is no PostgreSQL URL. */
export function clientConfig(url: string): ClientConfig {
  // The driver's own parse error carries the whole URL, password included.
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new StartupError(
      'The database URL is not a PostgreSQL URL.',
      'Write DATABASE_URL as postgres://user:password@host:port/database, with special characters percent-encoded.',
    );
  }
  const config: ClientConfig = {
    connectionString: url,
    application_name: 'hawser',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    types,
  };
  try {
    void new Client(config); // reads the files that the URL names
    return config;
  } catch (error) {
    // Not as the cause: the message may hold the URL.
    const code = (error as { code?: string }).code;
    throw new StartupError(
      `DATABASE_URL has a part that cannot be used${code === undefined ? '' : `, or names a file that cannot be read (${code})`}.`,
      'Correct what follows the "?": sslmode, sslrootcert, sslcert, sslkey.',
    );
  }
}

/** `host:port/database` of a URL: what may be printed of it. */
export function describeUrl(url: string): string {
  const client = new Client(clientConfig(url));
  return `${client.host}:${client.port}/${client.database ?? ''}`;
}

export interface FirstConnection {
  url: string;
  log: Log;
  clock: Clock;
  /** How long to retry a server that is not up yet. Default 5,000. */
  waitMs?: number;
}

/**
 * Connects for the first time and checks the server's version; resolves to the connected client, which the caller ends.
 *
 * Errors: StartupError with one sentence and a hint, never the password.
 */
export function connectFirst(options: FirstConnection): Promise<Client> {
  const { url, log } = options;
  const config = clientConfig(url);
  return whenUp(options, async () => {
    const client = new Client(config);
    client.on('error', (error) => log.debug('database connection lost', { error: errorText(error) }));
    try {
      await client.connect();
      await refuseOldServer(client, url);
      return client;
    } catch (error) {
      void client
        .end()
        .catch((failure: unknown) => log.debug('closing a failed connection', { error: errorText(failure) }));
      throw error;
    }
  });
}

/** Repeats `connect` while the server is starting. Errors: StartupError, as of {@link connectFirst}. */
export async function whenUp<T>(options: FirstConnection, connect: () => Promise<T>): Promise<T> {
  const { url, log, clock, waitMs = 5_000 } = options;
  const where = describeUrl(url);
  const giveUpAt = clock.monotonicMs() + waitMs;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof StartupError) throw error;
      if (!isStarting(error) || clock.monotonicMs() >= giveUpAt) {
        throw explainConnectFailure(error, where, new Client(clientConfig(url)).user ?? '');
      }
      log.debug('database not up yet, trying again', { where });
      await clock.sleep(200);
    }
  }
}

/** Errors: StartupError. */
export async function refuseOldServer(client: ClientBase, url: string): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num');
  const major = Math.floor(Number(rows[0]?.server_version_num) / 10_000);
  if (major >= SERVER_MAJOR_MIN) return;
  throw new StartupError(
    `The database at ${describeUrl(url)} is PostgreSQL ${major}; ${SERVER_MAJOR_MIN} or newer is needed.`,
    'Upgrade the server, or run without DATABASE_URL to use the PostgreSQL that comes with Hawser.',
  );
}

/** A client of a pool. The pool forgets one that could not connect, and would leave its socket open. */
export class PooledClient extends Client {
  override connect(): Promise<Client>;
  override connect(callback: ((error: Error) => void) | ((error: null, client: Client) => void)): void;
  override connect(callback?: unknown): Promise<Client> | undefined {
    if (callback === undefined) return super.connect();
    super.connect((error: Error | null) => {
      if (error !== null) cutSocket(this);
      (callback as (error: Error | null) => void)(error);
    });
    return undefined;
  }
}

/** Breaks a connection at once; whatever runs on it fails. */
export function cutSocket(client: ClientBase): void {
  // Not in the types: the driver has no public way to drop a connection that hangs.
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}
