/** What every request must fulfil before a route looks at it, and what every answer says to a browser. */
import type { IncomingMessage } from 'node:http';
import type { HawserError } from '../../base/errors.ts';
import { httpErrors } from './errors.ts';
import type { EdgeLimits } from './limits.ts';

/** Headers that decide where a request goes and who sent it: two of them mean two readers could disagree. A bit each. */
const ONCE = new Map([
  ['host', 1],
  ['authorization', 2],
  ['content-type', 4],
  ['provider-config-key', 8],
  ['connection-id', 16],
]);
/** On the hot path a number is compared before a string is made. */
const ONCE_LENGTHS: readonly boolean[] = Array.from({ length: 20 }, (_, length) =>
  [...ONCE.keys()].some((name) => name.length === length),
);

/**
 * Finds what the parser let through and no server should take. Undefined: nothing. After an error the socket is closed,
 * because nobody knows where the next request begins.
 */
export function headProblem(
  request: IncomingMessage,
  limits: Pick<EdgeLimits, 'urlBytesMax' | 'headersMax'>,
): HawserError | undefined {
  const { rawHeaders } = request;
  if ((request.url as string).length > limits.urlBytesMax) return httpErrors.fail('uri_too_long');
  if (rawHeaders.length > 2 * limits.headersMax) return httpErrors.fail('headers_too_large');
  if (request.httpVersionMajor !== 1) return refused('This server speaks HTTP/1.1.');
  const { headers } = request;
  if (request.httpVersionMinor === 0) {
    // RFC 9112 6.1: framing that HTTP/1.0 does not know is faulty.
    if (headers['transfer-encoding'] !== undefined) return refused('HTTP/1.0 has no Transfer-Encoding.');
  } else if (headers.host === undefined) {
    return refused('The Host header is missing.');
  }
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i] as string;
    if (ONCE_LENGTHS[raw.length] !== true) continue;
    const bit = ONCE.get(raw.toLowerCase());
    if (bit === undefined) continue;
    if ((seen & bit) !== 0) return refused(`The header ${raw.toLowerCase()} stands there twice.`);
    seen |= bit;
  }
  return undefined;
}

/** PostgreSQL's text takes no NUL. Only this escape means one: `%2500` is text. */
export function holdsNul(url: string): boolean {
  return url.includes('%00');
}

function refused(message: string): HawserError {
  return httpErrors.fail('invalid_request', { message });
}

/** Half a year. No subdomains: those are not ours to speak for. */
const HSTS = 'max-age=15552000';

/**
 * Headers of every answer; a route's own win. Answers are data: no browser may run, frame, sniff or keep them. `isHttps`:
 * the public URL is https.
 */
export function securityHeaders(isHttps: boolean): Record<string, string> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(isHttps && { 'strict-transport-security': HSTS }),
  };
}
