/**
 * Typed errors. An error is a row of a table: code, status, public sentence. Clients switch on the code, never on the
 * text. `message` is public and must hold no secret and no upstream body; `detail` goes to the log only.
 */
export interface ErrorRow {
  /** HTTP status of the reply. */
  status: number;
  /** Public sentence: what happened and what to do. */
  message: string;
  /** True when the same call may work later without any change. */
  retryable?: boolean;
}

/** One issue of a request that failed its schema (wire contract A.4). */
export interface Issue {
  code: string;
  message: string;
  path: (string | number)[];
}

export interface ErrorOptions {
  /** Replaces the row's sentence. Public. */
  message?: string;
  /** Replaces the row's status; some codes answer differently per route (wire contract A.4). */
  status?: number;
  errors?: Issue[];
  /** Public, machine-readable addition. */
  payload?: unknown;
  /** The same where the wire contract has it beside the code and not under `payload`. */
  beside?: Record<string, unknown>;
  /** For the log only, never sent. */
  detail?: string;
  cause?: unknown;
}

export class HawserError extends Error {
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly errors: Issue[] | undefined;
  readonly payload: unknown;
  readonly beside: Record<string, unknown> | undefined;
  readonly detail: string | undefined;

  constructor(code: string, row: ErrorRow, options: ErrorOptions = {}) {
    super(options.message ?? row.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HawserError';
    this.code = code;
    this.status = options.status ?? row.status;
    this.retryable = row.retryable ?? false;
    this.errors = options.errors;
    this.payload = options.payload;
    this.beside = options.beside;
    this.detail = options.detail;
  }
}

/**
 * Declares a slice's error table. Resolves to the rows (for the docs) and a typed constructor:
 * `throw errors.fail('unknown_connection')`.
 */
export function defineErrors<const T extends Record<string, ErrorRow>>(rows: T) {
  return {
    rows: rows as Record<keyof T & string, ErrorRow>,
    fail(code: keyof T & string, options?: ErrorOptions): HawserError {
      return new HawserError(code, rows[code] as ErrorRow, options);
    },
  };
}

/** True for an error of ours, optionally with one of these codes. */
export function isHawserError(error: unknown, ...codes: string[]): error is HawserError {
  return error instanceof HawserError && (codes.length === 0 || codes.includes(error.code));
}

/** A failure that stops the program at start: one sentence and what to do. Printed without a stack. */
export class StartupError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StartupError';
    this.hint = hint;
  }
}
