/** What went wrong between us and an upstream. */
export type FailureKind =
  | 'dns'
  | 'refused'
  | 'reset'
  | 'timeout_headers'
  | 'timeout_body'
  | 'timeout_connect'
  | 'tls'
  | 'too_large'
  | 'protocol'
  | 'aborted'
  | 'egress_refused';

/**
 * An exchange without a usable answer. `message` is public: it names host and port, never path, query or body.
 * `code` is Node's name (`ECONNREFUSED`, `ETIMEDOUT`, `ENOTFOUND`, `HPE_…`). `requestSent` is false only when certainly
 * no byte of the request left: a retry is then safe for any method.
 */
export class UpstreamFailure extends Error {
  readonly kind: FailureKind;
  readonly code: string;
  readonly requestSent: boolean;

  constructor(
    kind: FailureKind,
    code: string,
    message: string,
    options: { requestSent?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UpstreamFailure';
    this.kind = kind;
    this.code = code;
    this.requestSent = options.requestSent ?? false;
  }
}

/** Where an exchange stands: decides what an ambiguous error means. */
export type Phase = 'connect' | 'headers' | 'body';

/** `ECONNRESET` under a private name, see {@link markReset}. */
const RESET_MARK = 'UPSTREAM_ECONNRESET';

/**
 * Renames `ECONNRESET` before undici sees it. Undici takes a reset at the end of a close-delimited body for a normal end
 * (a macOS habit), which would make a truncated body look whole.
 */
export function markReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = RESET_MARK;
}

/** True for the code of a reset, marked or not. */
export function isReset(code: string): boolean {
  return code === 'ECONNRESET' || code === RESET_MARK || code === 'EPIPE';
}

const sentences: Record<FailureKind, string> = {
  dns: 'The name of {host} could not be resolved',
  refused: 'No connection to {host} could be made',
  reset: '{host} closed the connection before the answer was complete',
  timeout_headers: '{host} did not answer in time',
  timeout_body: '{host} stopped sending in the middle of its answer',
  timeout_connect: 'No connection to {host} was made in time',
  tls: 'No trusted TLS connection to {host} could be made',
  too_large: 'The answer of {host} is larger than allowed',
  protocol: 'The exchange with {host} is not valid HTTP',
  aborted: 'The call to {host} was cancelled',
  egress_refused: '{host} may not be called',
};

/** Builds a failure with its standard sentence. */
export function failure(
  kind: FailureKind,
  code: string,
  host: string,
  options: { requestSent?: boolean; cause?: unknown } = {},
): UpstreamFailure {
  return new UpstreamFailure(kind, code, `${sentences[kind].replace('{host}', host)} (${code}).`, options);
}

/** Turns any error of socket, resolver, TLS or undici into a failure. `host` is `host:port`. */
export function toFailure(error: unknown, host: string, phase: Phase, requestSent: boolean): UpstreamFailure {
  if (error instanceof UpstreamFailure) {
    if (error.requestSent === requestSent) return error;
    return new UpstreamFailure(error.kind, error.code, error.message, { requestSent, cause: error.cause });
  }
  const [kind, code] = read(error, phase);
  return failure(kind, code, host, { requestSent, cause: harmless(error) });
}

/** A parser error carries the bytes it stumbled over. They may hold a secret and must not get into a log. */
function harmless(error: unknown): unknown {
  return isParserError(error) ? new Error((error as Error).message) : error;
}

function isParserError(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError';
}

function read(error: unknown, phase: Phase): [FailureKind, string] {
  if (isParserError(error)) {
    return /invalid eof state/i.test((error as Error).message) ? ['reset', 'ECONNRESET'] : ['protocol', 'HPE_INVALID'];
  }
  const code = codeOf(error);
  switch (code) {
    case RESET_MARK:
    case 'ECONNRESET':
    case 'EPIPE':
      return ['reset', 'ECONNRESET'];
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      // Undici says this of a bad length in the head too, where nothing was cut short.
      return phase === 'body' ? ['reset', 'ECONNRESET'] : ['protocol', 'HPE_INVALID'];
    case 'UND_ERR_SOCKET':
      // Undici's words for an answer nobody asked for, and for an upgrade nobody asked for.
      return /bad (response|upgrade)/.test((error as Error).message) ? ['protocol', code] : ['reset', 'ECONNRESET'];
    case 'ECONNREFUSED':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return ['refused', code];
    case 'ETIMEDOUT':
      return [phase === 'connect' ? 'timeout_connect' : 'reset', code];
    case 'UND_ERR_CONNECT_TIMEOUT':
      return ['timeout_connect', 'ETIMEDOUT'];
    case 'UND_ERR_HEADERS_TIMEOUT':
      return ['timeout_headers', 'ETIMEDOUT'];
    case 'UND_ERR_BODY_TIMEOUT':
      return ['timeout_body', 'ETIMEDOUT'];
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
    case 'ERR_BUFFER_TOO_LARGE':
      return ['too_large', code];
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
    case 'ERR_ASSERTION':
      return ['protocol', code];
    case 'UND_ERR_ABORTED':
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
    case 'ABORT_ERR':
      return ['aborted', 'ABORT_ERR'];
    default:
      if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return ['dns', code];
      if (/^E[A-Z0-9]+$/.test(code)) return ['reset', code];
      return ['aborted', 'ABORT_ERR'];
  }
}

/** The `code` of an error, `''` when it has none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}
