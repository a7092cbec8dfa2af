import type { FastifyRequest } from 'fastify';
import { isUuidV4 } from '../../base/ids.ts';
import { grantsScope, type Principal, type RouteAuth } from '../../base/route.ts';
import type { Environments } from '../../features/environments/index.ts';
import { httpErrors } from './errors.ts';

const SESSION_PREFIX = 'nango_connect_session_';
const SESSION_TOKEN = /^nango_connect_session_[0-9a-f]{64}$/;

export interface AuthDeps {
  environments: Environments;
  sessionByToken(token: string): Promise<Principal | undefined>;
}

/** Who calls, by the Authorization header. Errors: 401 codes of wire contract A.4; `forbidden`. */
export async function authenticate(
  deps: AuthDeps,
  auth: RouteAuth,
  header: string | undefined,
): Promise<Principal | undefined> {
  if (auth.by === 'public') return undefined;
  const token = bearer(header);
  const isSession = auth.by === 'session' || (auth.by === 'key-or-session' && token.startsWith(SESSION_PREFIX));
  if (isSession) {
    if (!SESSION_TOKEN.test(token)) throw httpErrors.fail('invalid_connect_session_token_format');
    const principal = await deps.sessionByToken(token);
    if (principal === undefined) throw httpErrors.fail('unknown_connect_session_token');
    return principal;
  }
  const principal = await keyPrincipal(deps.environments, token);
  assertScope(principal, auth.anyOf);
  return principal;
}

/** The environment behind an API key; from memory when known. */
export function keyPrincipal(environments: Environments, token: string): Principal | Promise<Principal> {
  return environments.peekKey(token) ?? lookUp(environments, token);
}

async function lookUp(environments: Environments, token: string): Promise<Principal> {
  if (!isUuidV4(token)) throw httpErrors.fail('invalid_secret_key_format');
  const principal = await environments.byKey(token);
  if (principal === undefined) throw httpErrors.fail('unknown_account');
  return principal;
}

/** Errors: `forbidden`, with the sentence of wire contract A.2. */
export function assertScope(principal: Principal, anyOf: readonly string[]): void {
  if (principal.kind !== 'key' || anyOf.length === 0) return;
  if (anyOf.some((scope) => grantsScope(principal.scopes, scope))) return;
  const message =
    anyOf.length === 1
      ? `Insufficient scope. Required: ${anyOf[0]}`
      : `Insufficient scope. Required one of: ${anyOf.join(' or ')}`;
  throw httpErrors.fail('forbidden', { message });
}

/** The token of a Bearer header. */
export function bearer(header: string | undefined): string {
  if (header === undefined || header === '') throw httpErrors.fail('missing_auth_header');
  const match = /^Bearer (\S+)$/i.exec(header);
  if (match?.[1] === undefined) throw httpErrors.fail('malformed_auth_header');
  return match[1];
}

/** For routes outside the table (proxy): key, then scope. */
export function principalFor(environments: Environments, scope: string) {
  return (request: FastifyRequest): Principal | Promise<Principal> => {
    const found = keyPrincipal(environments, bearer(request.headers.authorization));
    if (!(found instanceof Promise)) {
      assertScope(found, [scope]);
      return found;
    }
    return found.then((principal) => {
      assertScope(principal, [scope]);
      return principal;
    });
  };
}
