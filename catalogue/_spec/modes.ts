/** What a provider file says about the auth modes beside OAuth 2.0, API key and Basic. Types only. */
import type { ScopeSpec, TokenResponseSpec } from './index.ts';

/** How a client proves itself at a token endpoint when there is no customer in between. */
export type MachineClientAuth =
  /** Id and secret in the body. */
  | 'body'
  /** Id and secret by HTTP Basic. */
  | 'basic'
  /** A JWT signed with the client's key (RFC 7523 2.2). */
  | 'private_key_jwt'
  /** The id in the body, the proof is the TLS client certificate (RFC 8705 2). */
  | 'tls';

/** Signing algorithms of JWTs that we make (RFC 7518 3.1). */
export type JwtAlgorithm = 'HS256' | 'RS256' | 'PS256' | 'ES256';

/** The JWT of `private_key_jwt`. Signed with the customer's `client_private_key`. */
export interface AssertionSpec {
  /** Default RS256. */
  algorithm?: Exclude<JwtAlgorithm, 'HS256'>;
  /** Template of the audience. Default: the token URL. */
  audience?: string;
  /** Template of the header's `kid`; left out while a hole is empty. */
  keyId?: string;
  /** True puts the SHA-256 thumbprint of `client_certificate` into the header as `x5t#S256`. */
  thumbprint?: boolean;
  /** Default 300. */
  lifetimeSeconds?: number;
}

/**
 * OAUTH1: OAuth 1.0a (RFC 5849). Every API call is signed, so `api.auth` is `{in: 'signature'}`. Scopes, where there are
 * any, go to the authorize page as `scope`.
 */
export interface OAuth1Spec {
  requestToken: { url: string; params?: Record<string, string> };
  /** Extra query parameters are templates; those with an empty hole are left out. */
  authorize: { url: string; params?: Record<string, string> };
  accessToken: { url: string; params?: Record<string, string> };
  signature: 'HMAC-SHA1' | 'HMAC-SHA256' | 'PLAINTEXT';
  scopes?: ScopeSpec;
  /** `connection_config` key → name in the answer that brings the access token. */
  metadata?: Record<string, string>;
}

/**
 * AWS_SIGV4: a role of the customer's account is assumed with the integration's own keys (STS), and every call is signed
 * with the temporary ones, so `api.auth` is `{in: 'signature'}`. The form has `role_arn`, `region` and `external_id`; the
 * region is also learned as `connectionConfig.region`, for addresses.
 */
export interface SigV4Spec {
  /** Template of the service's name in the signature. */
  service: string;
  /** Template of the region. */
  region: string;
  stsUrl: string;
  /**
   * Template that gives `required`: connecting without an external id is refused; `fixed`: it must come from the connect
   * session, never from the customer. Anything else, or absent: optional. Source: the AWS guide on the confused deputy.
   */
  externalId?: string;
  /** Services that take a body which is not hashed: such bodies are streamed. Others are read whole before they go. */
  unsignedPayload?: string[];
}

/**
 * APP: the customer installs the app at the provider; the app then gets tokens for that installation with its own key.
 * The provider sends the browser back with `installation_id`, kept as `connectionConfig.installation_id`.
 */
export interface AppSpec {
  /** Begins with `${appLink}`, the page of the app, which the integration names. */
  installUrl: string;
  /** Hosts that page may be on. */
  linkHosts: string[];
  /** Tells what an installation is. */
  installationUrl: string;
  /** Dotted paths of its answer to the moments at which the installation was made or changed; the latest counts. */
  changedAt: string[];
  /** `connection_config` key → dotted path of the same answer. */
  metadata?: Record<string, string>;
  tokenUrl: string;
  headers?: Record<string, string>;
  response?: TokenResponseSpec;
}

/** One request of a login. */
export interface LoginRequestSpec {
  url: string;
  /** Default POST. A GET carries no parameters: they would stand in the URL. */
  method?: 'POST' | 'PUT' | 'GET';
  /** Default json. */
  body?: 'json' | 'form';
  params?: Record<string, string>;
  headers?: Record<string, string>;
  /** HTTP Basic, for servers that want the login there. */
  basic?: { username: string; password: string };
}

/**
 * TWO_STEP: the customer's own login, sent by us, gives a session token. `steps` come before: what they keep is a hole of
 * the later requests, `${step1.name}`.
 */
export interface LoginSpec {
  steps?: (LoginRequestSpec & { keep: Record<string, string> })[];
  token: LoginRequestSpec;
  /** Without a told end and without `lifetimeSeconds`, the `exp` of a token that is a JWT counts. */
  response?: TokenResponseSpec;
}

/**
 * JWT: the token is a JWT that we sign with the customer's key (RFC 7519). `iat` and `exp` are set; other claims and
 * header entries are templates, those with an empty hole are left out.
 */
export interface JwtSpec {
  algorithm: JwtAlgorithm;
  /** Template of the key: PEM, or for HS256 the text of the secret. */
  key: string;
  /** How the secret of HS256 is written. Default hex. */
  keyEncoding?: 'hex' | 'utf8' | 'base64';
  header?: Record<string, string>;
  claims: Record<string, string>;
  /** Life of a token; the provider's maximum or less. */
  lifetimeSeconds: number;
  /** A field that holds two values, such as `id:secret`; its halves are holes of their own. */
  split?: { field: string; at: string; into: [string, string] };
}

/** What one option of an `integrationConfig` field changes: a closed list, everything else of the spec stays. */
export interface ClientCredentialsChoice {
  clientAuth?: MachineClientAuth;
  algorithm?: Exclude<JwtAlgorithm, 'HS256'>;
}

/**
 * OAUTH2_CC: the customer's own client asks for a token (RFC 6749 4.4). The form has `client_id` and, of `client_secret`,
 * `client_certificate` and `client_private_key`, what the provider takes. Scopes come from the `oauth_scopes` value of
 * the connection, else the default.
 */
export interface ClientCredentialsSpec {
  token: {
    url: string;
    /** Default form. */
    body?: 'form' | 'json';
    /** Extra parameters, templated; they replace standard ones of the same name. */
    params?: Record<string, string>;
    headers?: Record<string, string>;
  };
  /** Default `body`. */
  clientAuth?: MachineClientAuth;
  assertion?: AssertionSpec;
  /**
   * TLS client certificate for token and API calls: `required` of the customer, or sent where one was given. Absent: the
   * provider takes none.
   */
  certificate?: 'required' | 'optional';
  scopes?: ScopeSpec;
  /** Without a told expiry a token lives 55 minutes. */
  response?: TokenResponseSpec;
  /** Name of an `integrationConfig` field of kind `enum` → option → what it changes here. */
  choices?: Record<string, Record<string, ClientCredentialsChoice>>;
}
