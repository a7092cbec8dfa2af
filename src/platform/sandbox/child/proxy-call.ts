import { Readable } from 'node:stream';
import type { ProxyAnswer, ProxyCall } from '../model.ts';
import { ScriptError } from './script-error.ts';

/** What a script gives to `nango.proxy` (wire contract F.3). */
export interface ProxyConfig {
  endpoint: string;
  method?: string;
  headers?: Record<string, unknown>;
  params?: string | Record<string, unknown>;
  data?: unknown;
  retries?: number;
  baseUrlOverride?: string;
  decompress?: boolean;
  retryOn?: (number | string)[] | null;
  responseType?: string;
  paginate?: Record<string, unknown>;
  retryHeader?: { at?: string; after?: string };
  forwardHeadersOnRedirect?: boolean;
  connectionId?: string;
  providerConfigKey?: string;
}

export interface ScriptResponse {
  data: unknown;
  status: number;
  statusText: string;
  headers: Record<string, string>;
  config: Record<string, unknown>;
  request: Record<string, never>;
}

const WITH_FORM_DEFAULT = new Set(['POST', 'PUT', 'PATCH']);

/** The call as the host wants it. Errors: ScriptError `invalid_proxy_call`. */
export async function proxyCallOf(config: ProxyConfig): Promise<ProxyCall> {
  if (typeof config !== 'object' || config === null || typeof config.endpoint !== 'string') {
    throw new ScriptError('invalid_proxy_call', 'Give the call an `endpoint`, such as "/v1/account".');
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(config.headers ?? {})) {
    if (value !== undefined && value !== null) headers[name.toLowerCase()] = String(value);
  }
  const method = (config.method ?? 'GET').toUpperCase();
  const body = await bodyOf(config.data, headers, method);
  return {
    method,
    endpoint: withParams(config.endpoint, config.params),
    headers,
    ...body,
    ...(config.retries !== undefined && { retries: Number(config.retries) || 0 }),
    ...(config.retryOn && { retryOn: config.retryOn }),
    ...(config.retryHeader && { retryHeader: config.retryHeader }),
    ...(config.baseUrlOverride !== undefined && { baseUrlOverride: String(config.baseUrlOverride) }),
    ...(config.providerConfigKey !== undefined && { providerConfigKey: String(config.providerConfigKey) }),
    ...(config.connectionId !== undefined && { connectionId: String(config.connectionId) }),
  };
}

/** Parameters go after those of the endpoint; one of the same name replaces it, lists repeat it. */
function withParams(endpoint: string, params: ProxyConfig['params']): string {
  if (params === undefined || params === null || params === '') return endpoint;
  const [beforeHash = '', ...hash] = endpoint.split('#');
  const at = beforeHash.indexOf('?');
  const path = at === -1 ? beforeHash : beforeHash.slice(0, at);
  const query = at === -1 ? '' : beforeHash.slice(at + 1);
  const tail = hash.length === 0 ? '' : `#${hash.join('#')}`;
  if (typeof params === 'string') {
    return `${path}?${[query, params.replace(/^[?&]/, '')].filter((part) => part !== '').join('&')}${tail}`;
  }
  const search = new URLSearchParams(query);
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || value === null) continue;
    search.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) search.append(name, textOf(each));
  }
  const text = search.toString();
  return `${path}${text === '' ? '' : `?${text}`}${tail}`;
}

function textOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

