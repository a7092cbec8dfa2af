import { basicClientAuth, type HttpRequest, type OAuthClient } from './request.ts';

/**
 * The request that tells a server to forget a token. A 200 means done, also for a token the server does not know.
 * Source: RFC 7009 2.1, 2.2.
 */
export function revocationRequest(input: {
  url: URL;
  client: OAuthClient;
  token: string;
  hint: 'access_token' | 'refresh_token';
  clientAuth: 'body' | 'basic' | 'none';
}): HttpRequest {
  const params = new URLSearchParams({ token: input.token, token_type_hint: input.hint });
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  };
  if (input.clientAuth === 'basic') headers['authorization'] = basicClientAuth(input.client);
  else params.set('client_id', input.client.clientId);
  if (input.clientAuth === 'body') params.set('client_secret', input.client.clientSecret);
  return { method: 'POST', url: input.url, headers, body: params.toString() };
}
