/**
 * Puts a credential into an API request, as the provider file says. Pure; the proxy, verification and disconnect calls
 * are built here.
 */
import { SECRET_HOLES } from '../../catalogue/_spec/holes.ts';
import type { ApiAuth } from '../../catalogue/_spec/index.ts';
import { defineErrors } from '../base/errors.ts';
import { fillTemplate, holesOf, missingValue } from '../base/template.ts';
import { customerHoles, type MachineMode } from './machine-token/index.ts';
import { fillTable, holesFor, urlIfComplete, type Holes, type TemplateInput } from './input.ts';

/** The secret part of a connection, as `features/credentials` holds it. */
export type ApiCredential =
  | { type: 'OAUTH2'; access_token: string }
  | { type: 'API_KEY'; apiKey: string }
  | { type: 'BASIC'; username: string; password: string }
  | { type: 'OAUTH1'; oauth_token: string; oauth_token_secret: string }
  | {
      type: MachineMode;
      token: string;
      fields: Readonly<Record<string, string>>;
      raw: Readonly<Record<string, unknown>>;
    }
  | { type: 'NONE' };

export const apiErrors = defineErrors({
  missing_api_url: {
    status: 400,
    message: 'No API address is known for this integration. Set its base URL, or send a Base-Url-Override.',
  },
  invalid_path: { status: 400, message: 'The path is not a plain path below the API address.' },
  unsupported_auth: { status: 400, message: 'The credential of this connection does not fit what the provider takes.' },
});

export interface ApiRequest {
  url: URL;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** Names of the headers that carry a secret: never logged, never sent to another origin. */
  secretHeaders: string[];
  /** Names of the query parameters that carry a secret: masked wherever the URL is shown. */
  secretQuery: string[];
}

/** Longest path with query that is sent on; servers commonly stop at 8 KiB. */
const PATH_CHARS_MAX = 16_384;

/**
 * The address below which every call of the provider's API lies.
 * Errors: `missing_api_url`, `template_value_invalid`.
 */
export function baseUrl(input: TemplateInput): URL {
  const url = urlIfComplete(input.provider.api.baseUrl, holesFor(input));
  if (url === undefined) throw apiErrors.fail('missing_api_url');
  return url;
}

/**
 * A whole API request but for method and body. `path` comes from the provider file: it starts with `/` and may hold
 * holes and a query; `query` is another one, kept byte for byte.
 * Errors: `missing_api_url`, `invalid_path`, `unsupported_auth`, `template_value_invalid`, `template_value_missing`.
 */
export function apiRequest(
  input: TemplateInput & { credential: ApiCredential; path: string; query?: string },
): ApiRequest {
  const url = joinPath(baseUrl(input), filledPath(input), input.query);
  return { url, ...apiHeaders(input, url) };
}

function filledPath(input: TemplateInput & { path: string }): string {
  if (!input.path.includes('${')) return input.path;
  const holes = holesFor(input);
  const path = fillTemplate(input.path, holes.values, { encode: 'segment', fields: holes.fields });
  if (path === undefined) throw missingValue(holesOf(input.path)[0] ?? '', holes.fields);
  return path;
}

/**
 * Headers of every call with the credential in them; query parameters of the provider are set on `url`.
 * Errors: `unsupported_auth`, `template_value_invalid`, `template_value_missing`.
 */
export function apiHeaders(input: TemplateInput & { credential: ApiCredential }, url: URL): Omit<ApiRequest, 'url'> {
  const { api } = input.provider;
  const holes = holesFor(input, secretsOf(input.credential));
  const headers: Record<string, string> = {};
  const secretHeaders = new Set<string>();
  for (const [name, value] of Object.entries(fillTable(api.headers ?? {}, holes, 'header'))) {
    headers[name.toLowerCase()] = value;
    if (holdsSecret(api.headers?.[name] ?? '')) secretHeaders.add(name.toLowerCase());
  }
  const query = fillTable(api.query ?? {}, holes);
  for (const [name, value] of Object.entries(query)) appendQuery(url, name, value);
  const secretQuery = Object.keys(query).filter((name) => holdsSecret(api.query?.[name] ?? ''));

  const { auth } = api;
  const header = applyAuth(auth, holes, headers, url);
  if (header !== undefined) secretHeaders.add(header);
  if (auth.in === 'query') secretQuery.push(auth.name);
  return { headers, secretHeaders: [...secretHeaders], secretQuery };
}

/**
 * Puts a credential into headers or URL. Resolves to the lower-case name of the header that carries it, if one does.
 * Errors: `unsupported_auth`, `template_value_invalid`.
 */
