/** The head of the answer as the caller gets it: all of the provider's headers that are about the message itself. */
import { connectionNames, hopByHopHeaders, type HeaderRecord } from '../../protocols/http.ts';

/**
 * Headers that act on the origin they come from. A backend gets them like all others; in a browser that origin would be
 * ours, so a provider could set cookies or a security policy on the dashboard's origin.
 */
const originHeaders: ReadonlySet<string> = new Set([
  'alt-svc',
  'clear-site-data',
  'nel',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
]);

/**
 * Flat list for `writeHead`. `own` (rate limit, request id, CORS) comes first and yields to a provider's header of the
 * same name, except for CORS, of which only ours count.
 */
export function responseHead(
  status: number,
  headers: Readonly<HeaderRecord>,
  options: { own: Readonly<Record<string, unknown>>; inflated: boolean; toBrowser: boolean },
): string[] {
  const flat: string[] = [];
  const named = namedByConnection(headers['connection']);
  for (const key in options.own) {
    const value = options.own[key];
    if (value === undefined || key === 'content-length' || key === 'content-type') continue;
    if (Object.hasOwn(headers, key) && !isCors(key)) continue;
    if (Array.isArray(value)) for (const one of value) flat.push(key, String(one));
    else flat.push(key, String(value));
  }
  for (const name in headers) {
    if (hopByHopHeaders.has(name) || isCors(name) || named?.has(name)) continue;
    if (options.inflated && (name === 'content-encoding' || name === 'content-length')) continue;
    if (options.toBrowser && originHeaders.has(name)) continue;
    // RFC 9110 8.6: never with 204.
    if (status === 204 && name === 'content-length') continue;
    // Its names and values may be written: the upstream refuses an answer with others.
    const value = headers[name] as string | string[];
    if (typeof value === 'string') flat.push(name, value);
    else for (const one of value) flat.push(name, one);
  }
  return flat;
}

/** Nearly every message says `keep-alive` or `close` here, which names no header. */
export function namedByConnection(connection: string | string[] | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return connectionNames(connection);
}

function isCors(name: string): boolean {
  return name.startsWith('access-control-');
}
