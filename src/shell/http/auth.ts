import type { FastifyReply, FastifyRequest } from 'fastify';
import { isUuidV4 } from '../../base/ids.ts';
import { grantsScope, type Principal, type RouteAuth } from '../../base/route.ts';
import type { Environments } from '../../features/environments/index.ts';
import { callerAddress } from './address.ts';
import { httpErrors } from './errors.ts';
import type { Guesses } from './guesses.ts';
import type { RateLimit } from './rate-limit.ts';

const SESSION_PREFIX = 'nango_connect_session_';
const SESSION_TOKEN = /^nango_connect_session_[0-9a-f]{64}$/;

declare module 'fastify' {
  interface FastifyRequest {
    /** The answer to this request, for code that is given the request only. */
    answer: FastifyReply | undefined;
  }
}

export interface AuthDeps {
  environments: Pick<Environments, 'peekKey' | 'byKey'>;
  sessionByToken(token: string): Promise<Principal | undefined>;
  guesses: Guesses;
  rateLimit: RateLimit;
  /** Told of every authenticated request. */
  admit(request: FastifyRequest): void;
}

export interface Authenticator {
  /**
   * Who calls a declared route, by the Authorization header; counted. Errors: 401 codes of wire contract A.4;
   * `forbidden`, `too_many_request`.
   */
  principalFor(auth: RouteAuth, request: FastifyRequest): Promise<Principal | undefined>;
  /** The same for a plugin that takes API keys; without a promise while the key is in memory. */
  keyPrincipalFor(anyOf: readonly string[]): (request: FastifyRequest) => Principal | Promise<Principal>;
}

export function createAuthenticator(deps: AuthDeps): Authenticator {
  const { environments, guesses, rateLimit } = deps;

  async function knownKey(token: string, request: FastifyRequest): Promise<Principal> {
    if (!isUuidV4(token)) throw httpErrors.fail('invalid_secret_key_format');
    // Keys are compared without regard to case (wire contract A.1).
    const principal = await guess(token.toLowerCase(), request, () => environments.byKey(token));
    if (principal === undefined) throw httpErrors.fail('unknown_account');
    return principal;
  }

  async function knownSession(token: string, request: FastifyRequest): Promise<Principal> {
    if (!SESSION_TOKEN.test(token)) throw httpErrors.fail('invalid_connect_session_token_format');
    const principal = await guess(token, request, () => deps.sessionByToken(token));
    if (principal === undefined) throw httpErrors.fail('unknown_connect_session_token');
    return principal;
  }

  async function guess<T>(secret: string, request: FastifyRequest, lookUp: () => Promise<T | undefined>) {
    try {
      return await guesses.check(callerAddress(request), secret, lookUp);
    } catch (error) {
      throw limited(error, request, guesses);
    }
  }

  function take(caller: string, request: FastifyRequest): void {
    const { allowed, headers } = rateLimit.take(caller);
    void request.answer?.headers(headers);
    if (!allowed) throw tooMany(request);
  }

  function welcome(principal: Principal, anyOf: readonly string[], request: FastifyRequest): Principal {
    deps.admit(request);
    assertScope(principal, anyOf);
    take(callerOf(principal), request);
    return principal;
  }

  return {
    async principalFor(auth, request) {
      if (auth.by === 'public') {
        try {
          guesses.assertBrowserMayTry(callerAddress(request));
        } catch (error) {
          throw limited(error, request, guesses);
        }
        take(`ip:${callerAddress(request)}`, request);
        return undefined;
      }
      const token = bearer(request.headers.authorization);
      if (auth.by === 'session' || (auth.by === 'key-or-session' && token.startsWith(SESSION_PREFIX))) {
        return welcome(await knownSession(token, request), [], request);
      }
      return welcome(environments.peekKey(token) ?? (await knownKey(token, request)), auth.anyOf, request);
    },
    keyPrincipalFor: (anyOf) => (request) => {
      const token = bearer(request.headers.authorization);
      const principal = environments.peekKey(token);
      if (principal !== undefined) return welcome(principal, anyOf, request);
      return knownKey(token, request).then((known) => welcome(known, anyOf, request));
    },
  };
}

/** Every key and every session counts for itself. */
function callerOf(principal: Principal): string {
  return principal.kind === 'key' ? `key:${principal.keyId}` : `session:${principal.session.id}`;
}

function limited(error: unknown, request: FastifyRequest, guesses: Guesses): unknown {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code !== 'too_many_request') return error;
  void request.answer?.header('retry-after', String(guesses.secondsLeft()));
  return tooMany(request);
}

/** Source: wire contract A.4. */
function tooMany(request: FastifyRequest) {
  return httpErrors.fail('too_many_request', {
    beside: { method: request.method, path: request.url.split('?')[0]?.slice(0, 200) },
  });
}

/** Errors: `forbidden`, with the sentence of wire contract A.2. */
function assertScope(principal: Principal, anyOf: readonly string[]): void {
  if (principal.kind !== 'key' || anyOf.length === 0) return;
  if (anyOf.some((scope) => grantsScope(principal.scopes, scope))) return;
  const message =
    anyOf.length === 1
      ? `Insufficient scope. Required: ${anyOf[0]}`
      : `Insufficient scope. Required one of: ${anyOf.join(' or ')}`;
  throw httpErrors.fail('forbidden', { message });
}

/** The token of a Bearer header. */
function bearer(header: string | undefined): string {
  if (header === undefined || header === '') throw httpErrors.fail('missing_auth_header');
  const match = /^Bearer (\S+)$/i.exec(header);
  if (match?.[1] === undefined) throw httpErrors.fail('malformed_auth_header');
  return match[1];
}
