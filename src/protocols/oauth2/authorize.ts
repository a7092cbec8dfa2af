import { fillTable, holesFor, urlFrom } from '../input.ts';
import { renameKeys, type OAuth2Input } from './request.ts';

export interface AuthorizeInput extends OAuth2Input {
  redirectUri: string;
  scopes: string[];
  state: string;
  /** Sent as S256. */
  codeChallenge?: string;
  /** Additions of one connect; the value `undefined` (as text) removes a parameter. Cannot touch {@link PROTECTED}. */
  extraParams?: Record<string, string>;
  /** Scopes asked for the person, beside those of the app (parameter `user_scope`). */
  userScopes?: string[];
}

/**
 * Parameters that one connect cannot set: they bind the answer to the flow, or would widen what is asked for.
 * `request` and `request_uri` would replace them all (RFC 9101 6.3); `response_mode` would move the answer out of reach.
 */
const PROTECTED = new Set([
  'client_id',
  'redirect_uri',
  'state',
  'response_type',
  'response_mode',
  'scope',
  'user_scope',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
]);

/** Of these, the ones that one connect may still remove: less is asked for, and the flow stays bound. */
const REMOVABLE = new Set(['response_type', 'scope', 'user_scope']);

const REMOVE = 'undefined';

/**
 * The page to send the customer to.
 * Errors: `template_value_missing`, `template_value_invalid`. Source: RFC 6749 4.1.1, RFC 7636 4.3.
 */
export function authorizeUrl(input: AuthorizeInput): URL {
  const { authorize, scopes } = input.oauth2;
  const holes = holesFor(input, { clientId: input.client.clientId });
  const url = urlFrom(authorize.url, holes);

  let params = standardParams(input);
  const own = authorize.params ?? {};
  const texts = Object.fromEntries(Object.entries(own).filter((entry): entry is [string, string] => entry[1] !== null));
  for (const [name, value] of Object.entries(fillTable(texts, holes))) params.set(name, value);
  for (const [name, value] of Object.entries(own)) if (value === null) params.delete(name);
  params = renameKeys(params, authorize.rename);
  addExtras(params, input.extraParams ?? {}, authorize.rename ?? {});
  if (authorize.skipEmpty) for (const [name, value] of params) if (value === '') params.delete(name);

  const scopeName = authorize.rename?.['scope'] ?? 'scope';
  const query = [...params]
    .map(([name, value]) => {
      const raw = authorize.decoded === true || (name === scopeName && scopes?.encode === false);
      return `${encodeURIComponent(name)}=${raw ? encodeLittle(value) : encodeURIComponent(value)}`;
    })
    .join('&');
  return withQuery(url, query, authorize.paramsIn ?? 'query');
}

function standardParams(input: AuthorizeInput): Map<string, string> {
  const separator = input.oauth2.scopes?.separator ?? ' ';
  const params = new Map([
    ['response_type', 'code'],
    ['client_id', input.client.clientId],
    ['redirect_uri', input.redirectUri],
  ]);
  if (input.scopes.length > 0) params.set('scope', input.scopes.join(separator));
  params.set('state', input.state);
  if (input.codeChallenge !== undefined && input.oauth2.pkce === 'S256') {
    params.set('code_challenge', input.codeChallenge);
    params.set('code_challenge_method', 'S256');
  }
  if (input.userScopes !== undefined && input.userScopes.length > 0) {
    params.set('user_scope', input.userScopes.join(separator));
  }
  return params;
}

function addExtras(params: Map<string, string>, extras: Record<string, string>, rename: Record<string, string>): void {
  const renamed = new Map(Object.entries(rename).map(([standard, theirs]) => [theirs, standard]));
  for (const [name, value] of Object.entries(extras)) {
    const standard = renamed.get(name) ?? name;
    if (value === REMOVE) {
      if (!PROTECTED.has(standard) || REMOVABLE.has(standard)) params.delete(name);
    } else if (!PROTECTED.has(standard)) {
      params.set(name, value);
    }
  }
}

/** Encodes only what would end the value or the query: for providers that do not decode. */
function encodeLittle(text: string): string {
  return encodeURI(text.toWellFormed()).replaceAll('&', '%26').replaceAll('#', '%23');
}

function withQuery(url: URL, query: string, place: 'query' | 'fragment'): URL {
  if (query === '') return url;
  const part = place === 'query' ? 'search' : 'hash';
  const before = url[part];
  if (place === 'query') url.search = before === '' ? query : `${before}&${query}`;
  else url.hash = `${before}${before.includes('?') ? '&' : '?'}${query}`;
  return url;
}
