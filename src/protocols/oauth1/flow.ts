/** The three requests of an OAuth 1.0a authorization, and what their answers say. Pure. Source: RFC 5849 section 2. */
import type { OAuth1Spec } from '../../../catalogue/_spec/index.ts';
import { randomId } from '../../base/ids.ts';
import { fillTable, holesFor, urlFrom, type TemplateInput } from '../input.ts';
import { cleanText } from '../oauth2/clean.ts';
import { parseBody } from '../oauth2/parse-body.ts';
import type { HttpRequest, OAuthClient } from '../oauth2/request.ts';
import type { HttpAnswer } from '../oauth2/token-answer.ts';
import { authorizationHeader } from './signature.ts';

export interface OAuth1Input extends TemplateInput {
  spec: OAuth1Spec;
  client: OAuthClient;
  nowMs: number;
  /** Where the emulator plays the provider, the address that is really called: the signature covers it. */
  target?: (url: URL) => URL;
}

/** A token with its secret, of either step. */
export interface OAuth1Token {
  key: string;
  secret: string;
}

export type OAuth1Answer =
  | { ok: true; token: OAuth1Token; raw: Record<string, string> }
  /** `description` is cleaned: at most 300 characters, nothing of what was sent. */
  | { ok: false; status: number; description?: string };

/** Tokens and their secrets are short; a longer one is no token. */
const TOKEN_CHARS_MAX = 2_048;

/** Asks for a request token. `callback` is where the provider sends the browser back. */
export function requestTokenRequest(input: OAuth1Input & { callback: string }): HttpRequest {
  const { requestToken } = input.spec;
  return build(input, requestToken.url, requestToken.params, undefined, { oauth_callback: input.callback });
}

/** Exchanges a request token that the customer has approved. */
export function accessTokenRequest(input: OAuth1Input & { token: OAuth1Token; verifier: string }): HttpRequest {
  const { accessToken } = input.spec;
  return build(input, accessToken.url, accessToken.params, input.token, { oauth_verifier: input.verifier });
}

/** The page on which the customer approves. */
export function authorizePage(input: OAuth1Input & { token: OAuth1Token; scopes: string[] }): URL {
  const { authorize, scopes } = input.spec;
  const holes = holesFor(input, { clientId: input.client.clientId });
  const url = urlFrom(authorize.url, holes);
  for (const [name, value] of Object.entries(fillTable(authorize.params ?? {}, holes)))
    url.searchParams.set(name, value);
  if (input.scopes.length > 0) url.searchParams.set('scope', input.scopes.join(scopes?.separator ?? ','));
  url.searchParams.set('oauth_token', input.token.key);
  return url;
}

function build(
  input: OAuth1Input,
  template: string,
  params: Record<string, string> | undefined,
  token: OAuth1Token | undefined,
  extra: Record<string, string>,
): HttpRequest {
  const holes = holesFor(input, { clientId: input.client.clientId });
  const url = urlFrom(template, holes);
  const form = params === undefined ? undefined : new URLSearchParams(fillTable(params, holes)).toString();
  const target = input.target?.(url) ?? url;
  const authorization = authorizationHeader(
    { method: 'POST', url: target, form },
    {
      method: input.spec.signature,
      consumerKey: input.client.clientId,
      consumerSecret: input.client.clientSecret,
      token,
      timestamp: Math.floor(input.nowMs / 1_000),
      nonce: newNonce(),
      extra: { ...extra, oauth_version: '1.0' },
    },
  );
  const headers: Record<string, string> = { accept: '*/*', authorization };
  if (form === undefined) return { method: 'POST', url: target, headers };
  headers['content-type'] = 'application/x-www-form-urlencoded';
  return { method: 'POST', url: target, headers, body: form };
}

/** Source: RFC 5849 3.3. */
export function newNonce(): string {
  return randomId().replaceAll('-', '');
}

/**
 * Reads a token answer of either step. `secrets`: what was sent, masked if it comes back. Never throws.
 * Source: RFC 5849 2.1, 2.3.
 */
export function readOAuth1Answer(answer: HttpAnswer, secrets: readonly string[] = []): OAuth1Answer {
  const parsed = parseBody(answer.body);
  const data = parsed.kind === 'object' ? parsed.value : {};
  const { oauth_token: key, oauth_token_secret: secret } = data;
  const valid = isToken(key) && isToken(secret);
  if (answer.status >= 200 && answer.status < 300 && valid) {
    const raw = Object.fromEntries(
      Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
    return { ok: true, token: { key, secret }, raw };
  }
  // A page or a sentence in the clear is common here; both are cleaned.
  const said = parsed.kind === 'unreadable' ? undefined : (data['oauth_problem'] ?? data['error'] ?? data['message']);
  const description = cleanText(typeof said === 'string' ? said : undefined, secrets);
  return { ok: false, status: answer.status, ...(description !== undefined && { description }) };
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= TOKEN_CHARS_MAX && /^[\x21-\x7e]+$/.test(value);
}

/** What the browser brought back. Source: RFC 5849 2.2. */
export function readOAuth1Callback(
  query: URLSearchParams,
  expected: OAuth1Token,
): { kind: 'approved'; verifier: string } | { kind: 'refused' } | { kind: 'incomplete' } {
  if (query.has('denied') || query.get('oauth_problem') === 'user_refused' || query.get('error') === 'access_denied') {
    return { kind: 'refused' };
  }
  const [token, verifier] = [query.getAll('oauth_token'), query.getAll('oauth_verifier')];
  const [first = '', second = ''] = [token[0], verifier[0]];
  if (token.length !== 1 || verifier.length !== 1 || first !== expected.key || second === '') {
    return { kind: 'incomplete' };
  }
  return { kind: 'approved', verifier: second };
}
