/** The call that ends a grant at the provider, and what its answer means. Pure; RFC 7009 is in `oauth2/revocation.ts`. */
import type { DisconnectCall } from '../../catalogue/_spec/index.ts';
import { apiHeaders, applyAuth, holdsSecret, secretsOf, type ApiCredential } from './api-auth.ts';
import { fillTable, holesFor, urlFrom, type Holes, type TemplateInput } from './input.ts';
import { atPath, parseBody, sameValue } from './oauth2/parse-body.ts';
import { readError } from './oauth2/read-error.ts';
import type { HttpRequest, OAuthClient } from './oauth2/request.ts';

export interface DisconnectInput extends TemplateInput {
  disconnect: DisconnectCall;
  credential: ApiCredential;
  refreshToken?: string | undefined;
  /** The app's registration; undefined for a provider without OAuth. */
  client?: OAuthClient | undefined;
}

/**
 * Builds the call.
 * Errors: `template_value_missing`, `template_value_invalid`, `unsupported_auth`.
 */
export function disconnectRequest(input: DisconnectInput): HttpRequest {
  const { disconnect, client } = input;
  const holes = holesFor(input, {
    ...secretsOf(input.credential),
    refreshToken: input.refreshToken,
    clientId: client?.clientId,
    clientSecret: client?.clientSecret,
  });
  const url = urlFrom(disconnect.url, holes);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (disconnect.auth === undefined) Object.assign(headers, apiHeaders(input, url).headers);
  else {
    Object.assign(headers, plainHeaders(input, holes));
    applyAuth(disconnect.auth, holes, headers, url);
  }
  const request = { method: disconnect.method, url, headers };
  if (disconnect.body === undefined) return request;
  const params = fillTable(disconnect.body.params, holes);
  if (disconnect.body.format === 'json') {
    headers['content-type'] = 'application/json';
    return { ...request, body: JSON.stringify(params) };
  }
  headers['content-type'] = 'application/x-www-form-urlencoded';
  return { ...request, body: new URLSearchParams(params).toString() };
}

/** The provider's own headers that carry no credential, such as a version. */
function plainHeaders(input: DisconnectInput, holes: Holes): Record<string, string> {
  const plain = Object.entries(input.provider.api.headers ?? {}).filter(([, value]) => !holdsSecret(value));
  const filled = fillTable(Object.fromEntries(plain), holes, 'header');
  return Object.fromEntries(Object.entries(filled).map(([name, value]) => [name.toLowerCase(), value]));
}

/** `gone`: the provider had let go before. `failed`: not now, or not at all; asking again is harmless. */
export type DisconnectVerdict = 'revoked' | 'gone' | 'failed';

/** What the answer says. Never throws. */
export function readDisconnectAnswer(
  disconnect: DisconnectCall,
  answer: { status: number; body: Buffer },
): DisconnectVerdict {
  const parsed = parseBody(answer.body);
  const data = parsed.kind === 'object' ? parsed.value : undefined;
  const code = data === undefined ? undefined : readError(data, []).rawCode;
  if (code !== undefined && disconnect.goneErrors?.includes(code)) return 'gone';
  if (disconnect.goneStatuses?.includes(answer.status)) return 'gone';
  if (answer.status === 401) {
    // Authorised by the token itself, a 401 means that the token is dead; by the app, that the app is wrong.
    return disconnect.auth === undefined ? 'gone' : 'failed';
  }
  if (answer.status < 200 || answer.status >= 300) return 'failed';
  const { success } = disconnect;
  if (success === undefined) return 'revoked';
  return data !== undefined && sameValue(atPath(data, success.path), success.equals) ? 'revoked' : 'failed';
}
