/** Reads what a script asks of the proxy, as `read-call.ts` does for a request. Nothing here touches the network. */
import type { ProxyCall } from '../../platform/sandbox/index.ts';
import { hopByHopHeaders, matchesStatus, validHeader } from '../../protocols/http.ts';
import { readEndpoint } from './endpoint.ts';
import { proxyErrors } from './errors.ts';
import { PROXY_LIMITS, RETRIES_MAX } from './limits.ts';
import type { Call } from './read-call.ts';

/** Never taken from a script: they describe one hop, or us. */
const neverForwarded: ReadonlySet<string> = new Set([
  ...hopByHopHeaders,
  'host',
  'content-length',
  'expect',
  'user-agent',
]);

/** Reads the call; `own` is used unless it names others. Errors: `invalid_endpoint`, `invalid_headers`. */
export function readScriptCall(
  given: ProxyCall,
  own: { integrationKey: string; connectionId: string },
): { call: Call; body: Buffer | undefined } {
  const body =
    given.bodyText !== undefined
      ? Buffer.from(given.bodyText, 'utf8')
      : given.bodyBase64 !== undefined
        ? Buffer.from(given.bodyBase64, 'base64')
        : undefined;
  const method = String(given.method ?? 'GET').toUpperCase();
  if (!['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].includes(method)) {
    throw proxyErrors.fail('invalid_endpoint', { message: `The method ${method.slice(0, 20)} is not known.` });
  }
  const override = given.baseUrlOverride;
  const call: Call = {
    method,
    integrationKey: given.providerConfigKey ?? own.integrationKey,
    connectionId: given.connectionId ?? own.connectionId,
    endpoint: readEndpoint(`/proxy/${encodeEndpoint(String(given.endpoint ?? '')).replace(/^\//, '')}`),
    retries: Math.min(RETRIES_MAX, Math.max(0, Math.trunc(Number(given.retries ?? 0)) || 0)),
    retryOn: statusesOf(given.retryOn),
    decompress: false,
    baseUrlOverride: override === '' ? undefined : override,
    headers: readHeaders(given.headers ?? {}),
    body: body === undefined ? undefined : { length: body.length },
    fromBrowser: false,
  };
  return { call, body };
}

/** What HTTP clients do with a path before it goes out: blanks and letters of the world are escaped. */
function encodeEndpoint(text: string): string {
  const at = text.indexOf('#');
  const whole = (at === -1 ? text : text.slice(0, at)).toWellFormed();
  return whole.replace(/[^\x21\x22\x24-\x7e]+/g, (part) => encodeURIComponent(part));
}

function readHeaders(given: Record<string, string>): Map<string, string> {
  const headers = new Map<string, string>();
  let bytes = 0;
  for (const [key, raw] of Object.entries(given)) {
    const name = key.toLowerCase();
    const value = String(raw);
    if (neverForwarded.has(name) || name.startsWith('x-forwarded-')) continue;
    if (!validHeader(name, value)) {
      const message = `The header ${name.slice(0, 100)} must hold visible characters, blanks and tabs only.`;
      throw proxyErrors.fail('invalid_headers', { message });
    }
    bytes += name.length + value.length;
    headers.set(name, value);
  }
  if (headers.size > PROXY_LIMITS.headersMax || bytes > PROXY_LIMITS.headerBytesMax) {
    throw proxyErrors.fail('invalid_headers', {
      message: `At most ${PROXY_LIMITS.headersMax} headers of ${PROXY_LIMITS.headerBytesMax} bytes in all.`,
    });
  }
  return headers;
}

function statusesOf(given: (number | string)[] | undefined): number[] {
  const entries = (given ?? []).map(String);
  const statuses: number[] = [];
  if (entries.length === 0) return statuses;
  for (let status = 400; status < 600; status++) {
    if (entries.some((entry) => matchesStatus(entry, status))) statuses.push(status);
  }
  return statuses;
}
