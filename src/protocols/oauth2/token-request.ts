import type { TokenRequestSpec } from '../../../catalogue/_spec/index.ts';
import { fillTable, holesFor, urlFrom, type Holes } from '../input.ts';
import { oauth2Errors } from './errors.ts';
import { basicClientAuth, renameKeys, type HttpRequest, type OAuth2Input, type OAuthClient } from './request.ts';

/**
 * The request that turns a code into tokens.
 * Errors: `template_value_missing`, `template_value_invalid`. Source: RFC 6749 4.1.3, RFC 7636 4.5.
 */
export function codeRequest(
  input: OAuth2Input & { code: string; redirectUri: string; codeVerifier?: string; scope?: string },
): HttpRequest {
  const { token } = input.oauth2;
  const params = new Map([
    ['grant_type', 'authorization_code'],
    ['code', input.code],
    ['redirect_uri', input.redirectUri],
  ]);
  if (input.codeVerifier !== undefined && input.oauth2.pkce === 'S256') params.set('code_verifier', input.codeVerifier);
  if (token.sendScope && input.scope !== undefined && input.scope !== '') params.set('scope', input.scope);
  return build(input, token.url, params, token.params);
}

/**
 * The request that renews an access token. Parameters: those of `refresh`, else those of `token`.
 * Errors: `refresh_unsupported`, `template_value_missing`, `template_value_invalid`. Source: RFC 6749 6.
 */
export function refreshRequest(input: OAuth2Input & { refreshToken: string; scope?: string }): HttpRequest {
  const { token, refresh } = input.oauth2;
  if (refresh === undefined) throw oauth2Errors.fail('refresh_unsupported');
  const params = new Map([
    ['grant_type', 'refresh_token'],
    ['refresh_token', input.refreshToken],
  ]);
  if (refresh.sendScope && input.scope !== undefined && input.scope !== '') params.set('scope', input.scope);
  return build(input, refresh.url ?? token.url, params, refresh.params ?? token.params);
}

function build(
  input: OAuth2Input,
  url: string,
  standard: Map<string, string>,
  extra: Record<string, string> | undefined,
): HttpRequest {
  const { token } = input.oauth2;
  const holes: Holes = holesFor(input, { clientId: input.client.clientId });
  const headers: Record<string, string> = { accept: 'application/json' };
  authenticate(token.clientAuth ?? 'body', input.client, standard, headers);
  for (const name of token.omit ?? []) standard.delete(name);
  const params = renameKeys(standard, token.rename);
  for (const [name, value] of Object.entries(fillTable(extra ?? {}, holes))) params.set(name, value);
  for (const [name, value] of Object.entries(fillTable(token.headers ?? {}, holes, 'header'))) {
    headers[name.toLowerCase()] = value;
  }
  return write(token, urlFrom(url, holes), params, headers);
}

function authenticate(
  how: 'body' | 'basic' | 'none',
  client: OAuthClient,
  params: Map<string, string>,
  headers: Record<string, string>,
): void {
  if (how === 'basic') {
    headers['authorization'] = basicClientAuth(client);
    return;
  }
  params.set('client_id', client.clientId);
  if (how === 'body') params.set('client_secret', client.clientSecret);
}

function write(
  token: TokenRequestSpec,
  url: URL,
  params: Map<string, string>,
  headers: Record<string, string>,
): HttpRequest {
  const method = token.method ?? 'POST';
  const body = method === 'GET' ? 'query' : (token.body ?? 'form');
  if (body === 'query') {
    for (const [name, value] of params) url.searchParams.set(name, value);
    return { method, url, headers };
  }
  if (body === 'json') {
    headers['content-type'] = 'application/json';
    return { method, url, headers, body: JSON.stringify(Object.fromEntries(params)) };
  }
  headers['content-type'] = 'application/x-www-form-urlencoded';
  return { method, url, headers, body: new URLSearchParams([...params]).toString() };
}