export function applyAuth(auth: ApiAuth, holes: Holes, headers: Record<string, string>, url: URL): string | undefined {
  if (auth.in === 'none') return undefined;
  // The signature comes last, over the finished request: signing.ts.
  if (auth.in === 'signature') return 'authorization';
  if (auth.in === 'query') {
    appendQuery(url, auth.name, required(auth.value, holes, 'none'));
    return undefined;
  }
  const name = auth.in === 'header' ? auth.name.toLowerCase() : 'authorization';
  headers[name] = auth.in === 'header' ? required(auth.value, holes, 'header') : basic(auth, holes);
  return name;
}

export function secretsOf(credential: ApiCredential): Record<string, string> {
  switch (credential.type) {
    case 'OAUTH2':
      return { accessToken: credential.access_token };
    case 'API_KEY':
      return { apiKey: credential.apiKey };
    case 'BASIC':
      return { username: credential.username, password: credential.password };
    case 'NONE':
      return {};
    case 'OAUTH1':
      return { accessToken: credential.oauth_token };
    case 'OAUTH2_CC':
    case 'JWT':
    case 'TWO_STEP':
    case 'AWS_SIGV4':
    case 'APP':
      return { accessToken: credential.token, ...customerHoles(credential.fields) };
  }
}

const SECRETS = new Set(Object.keys(SECRET_HOLES));

/** True when a template has a hole that a secret goes into. */
export function holdsSecret(template: string): boolean {
  return holesOf(template).some((name) => SECRETS.has(name) || name.startsWith('credentials.'));
}

function required(template: string, holes: Holes, encode: 'header' | 'none'): string {
  const value = fillTemplate(template, holes.values, { encode, fields: holes.fields });
  if (value === undefined) throw apiErrors.fail('unsupported_auth');
  return value;
}

/** Source: RFC 7617 2; an empty half is legal (a token as user name, without password). */
function basic(auth: Extract<ApiAuth, { in: 'basic' }>, holes: Holes): string {
  // A user may have an empty user name or password, but the credential must be of the right type.
  const half = (template: string) => {
    if (holesOf(template).some((name) => holes.values[name] === undefined)) throw apiErrors.fail('unsupported_auth');
    return fillTemplate(template, holes.values, { fields: holes.fields }) ?? '';
  };
  const username = half(auth.username);
  if (username.includes(':')) {
    throw apiErrors.fail('unsupported_auth', { message: 'A user name with a colon cannot be sent by HTTP Basic.' });
  }
  return `Basic ${Buffer.from(`${username}:${half(auth.password)}`, 'utf8').toString('base64')}`;
}

/** Appends a pair without re-encoding the query that is there. */
function appendQuery(url: URL, name: string, value: string): void {
  const pair = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
  url.search = url.search === '' ? pair : `${url.search}&${pair}`;
}

/**
 * Base address plus path. The path can leave neither the origin nor the base path: no dot segments (also after decoding
 * twice), no backslashes, no second host, no control characters.
 * Errors: `invalid_path`. Source: threats-and-faults 2.6 case 18.
 */
export function joinPath(base: URL, path: string, query?: string): URL {
  const [before = '', inline] = splitOnce(path, '?');
  const start = base.pathname.replace(/\/$/, '');
  if (path.length + (query?.length ?? 0) > PATH_CHARS_MAX) throw apiErrors.fail('invalid_path');
  const plain = before === '' || before.startsWith('/') ? before : `/${before}`;
  if (!isPlainPath(plain)) throw apiErrors.fail('invalid_path');
  const search = [inline, query].filter((part) => part !== undefined && part !== '').join('&');
  if (/[#\s\\]/.test(search) || hasControl(search)) throw apiErrors.fail('invalid_path');
  const url = URL.parse(`${base.origin}${start}${plain}${search === '' ? '' : `?${search}`}`);
  if (url === null || url.origin !== base.origin || !url.pathname.startsWith(start) || url.hash !== '') {
    throw apiErrors.fail('invalid_path');
  }
  return url;
}

function isPlainPath(path: string): boolean {
  if (path.startsWith('//') || /[#\s]/.test(path)) return false;
  let decoded = path;
  for (let round = 0; round < 3; round++) {
    if (decoded.includes('\\') || hasControl(decoded)) return false;
    if (decoded.split('/').some((segment) => segment === '.' || segment === '..')) return false;
    const next = decodeLoosely(decoded);
    if (next === decoded) return true;
    decoded = next;
  }
  return true;
}

/** Percent-decodes ASCII only: what a server further on may do once more. */
function decodeLoosely(text: string): string {
  return text.replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

function splitOnce(text: string, char: string): [string, string | undefined] {
  const at = text.indexOf(char);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