async function bodyOf(
  data: unknown,
  headers: Record<string, string>,
  method: string,
): Promise<Pick<ProxyCall, 'bodyText' | 'bodyBase64'>> {
  if (data === undefined || data === null) return {};
  const type = (value: string): void => void (headers['content-type'] ??= value);
  if (typeof data === 'string') {
    if (WITH_FORM_DEFAULT.has(method)) type('application/x-www-form-urlencoded');
    return { bodyText: data };
  }
  if (data instanceof URLSearchParams) {
    type('application/x-www-form-urlencoded;charset=utf-8');
    return { bodyText: data.toString() };
  }
  if (ArrayBuffer.isView(data)) {
    return { bodyBase64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') };
  }
  if (data instanceof ArrayBuffer) return { bodyBase64: Buffer.from(data).toString('base64') };
  if (data instanceof FormData || data instanceof Blob) {
    // Response knows how to write both, with the boundary.
    const made = new Response(data);
    const made_type = made.headers.get('content-type');
    if (data instanceof FormData && made_type !== null) headers['content-type'] = made_type;
    else if (made_type !== null) type(made_type);
    return { bodyBase64: Buffer.from(await made.arrayBuffer()).toString('base64') };
  }
  if (data instanceof Readable || isStreamForm(data)) {
    if (isStreamForm(data)) Object.assign(headers, data.getHeaders());
    const parts: Buffer[] = [];
    for await (const part of data as AsyncIterable<Buffer | string>) parts.push(Buffer.from(part as Buffer));
    return { bodyBase64: Buffer.concat(parts).toString('base64') };
  }
  if ((headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded') && typeof data === 'object') {
    return { bodyText: withParams('', data as Record<string, unknown>).slice(1) };
  }
  type('application/json');
  try {
    return { bodyText: JSON.stringify(data) };
  } catch (error) {
    throw new ScriptError('invalid_proxy_call', `\`data\` cannot be written as JSON: ${(error as Error).message.split('\n')[0]}`); // prettier-ignore
  }
}

/** The npm package `form-data`. */
function isStreamForm(data: unknown): data is AsyncIterable<Buffer> & { getHeaders(): Record<string, string> } {
  return typeof data === 'object' && data !== null && 'getHeaders' in data && Symbol.asyncIterator in data;
}

/** The answer as axios gives it. Errors: an axios-like error for a status outside 200–299. */
export function responseOf(config: ProxyConfig, call: ProxyCall, answer: ProxyAnswer): ScriptResponse {
  const shown = shownConfig(config, call);
  const headers = headersOf(answer.headers);
  const data = dataOf(answer, config.responseType);
  const { status, statusText } = answer;
  const response: ScriptResponse = { data, status, statusText, headers, config: shown, request: {} };
  if (status >= 200 && status < 300) return response;
  const code = status >= 500 ? 'ERR_BAD_RESPONSE' : 'ERR_BAD_REQUEST';
  throw axiosError(`Request failed with status code ${status}`, code, shown, response);
}

/** The error of a call that got no answer. */
export function networkError(config: ProxyConfig, call: ProxyCall, error: ScriptError): Error {
  const told = (error.payload as { code?: unknown } | undefined)?.code;
  return axiosError(error.message, typeof told === 'string' ? told : 'ERR_NETWORK', shownConfig(config, call));
}

/** The call without anything that may be a secret: headers stay out. */
function shownConfig(config: ProxyConfig, call: ProxyCall): Record<string, unknown> {
  return {
    method: call.method.toLowerCase(),
    url: call.endpoint.split('?')[0],
    params: config.params,
    data: config.data,
  };
}

function axiosError(message: string, code: string, config: Record<string, unknown>, response?: ScriptResponse): Error {
  const error = Object.assign(new Error(message), { code, status: response?.status, isAxiosError: true, request: {} });
  error.name = 'AxiosError';
  const json = { message, name: 'AxiosError', code, status: response?.status };
  // As with axios, printing or logging the error does not print the whole answer.
  for (const [name, value] of Object.entries({ config, response, toJSON: () => json })) {
    Object.defineProperty(error, name, { value, writable: true, configurable: true, enumerable: name !== 'toJSON' });
  }
  return error;
}

/** Plain lower-case names, with the `get` and `has` of axios that ignore case. */
function headersOf(headers: Record<string, string>): Record<string, string> {
  const own = { ...headers };
  const hidden = (value: unknown): PropertyDescriptor => ({ value, enumerable: false, configurable: true });
  return Object.defineProperties(own, {
    get: hidden((name: string) => own[name.toLowerCase()]),
    has: hidden((name: string) => own[name.toLowerCase()] !== undefined),
  });
}

function dataOf(answer: ProxyAnswer, responseType: string | undefined): unknown {
  const bytes = (): Buffer =>
    answer.bodyBase64 === undefined ? Buffer.from(answer.bodyText ?? '') : Buffer.from(answer.bodyBase64, 'base64');
  if (responseType === 'arraybuffer') return bytes();
  if (responseType === 'stream') return Readable.from([bytes()]);
  if (responseType === 'blob')
    return new Blob([new Uint8Array(bytes())], { type: answer.headers['content-type'] ?? '' });
  const text = answer.bodyText ?? bytes().toString('utf8');
  if (text === '' || (responseType !== undefined && responseType !== 'json')) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // as axios: what is no JSON stays text
  }
}
