import { oauth2Errors } from './errors.ts';

/** The facts of a server's metadata that the flow uses. */
export interface Discovery {
  issuer: string;
  authorizationUrl: string;
  tokenUrl: string;
  revocationUrl: string | undefined;
  /** The answer of the authorization endpoint carries `iss` (RFC 9207 3). */
  issSupported: boolean;
  /** Empty: not told. */
  pkceMethods: string[];
  /** Empty: not told, which means `client_secret_basic`. */
  tokenAuthMethods: string[];
  scopes: string[];
}

/**
 * Where the metadata of an issuer may be, in the order to try: OpenID discovery (path behind the issuer), then RFC 8414
 * (well-known name between host and path).
 * Source: OpenID Connect Discovery 1.0 4.1, RFC 8414 3.1.
 */
export function discoveryUrls(issuer: string): URL[] {
  const openid = new URL(issuer);
  openid.pathname = `${openid.pathname.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const oauth = new URL(issuer);
  oauth.pathname = `/.well-known/oauth-authorization-server${oauth.pathname === '/' ? '' : oauth.pathname}`;
  return [openid, oauth];
}

/**
 * Reads a metadata document. The issuer inside must be the one asked for, or another server could answer for it.
 * Errors: `discovery_failed`. Source: RFC 8414 3.3.
 */
export function readDiscovery(issuer: string, body: Buffer): Discovery {
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder('utf-8').decode(body));
  } catch (cause) {
    throw failed('The metadata of the issuer is not JSON.', cause);
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw failed('The metadata of the issuer is no object.');
  const told = textOf(data, 'issuer');
  if (told === undefined || URL.parse(told)?.href !== new URL(issuer).href) {
    throw failed('The metadata names another issuer than the one configured. Copy `issuer` from the metadata exactly.');
  }
  const authorizationUrl = endpoint(data, 'authorization_endpoint', issuer);
  const tokenUrl = endpoint(data, 'token_endpoint', issuer);
  if (authorizationUrl === undefined || tokenUrl === undefined) {
    throw failed('The metadata of the issuer lacks an authorization or a token endpoint.');
  }
  return {
    issuer: told,
    authorizationUrl,
    tokenUrl,
    revocationUrl: endpoint(data, 'revocation_endpoint', issuer),
    issSupported: own(data, 'authorization_response_iss_parameter_supported') === true,
    pkceMethods: listOf(data, 'code_challenge_methods_supported'),
    tokenAuthMethods: listOf(data, 'token_endpoint_auth_methods_supported'),
    scopes: listOf(data, 'scopes_supported'),
  };
}

/** Says what is wrong with the `iss` of a callback, or undefined. Source: RFC 9207 2.4. */
export function issuerProblem(
  expected: { issuer?: string; issRequired?: boolean },
  iss: string | undefined,
): string | undefined {
  if (iss === undefined) {
    return expected.issRequired ? 'The provider’s answer does not say which server it comes from.' : undefined;
  }
  if (expected.issuer === undefined || expected.issuer.includes('${') || expected.issuer === iss) return undefined;
  return 'The provider’s answer comes from another server than the one asked.';
}

function endpoint(data: object, name: string, issuer: string): string | undefined {
  const text = textOf(data, name);
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const legal =
    url !== null &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && new URL(issuer).protocol === 'http:')) &&
    url.username === '' &&
    url.password === '' &&
    url.hash === '';
  // The text becomes a template of the resolved spec: it must not bring holes of its own.
  if (!legal || url.href.includes('${') || url.href.includes(' ')) {
    throw failed(`The metadata of the issuer has an unusable \`${name}\`.`);
  }
  return url.href;
}

function failed(message: string, cause?: unknown): Error {
  return oauth2Errors.fail('discovery_failed', { message, cause });
}

function own(data: object, name: string): unknown {
  return Object.hasOwn(data, name) ? (data as Record<string, unknown>)[name] : undefined;
}

function textOf(data: object, name: string): string | undefined {
  const value = own(data, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function listOf(data: object, name: string): string[] {
  const value = own(data, name);
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
