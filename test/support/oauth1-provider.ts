/**
 * An OAuth 1.0a server of its own for the scripted provider: verifies each signature by the rules of RFC 5849, written
 * independently of the product's code.
 */
import { createHmac } from 'node:crypto';
import type { Scripted, ScriptedReply, SeenRequest } from './scripted.ts';

export interface OAuth1Server {
  key: string;
  secret: string;
  requestTokens: Map<string, { secret: string; callback: string; verifier: string | undefined }>;
  accessTokens: Map<string, string>;
  nonces: Set<string>;
  /** Every signature that was right. */
  verified: number;
  /** The customer says yes; resolves to the address of the way back. */
  approve(authorizeUrl: string): URL;
}

const escape = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** Answers below paths that end in `/OAuthGetRequestToken` and `/OAuthGetAccessToken`; all else is the API. */
export function playOAuth1(server: Scripted): OAuth1Server {
  const state: OAuth1Server = {
    key: 'consumer-key',
    secret: 'consumer-secret-canary',
    requestTokens: new Map(),
    accessTokens: new Map(),
    nonces: new Set(),
    verified: 0,
    approve(authorizeUrl) {
      const token = new URL(authorizeUrl).searchParams.get('oauth_token') ?? '';
      const entry = state.requestTokens.get(token);
      if (entry === undefined) throw new Error('no such request token');
      entry.verifier = `verifier-${token}`;
      const back = new URL(entry.callback);
      back.searchParams.set('oauth_token', token);
      back.searchParams.set('oauth_verifier', entry.verifier);
      return back;
    },
  };

  function check(request: SeenRequest, tokenSecret: string): string | undefined {
    const params = headerParams(request);
    const { oauth_signature: signature = '', ...signed } = params;
    if (params['oauth_consumer_key'] !== state.key) return 'consumer_key_unknown';
    const nonce = `${params['oauth_timestamp']}:${params['oauth_nonce']}`;
    if (state.nonces.has(nonce)) return 'nonce_used';
    state.nonces.add(nonce);
    const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
    const pairs = [...request.query, ...(isForm ? request.form : []), ...Object.entries(signed)]
      .map(([name, value]) => `${escape(name)}=${escape(value)}`)
      .toSorted((a, b) =>
        a.split('=')[0] === b.split('=')[0] ? (a < b ? -1 : 1) : a.split('=')[0]! < b.split('=')[0]! ? -1 : 1,
      );
    const base = [request.method, `${server.url}${request.path}`, pairs.join('&')].map(escape).join('&');
    const wanted = createHmac('sha1', `${escape(state.secret)}&${escape(tokenSecret)}`)
      .update(base)
      .digest('base64');
    if (wanted !== signature) return 'signature_invalid';
    state.verified += 1;
    return undefined;
  }

  function refuse(problem: string): ScriptedReply {
    return { status: 401, text: `oauth_problem=${problem}`, headers: { 'content-type': 'text/plain' } };
  }

  server.answer = (request) => {
    const params = headerParams(request);
    const token = params['oauth_token'] ?? '';
    if (request.path.endsWith('/OAuthGetRequestToken')) {
      const problem = check(request, '');
      if (problem !== undefined) return refuse(problem);
      const key = `request-${state.requestTokens.size + 1}`;
      const secret = `request-secret-${key}`;
      state.requestTokens.set(key, { secret, callback: params['oauth_callback'] ?? '', verifier: undefined });
      return { text: `oauth_token=${key}&oauth_token_secret=${secret}&oauth_callback_confirmed=true` };
    }
    if (request.path.endsWith('/OAuthGetAccessToken')) {
      const entry = state.requestTokens.get(token);
      if (entry === undefined) return refuse('token_rejected');
      const problem = check(request, entry.secret);
      if (problem !== undefined) return refuse(problem);
      if (entry.verifier === undefined || params['oauth_verifier'] !== entry.verifier)
        return refuse('verifier_invalid');
      state.requestTokens.delete(token);
      const key = `access-token-${token}`;
      state.accessTokens.set(key, `access-secret-canary-${token}`);
      return { text: `oauth_token=${key}&oauth_token_secret=${state.accessTokens.get(key)}&user_id=42` };
    }
    const secret = state.accessTokens.get(token);
    if (secret === undefined) return refuse('token_rejected');
    const problem = check(request, secret);
    return problem === undefined ? { json: { id: 'me' } } : refuse(problem);
  };
  return state;
}

function headerParams(request: SeenRequest): Record<string, string> {
  const header = request.headers.authorization ?? '';
  if (!header.startsWith('OAuth ')) return {};
  return Object.fromEntries(
    [...header.slice(6).matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      decodeURIComponent(value),
    ]),
  );
}
