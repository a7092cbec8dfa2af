import { defineErrors, isHawserError, StartupError } from '../../base/errors.ts';

export const errors = defineErrors({
  database_busy: { status: 503, message: 'The database is busy. Try again in a moment.', retryable: true },
  database_unavailable: { status: 503, message: 'The database cannot be reached. Try again soon.', retryable: true },
  database_full: { status: 503, message: 'The database has no space left. Nothing was written.', retryable: true },
  database_rights_missing: {
    status: 503,
    message: 'The database user lacks a right that Hawser needs. Make it the owner of the database and its tables.',
  },
  database_commit_unknown: {
    status: 503,
    message: 'The database connection broke during the commit. Read the state again before repeating the call.',
    retryable: true,
  },
});

/** SQLSTATE of a server error, or the system code of a socket error. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** True for a broken unique constraint, optionally a certain one. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (errorCode(error) !== '23505') return false;
  return constraint === undefined || (error as { constraint?: string }).constraint === constraint;
}

/** True for a broken foreign key, optionally a certain one. */
export function isForeignKeyViolation(error: unknown, constraint?: string): boolean {
  if (errorCode(error) !== '23503') return false;
  return constraint === undefined || (error as { constraint?: string }).constraint === constraint;
}

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

// The driver's own errors carry no code. (pg/lib/client.js and pg-pool/index.js, 8.23)
const DRIVER_MESSAGES =
  /^(Connection terminated|Query read timeout|timeout expired|Client has encountered a connection error|Client was closed|Cannot use a pool after|The server does not support SSL|There was an error establishing an SSL)/;

/**
 * True when the connection that gave this error is of no more use: it broke, timed out, or its server is shutting down
 * or has become read-only (a failover left us on the old primary).
 */
export function isConnectionLoss(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined) {
    if (SOCKET_CODES.has(code)) return true;
    return code.startsWith('08') || /^57P0[1-5]$/.test(code) || code === '25006';
  }
  return error instanceof Error && DRIVER_MESSAGES.test(error.message);
}

/** Turns what the driver threw into ours where the caller can only wait and retry; leaves the rest as it is. */
export function translate(error: unknown): unknown {
  if (isHawserError(error)) return error;
  if (error instanceof Error && error.message === 'timeout exceeded when trying to connect') {
    return errors.fail('database_busy', { detail: 'no free connection within the queue deadline', cause: error });
  }
  if (isConnectionLoss(error)) return errors.fail('database_unavailable', { cause: error });
  switch (errorCode(error)) {
    case '57014': // query_canceled: the statement timeout
    case '53300': // too_many_connections
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return errors.fail('database_busy', { detail: (error as Error).message, cause: error });
    case '42501': // insufficient_privilege
      return errors.fail('database_rights_missing', { detail: (error as Error).message, cause: error });
    case '53100': // disk_full
    case '53200': // out_of_memory
      return errors.fail('database_full', { detail: (error as Error).message, cause: error });
    default:
      return error;
  }
}

/** True when the server may simply not be up yet. */
export function isStarting(error: unknown): boolean {
  const code = errorCode(error);
  return code === '57P03' || code === 'ECONNREFUSED' || code === 'EAI_AGAIN';
}

const TLS_CODE = /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_TLS)/;

/** Says in one sentence why the first connection failed. `where` is host:port/database, never the URL. */
export function explainConnectFailure(error: unknown, where: string, user: string): StartupError {
  const code = errorCode(error) ?? '';
  const message = error instanceof Error ? error.message : '';
  if (code === '28P01' || code === '28000') {
    return new StartupError(
      `The database at ${where} refused the user "${user}".`,
      'Check user and password in DATABASE_URL, and pg_hba.conf on the server. A "#", "@" or "/" in the password must be percent-encoded.',
    );
  }
  if (message.startsWith('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be')) {
    return new StartupError(
      `The database at ${where} wants a password for the user "${user}", and there is none.`,
      'Put the password into DATABASE_URL: postgres://user:password@host:port/database',
    );
  }
  if (code === '3D000') {
    return new StartupError(
      `The server at ${where} has no such database.`,
      'Create it (CREATE DATABASE …) or correct the name at the end of DATABASE_URL.',
    );
  }
  if (code === '53300') {
    return new StartupError(
      `The database at ${where} has no connection left for us.`,
      'Raise max_connections on the server, or make the pools of its clients smaller.',
    );
  }
  if (TLS_CODE.test(code)) {
    return new StartupError(
      `The certificate of the database at ${where} was not accepted (${code}).`,
      'Give the right authority with sslrootcert=… in DATABASE_URL.',
    );
  }
  if (message.includes('does not support SSL')) {
    return new StartupError(
      `The database at ${where} does not speak TLS, but DATABASE_URL asks for it.`,
      'Turn on ssl at the server, or take sslmode out of DATABASE_URL when the network between is trusted.',
    );
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new StartupError(`The database host of ${where} is not known here.`, 'Check the host name in DATABASE_URL.');
  }
  if (isConnectionLoss(error)) {
    return new StartupError(
      `The database at ${where} cannot be reached (${code || 'no answer'}).`,
      'Start it, or correct DATABASE_URL. Without DATABASE_URL Hawser runs its own PostgreSQL.',
    );
  }
  return new StartupError(
    `The database at ${where} refused the connection${code ? ` (${code})` : ''}.`,
    'See the log of the database server.',
    error,
  );
}

/** Says in one sentence why tables cannot be made in a database that answers; gives other errors back as they are. */
export function explainPrepareFailure(error: unknown, where: string, user: string): unknown {
  switch (errorCode(error)) {
    case '42501':
      return new StartupError(
        `The user "${user}" may not make or read the tables of the database at ${where}.`,
        `Make it the owner of the database and of what is in it: ALTER DATABASE … OWNER TO "${user}".`,
      );
    case '25006':
      return new StartupError(
        `The database at ${where} takes no changes: it is a standby, in recovery, or set to be read-only.`,
        'Let DATABASE_URL name the primary, or wait until the recovery has ended.',
      );
    default:
      return isConnectionLoss(error) ? explainConnectFailure(error, where, user) : error;
  }
}
