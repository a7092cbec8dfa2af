/**
 * An independent, certified authorization server (`oidc-provider`) on loopback: PKCE, `iss` in answers, discovery,
 * revocation, and refresh tokens that rotate and take their family with them when one is used twice.
 */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { randomId, randomSecret } from '../../src/base/ids.ts';
import { createOidcStore } from './oidc-store.ts';

export interface OidcOptions {
  /** Default 0: any free port. */
  port?: number;
  redirectUris: string[];
  /** Default true: a used refresh token dies, and using it again ends the whole family. */
  rotate?: boolean;
  /** Default true. */
  pkceRequired?: boolean;
  /** How the client must authenticate. Default `body`. */
  clientAuth?: 'body' | 'basic' | 'none';
  clientId?: string;
  clientSecret?: string;
  /** Lives in seconds. Defaults: access token 3600, refresh token 86400, code 60. */
  ttl?: { accessTokenSeconds?: number; refreshTokenSeconds?: number; codeSeconds?: number };
}

export interface TokenRequest {
  grantType: string | undefined;
  status: number;
}

export interface Oidc {
  /** Without trailing slash. */
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** Answered calls of the token endpoint, oldest first. */
  tokenRequests(): TokenRequest[];
  /**
   * Goes through an authorize URL as a browser would, over plain HTTP; resolves to the address the browser is sent to.
   * In a real browser the page has one form with the buttons `decision=allow` and `decision=deny`.
   */
  consent(authorizeUrl: string | URL, options?: { login?: string; decision?: 'allow' | 'deny' }): Promise<URL>;
  /** True while the server honours the token (access or refresh). */
  isActive(token: string): Promise<boolean>;
  close(): Promise<void>;
}

const AUTH_METHODS = { body: 'client_secret_post', basic: 'client_secret_basic', none: 'none' } as const;

export async function startOidc(options: OidcOptions): Promise<Oidc> {
  const clientId = options.clientId ?? randomId();
  const clientSecret = options.clientSecret ?? randomSecret();
  const requests: TokenRequest[] = [];
  let handle: ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | undefined;
  // The issuer holds the port, so the server listens before the provider is made.
  const server = createServer((request, response) => void handle?.(request, response));
  await new Promise<void>((resolve) => void server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const provider = new Provider(issuer, configurationOf(options, clientId, clientSecret));
  provider.use(async (context, next) => {
    await next();
    if (context.oidc?.route === 'token') {
      requests.push({ grantType: context.oidc.params?.['grant_type'], status: context.status });
    }
  });
  const protocol = provider.callback();
  handle = (request, response) =>
    request.url?.startsWith('/interaction/')
      ? interact(provider, request, response).catch((error: unknown) => {
          // An interaction that is over, mostly: shown to the test as a page.
          response.statusCode = 400;
          response.end(String(error));
        })
      : protocol(request, response);

  return {
    issuer,
    clientId,
    clientSecret,
    tokenRequests: () => [...requests],
    consent: (authorizeUrl, how = {}) => consentOverHttp(issuer, new URL(authorizeUrl), how),
    async isActive(token) {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.RefreshToken.find(token));
      return found?.isValid === true;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve, reject) => void server.close((error) => (error ? reject(error) : resolve())));
    },
  };
}

function configurationOf(options: OidcOptions, clientId: string, clientSecret: string): Record<string, unknown> {
  const { ttl = {}, clientAuth = 'body', rotate = true, pkceRequired = true } = options;
  return {
    clients: [
      {
        client_id: clientId,
        ...(clientAuth === 'none' ? {} : { client_secret: clientSecret }),
        token_endpoint_auth_method: AUTH_METHODS[clientAuth],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: options.redirectUris,
      },
    ],
    adapter: createOidcStore(),
    cookies: { keys: [randomSecret()] },
    jwks: { keys: [{ ...signingKey(), use: 'sig', alg: 'RS256', kid: 'k1' }] },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    features: {
      devInteractions: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_context: unknown, client: { clientId: string }, token: { clientId: string }) =>
          token.clientId === client.clientId,
      },
    },
    pkce: { required: () => pkceRequired },
    rotateRefreshToken: rotate,
    issueRefreshToken: () => true,
    ttl: {
      AccessToken: ttl.accessTokenSeconds ?? 3600,
      RefreshToken: ttl.refreshTokenSeconds ?? 86_400,
      AuthorizationCode: ttl.codeSeconds ?? 60,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      Session: 86_400,
    },
    renderError: (context: { type: string; body: string }, out: { error: string; error_description?: string }) => {
      context.type = 'text/plain';
      context.body = `${out.error}: ${out.error_description ?? ''}`;
    },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
  };
}

let key: JsonWebKey | undefined;

/** One per process: making one takes a noticeable while. */
function signingKey(): JsonWebKey {
  key ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return key;
}

/** Sign-in and consent on one page. */
async function interact(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(PAGE);
    return;
  }
  const form = new URLSearchParams(await readBody(request));
  if (form.get('decision') !== 'allow') {
    await provider.interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'The customer said no',
    });
    return;
  }
  const accountId = form.get('login') ?? 'customer';
  const grant = new provider.Grant({ accountId, clientId: params['client_id'] ?? '' });
  grant.addOIDCScope(params['scope'] ?? '');
  const grantId = await grant.save();
  await provider.interactionFinished(request, response, { login: { accountId }, consent: { grantId } });
}

const PAGE = `<!doctype html><html lang="en"><title>Test server</title><h1>Test server</h1><form method="post">
<label>Login <input name="login" value="customer"></label>
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form></html>`;

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** More hops than any flow of this server needs. */
const HOPS_MAX = 10;

async function consentOverHttp(
  issuer: string,
  start: URL,
  { login = 'customer', decision = 'allow' }: { login?: string; decision?: 'allow' | 'deny' },
): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | undefined;
  for (let hop = 0; hop < HOPS_MAX; hop++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const text = await response.text();
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      form = undefined;
      if (url.origin !== issuer) return url;
    } else if (response.status === 200 && form === undefined && url.pathname.startsWith('/interaction/')) {
      form = new URLSearchParams({ login, decision });
    } else {
      throw new Error(`The test server answered ${response.status} at ${url.pathname}: ${text.slice(0, 300)}`);
    }
  }
  throw new Error('The test server redirects without end.');
}
