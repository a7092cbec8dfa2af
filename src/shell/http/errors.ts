import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodType } from 'zod';
import { defineErrors, HawserError, type Issue } from '../../base/errors.ts';
import { errorText, type Log } from '../../base/log.ts';
import { EDGE_LIMITS } from './limits.ts';

/** Errors of the edge itself (wire contract A.4). */
export const httpErrors = defineErrors({
  missing_auth_header: { status: 401, message: 'Send the header `Authorization: Bearer <API key>`.' },
  malformed_auth_header: { status: 401, message: 'The Authorization header must be `Bearer <API key>`.' },
  invalid_secret_key_format: { status: 401, message: 'The API key must be a UUID v4, as printed at the first start.' },
  unknown_account: { status: 401, message: 'No environment has this API key. Check which server it belongs to.' },
  invalid_connect_session_token_format: {
    status: 401,
    message: 'The connect session token must be `nango_connect_session_` and 64 hex digits.',
  },
  unknown_connect_session_token: {
    status: 401,
    message: 'This connect session has ended or was used. Ask the app for a new one.',
  },
  forbidden: { status: 403, message: 'Insufficient scope.' },
  invalid_body: { status: 400, message: 'The body does not fit. See `errors`.' },
  invalid_query_params: { status: 400, message: 'The query does not fit. See `errors`.' },
  invalid_uri_params: { status: 400, message: 'The path does not fit. See `errors`.' },
  invalid_headers: { status: 400, message: 'A header does not fit. See `errors`.' },
  invalid_json: { status: 400, message: 'The body is not valid JSON.' },
  invalid_content_type: { status: 415, message: 'Send the body as application/json.' },
  request_too_large: { status: 413, message: 'The body is larger than this route takes.' },
  invalid_request: { status: 400, message: 'This is not a request that HTTP/1.1 allows.' },
  request_timeout: { status: 408, message: 'The request took too long to arrive. Send it again.', retryable: true },
  uri_too_long: { status: 414, message: 'The URL is longer than this server takes.' },
  headers_too_large: { status: 431, message: 'The headers are larger or more than this server takes.' },
  too_many_request: {
    status: 429,
    message: 'Too many calls. Come back after the time in Retry-After.',
    retryable: true,
  },
  not_found: { status: 404, message: 'No such route.' },
  server_error: {
    status: 500,
    message: 'Something failed on our side. The log has the details under this request id.',
  },
});

const VALIDATION_CODES = {
  body: 'invalid_body',
  querystring: 'invalid_query_params',
  params: 'invalid_uri_params',
  headers: 'invalid_headers',
} as const;

/** A part of the request that does not fit its schema. */
class SchemaError extends Error {
  readonly part: keyof typeof VALIDATION_CODES;
  readonly issues: Issue[];
  constructor(part: keyof typeof VALIDATION_CODES, issues: Issue[]) {
    super('request does not fit its schema');
    this.part = part;
    this.issues = issues;
  }
}

/** Fastify's validator for zod schemas. */
export function compileValidator({ schema, httpPart }: { schema: unknown; httpPart?: string | undefined }) {
  return (data: unknown): { value: unknown } | { error: Error } => {
    const parsed = (schema as ZodType).safeParse(data);
    if (parsed.success) return { value: parsed.data };
    const issues = parsed.error.issues.slice(0, EDGE_LIMITS.issuesMax).map(({ code, message, path }) => ({
      code,
      message: shortened(message, ISSUE_CHARS_MAX),
      path: path.map((part) => (typeof part === 'number' ? part : shortened(String(part), PATH_CHARS_MAX))),
    }));
    return { error: new SchemaError(httpPart as keyof typeof VALIDATION_CODES, issues) };
  };
}

/** Issues name the caller's own keys, which may be as long as the body. */
const ISSUE_CHARS_MAX = 500;
const PATH_CHARS_MAX = 255;

function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}

/** Turns whatever was thrown into an error of ours. */
export function toHawserError(error: unknown): HawserError {
  if (error instanceof HawserError) return error;
  if (error instanceof SchemaError) {
    return httpErrors.fail(VALIDATION_CODES[error.part], { errors: error.issues });
  }
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return httpErrors.fail('invalid_content_type', { cause: error });
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return httpErrors.fail('request_too_large', { cause: error });
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return httpErrors.fail('invalid_uri_params', { message: 'The path is too long or wrongly encoded.', cause: error });
  }
  if (statusCode === 400) return httpErrors.fail('invalid_json', { cause: error });
  return httpErrors.fail('server_error', { cause: error });
}

/** The wire envelope. */
export function envelope(error: HawserError): { error: Record<string, unknown> } {
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.errors && { errors: error.errors }),
      ...(error.payload !== undefined && { payload: error.payload }),
      ...error.beside,
    },
  };
}

/** Logs what only the operator may know and sends what the caller may. */
export function sendError(log: Log, request: FastifyRequest, reply: FastifyReply, thrown: unknown): FastifyReply {
  const error = toHawserError(thrown);
  if (error.status >= 500) {
    log.error('request failed', {
      requestId: request.id,
      route: request.routeOptions.url,
      code: error.code,
      error: errorText(error.cause ?? thrown),
      detail: error.detail,
      at: error.code === 'server_error' ? firstFrame(thrown) : undefined,
    });
  }
  if (error.retryable && error.status === 503) void reply.header('retry-after', '1');
  return reply.code(error.status).send(envelope(error));
}

const STACK_CHARS_MAX = 4_000;

/** Where an unexpected error was thrown: file and line, never values. */
function firstFrame(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // The message is in the stack too, and may be long.
  return /\((?:.*\/)?(src\/.*?)\)/.exec((error.stack ?? '').slice(0, STACK_CHARS_MAX))?.[1];
}
