/** Reads what the caller asks of the proxy from the head of its request. Nothing here touches the network. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { hopByHopHeaders, validHeader } from '../../protocols/http.ts';
import { readEndpoint, type Endpoint } from './endpoint.ts';
import { proxyErrors } from './errors.ts';
import { RETRIES_MAX, type ProxyLimits } from './limits.ts';
import { namedByConnection } from './response-head.ts';

export interface Call {
  method: string;
  integrationKey: string;
  connectionId: string;
  endpoint: Endpoint;
  /** 0 to 10. */
  retries: number;
  /** Statuses that the caller wants retried beside the provider's. */
  retryOn: readonly number[];
  /** Inflate the answer before passing it on. */
  decompress: boolean;
  /** Undefined: the provider's own address. */
  baseUrlOverride: string | undefined;
  /** Headers for the provider, names in lower case, each once. */
  headers: Map<string, string>;
  /** Undefined: the request has no body. `length` undefined: chunked, unknown until its end. */
  body: { length: number | undefined } | undefined;
  /** True when a browser made the call: the answer is then stripped of what would act on our own origin. */
  fromBrowser: boolean;
}

const PREFIX = 'nango-proxy-';

/**
 * Headers that describe one hop, or us, and never reach the provider, not even with the prefix. `user-agent` is always
 * ours: Checkr's edge refuses calls without one, and the wire contract (B.11 step 5) keeps it from being overridden.
 */
const neverForwarded: ReadonlySet<string> = new Set([
  ...hopByHopHeaders,
  'host',
  'content-length',
  'expect',
  'forwarded',
  'http2-settings',
  'user-agent',
]);

/** Reads the call. Errors: the `missing_*` and `invalid_*` rows, `request_too_large`. */
export function readCall(request: IncomingMessage, limits: ProxyLimits): Call {
  const { headers } = request;
  const integrationKey = text(headers, 'provider-config-key');
  if (integrationKey === '') throw proxyErrors.fail('missing_provider_config_key');
  const connectionId = text(headers, 'connection-id');
  if (connectionId === '') throw proxyErrors.fail('missing_connection_id');
  if (integrationKey.length > 255) throw invalid('provider-config-key', 'must be at most 255 characters long');
  if (connectionId.length > 255) throw invalid('connection-id', 'must be at most 255 characters long');
  const override = text(headers, 'base-url-override');
  return {
    method: request.method as string,
    integrationKey,
    connectionId,
    endpoint: readEndpoint(request.url as string),
    retries: readRetries(text(headers, 'retries')),
    retryOn: readRetryOn(text(headers, 'retry-on')),
    decompress: readBoolean(headers, 'decompress'),
    // The published client always sends the header; empty means none.
    baseUrlOverride: override === '' ? undefined : override,
    headers: readForwarded(headers, limits),
    body: readBody(headers, limits),
    fromBrowser: headers['sec-fetch-mode'] !== undefined || headers.origin !== undefined,
  };
}

function text(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  if (value === undefined) return '';
  return typeof value === 'string' ? value : value.join(', ');
}

function readRetries(value: string): number {
  if (value === '') return 0;
  const retries = Number(value);
  if (!/^[0-9]{1,2}$/.test(value) || retries > RETRIES_MAX) {
    throw invalid('retries', `must be a whole number from 0 to ${RETRIES_MAX}`);
  }
  return retries;
}

function readRetryOn(value: string): readonly number[] {
  if (value === '') return [];
  return value.split(',').map((part) => {
    const status = Number(part);
    if (!/^\s*[0-9]{3}\s*$/.test(part) || status < 400 || status > 599) {
      throw invalid('retry-on', 'must be a comma-separated list of statuses from 400 to 599');
    }
    return status;
  });
}

function readBoolean(headers: IncomingHttpHeaders, name: string): boolean {
  const value = text(headers, name).toLowerCase();
  if (value === '' || value === 'false') return false;
  if (value === 'true') return true;
  throw invalid(name, 'must be true or false');
}

function readBody(headers: IncomingHttpHeaders, limits: ProxyLimits): Call['body'] {
  if (headers['transfer-encoding'] !== undefined) return { length: undefined };
  const announced = headers['content-length'];
  if (announced === undefined) return undefined;
  const length = Number(announced);
  if (length > limits.requestBytesMax) throw proxyErrors.fail('request_too_large');
  return { length };
}

/**
 * Of the caller's own headers only the content type travels; everything else needs the prefix. A prefixed header beats
 * the one we would inject, `Authorization` included: scripts written for Checkr set it themselves. `Cookie` is sent to
 * the provider only with the prefix, so a browser's cookies never leave.
 */
function readForwarded(headers: IncomingHttpHeaders, limits: ProxyLimits): Map<string, string> {
  const forwarded = new Map<string, string>();
  const named = namedByConnection(headers.connection);
  const contentType = text(headers, 'content-type');
  if (contentType !== '' && named?.has('content-type') !== true) {
    if (!validHeader('content-type', contentType)) throw invalidValue('content-type');
    forwarded.set('content-type', contentType);
  }
  let bytes = 0;
  for (const key in headers) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    if (neverForwarded.has(name) || name.startsWith('x-forwarded-')) continue;
    if (named !== undefined && (named.has(key) || named.has(name))) continue;
    // A multipart body fits only the boundary in the header it came with.
    if (name === 'content-type' && /^multipart\//i.test(contentType)) continue;
    const value = text(headers, key);
    if (!validHeader(name, value)) throw invalidValue(key);
    bytes += name.length + value.length;
    forwarded.set(name, value);
  }
  if (forwarded.size > limits.headersMax || bytes > limits.headerBytesMax) {
    throw invalid(
      `${PREFIX}*`,
      `must be at most ${limits.headersMax} headers of ${limits.headerBytesMax} bytes in all`,
    );
  }
  return forwarded;
}

function invalidValue(name: string) {
  return invalid(name, 'must hold visible characters, blanks and tabs only');
}

function invalid(name: string, rule: string) {
  const message = `The header ${name} ${rule}.`;
  return proxyErrors.fail('invalid_headers', { message, errors: [{ code: 'custom', message, path: [name] }] });
}
