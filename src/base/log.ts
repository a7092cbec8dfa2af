/**
 * Structured log as a port. Fields are an allow-list by habit: ids, names, codes, counts, durations. Never a body, a
 * header value, a token or a URL with its query.
 */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields & { error?: string }): void;
  child(fields: LogFields): Log;
}

/** A log that keeps nothing. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};

/** Short, secret-free text for an unknown thrown value: name, code, and the message of errors that are ours. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = (error as { code?: unknown }).code;
  const own = error.name === 'HawserError' || error.name === 'StartupError' || error.name === 'UpstreamFailure';
  return `${error.name}${typeof code === 'string' ? ` ${code}` : ''}${own ? `: ${error.message}` : ''}`;
}
