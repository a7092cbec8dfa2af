/**
 * @module catalogue/_spec
 *
 * What a provider file may say. A provider is one plain object that survives a JSON round trip; a quirk is the value
 * of a knob below, never code. A new knob is one line here and one file in `src/protocols/`.
 *
 * Templates are strings with `${name}` holes. The holes a provider may use: `${clientId}`, `${connectionConfig.x}`
 * (typed by the customer or learned on connect), `${integrationConfig.x}` (set by the app's developer),
 * `${accessToken}`, `${apiKey}`, `${username}`, `${password}`, `${credentials.x}` (the form of the modes in `modes.ts`).
 * `A || B` takes B while A has an empty hole. Every
 * `connectionConfig`/`integrationConfig` hole must be declared in the field tables with a {@link FieldKind}; the value
 * is checked at write and at use, so that a host never leaves its template. `check.ts` beside this file holds the
 * rules; `provider.schema.json` is generated from it.
 */

import type { AppSpec, ClientCredentialsSpec, JwtSpec, LoginSpec, OAuth1Spec, SigV4Spec } from './modes.ts';
import type { WebhooksSpec } from './webhooks.ts';

export type * from './modes.ts';
export type * from './webhooks.ts';

/** How a provider lets a customer in. Wire names. */
export type AuthMode =
  'OAUTH2' | 'API_KEY' | 'BASIC' | 'NONE' | 'OAUTH2_CC' | 'JWT' | 'TWO_STEP' | 'OAUTH1' | 'AWS_SIGV4' | 'APP';

/**
 * What a template value may be. `label`: one DNS label. `host`: a DNS name with optional port. `segment`: one path
 * segment. `url`: an absolute http(s) URL, set by the app's developer, or learned from the provider and then bound to
 * `hosts`. `enum`: one of `options`. `text`: anything; never allowed inside a URL.
 */
export type FieldKind = 'label' | 'host' | 'segment' | 'url' | 'enum' | 'text';

export interface FieldSpec {
  title: string;
  description: string;
  kind: FieldKind;
  /** For `kind: 'enum'`. */
  options?: string[];
  /**
   * For an automated field of `kind: 'url'`: where it may point to, `accounts.example.eu` exactly or `.example.com` for
   * any name below. The value is then a bare `https` origin; checked when it is learned and each time it is used.
   */
  hosts?: string[];
  example?: string;
  /** Prefilled value. */
  default?: string;
  optional?: boolean;
  /** Masked in forms, sealed at rest. */
  secret?: boolean;
  /** Filled by the callback or the token answer; the customer is not asked. */
  automated?: boolean;
  order?: number;
}

export type Fields = Record<string, FieldSpec>;

export interface ScopeSpec {
  /** Asked for when neither integration nor connect session names scopes. */
  default?: string[];
  /** The closed list, when the provider has one. */
  allowed?: string[];
  /** Joins scopes in the authorize URL. Default a space. */
  separator?: ' ' | ',' | '+';
  /** `one`: exactly one scope per authorization. Default `many`. */
  choose?: 'one' | 'many';
  /** False sends the scope text without percent-encoding. Default true. */
  encode?: boolean;
}

export interface AuthorizeSpec {
  /** Origin, path and optional fragment path; the client id goes in as `${clientId}` where it is a path segment. */
  url: string;
  /** Extra query parameters; `null` removes a standard one (`response_type`, `client_id`, `redirect_uri`, `scope`, `state`). */
  params?: Record<string, string | null>;
  /** Renames standard parameters: `{client_id: 'client_key'}`. */
  rename?: Record<string, string>;
  /** `query` (default) or `fragment`: where the parameters go when the page lives behind a `#`. */
  paramsIn?: 'query' | 'fragment';
  /** True drops parameters whose value is empty. */
  skipEmpty?: boolean;
  /** True sends the query without percent-encoding at all. */
  decoded?: boolean;
}

export interface CallbackSpec {
  /** Name of the code parameter. Default `code`. */
  code?: string;
  /** Name under which the state comes back. Default `state`. */
  state?: string;
  /**
   * `always`: an answer without state is refused. `may-drop`: it is matched by the browser's cookie, when exactly one
   * flow of that browser is open.
   */
  stateEcho: 'always' | 'may-drop';
  /** Query parameters copied to `connection_config`. */
  metadata?: string[];
  /** The redirect is signed by the provider; a code that comes without a right signature is not used. */
  signature?: CallbackSignature;
}

/**
 * HMAC-SHA256 in hex, keyed with the client secret, over the other parameters, percent-encoded, sorted by name and
 * joined by `&`.
 */
export interface CallbackSignature {
  /** Name of the parameter that holds it. */
  param: string;
  /** Further parameters that are not signed. */
  unsigned?: string[];
}

/**
 * A second call after the token: one GET, authorised like an API call, whose answer fills `connection_config`. A value
 * of a field that is not `optional` must come, or the connect fails.
 */
export interface AfterConnectSpec {
  url: string;
  /** Dotted path to a list of candidates; `.`: the body is the list. Absent: the body is the one thing. */
  list?: string;
  /** Candidates are those of the list where this holds. */
  where?: { path: string; equals: string | number | boolean };
  /** Of several candidates the one with the latest date here. Absent: several tell nothing. */
  newestBy?: string;
  /** `connection_config` key → dotted path. */
  metadata: Record<string, string>;
}

export interface TokenRequestSpec {
  url: string;
  /** Default POST. */
  method?: 'POST' | 'GET';
  /** Default form. `query` puts the parameters into the URL (only providers that demand it). */
  body?: 'form' | 'json' | 'query';
  /** Where client id and secret go. Default `body`. */
  clientAuth?: 'body' | 'basic' | 'none';
  /** Standard parameters that this provider must not be sent. */
  omit?: ('grant_type' | 'redirect_uri' | 'code_verifier')[];
  /** Renames standard parameters, also of a refresh: `{client_id: 'client_key'}`. */
  rename?: Record<string, string>;
  /** True repeats the granted scope in the token request. */
  sendScope?: boolean;
  /** Extra parameters, templated; they replace standard ones of the same name. */
  params?: Record<string, string>;
  headers?: Record<string, string>;
}

export interface TokenResponseSpec {
  /**
   * Dotted path; several are tried in order. Default `['access_token']`. Refresh token, expiry and scope are looked for
   * beside the token that was found, then at their own paths.
   */
  accessToken?: string[];
  /** Default `refresh_token`. */
  refreshToken?: string;
  /**
   * How the life of a token is told. Default `{path: 'expires_in', kind: 'in', unit: 'seconds'}`. `at` accepts epoch
   * numbers and ISO dates. `none`: the answer does not tell it.
   */
  expiry?: { path: string; kind: 'in' | 'at'; unit?: 'seconds' | 'milliseconds' } | { kind: 'none' };
  /** The life when the answer has none. Absent: unknown, watched by 401. */
  lifetimeSeconds?: number;
  /** `connection_config` key → dotted path in the answer. */
  metadata?: Record<string, string>;
  /** A dotted path that must hold this value for the answer to count as success (providers that fail with 200). */
  success?: { path: string; equals: string | number | boolean };
  /** Granted scope: dotted path. Default `scope`. */
  scope?: string;
  /** What this provider's own error codes mean, beside those of RFC 6749 5.2. */
  errorKinds?: Record<string, 'invalid_grant' | 'invalid_client' | 'invalid_scope'>;
  /** Status of every refusal where it is not RFC 6749's 400 or 401; any status is understood, the emulator uses it. */
  errorStatus?: number;
}

/**
 * What becomes of a refresh token when it is used (threats-and-faults 3.2). `none`: it stays. `overlap`: the old one
 * works on for a while. `strict`: it dies at once. `unknown`: not documented, handled as strict.
 */
export type Rotation =
  { kind: 'none' } | { kind: 'overlap'; graceSeconds: number } | { kind: 'strict' } | { kind: 'unknown' };

export interface RefreshSpec {
  /** Default: the token URL. */
  url?: string;
  rotation: Rotation;
  /** Extra parameters of a refresh, templated. */
  params?: Record<string, string>;
  /** True repeats the scope in the refresh. */
  sendScope?: boolean;
}

/** What one option of an `integrationConfig` field changes: a closed list, everything else of the spec stays. */
export interface OAuth2Choice {
  pkce?: 'S256' | 'off';
  pkceOffReason?: string;
  clientAuth?: 'body' | 'basic' | 'none';
  scopeSeparator?: ' ' | ',' | '+';
  rotation?: Rotation;
}

export interface OAuth2Spec {
  authorize: AuthorizeSpec;
  callback: CallbackSpec;
  scopes?: ScopeSpec;
  /** `S256` unless the provider is known not to take it. */
  pkce: 'S256' | 'off';
  /** Why PKCE is off. Required then. */
  pkceOffReason?: string;
  token: TokenRequestSpec;
  response?: TokenResponseSpec;
  /** Absent: the grant has no refresh. */
  refresh?: RefreshSpec;
  /** Template of the issuer; its metadata (RFC 8414, OpenID discovery) fills the empty URLs. */
  issuer?: string;
  /** True: an answer without `iss` is refused (RFC 9207). Set by discovery too. */
  issRequired?: boolean;
  /** Name of an `integrationConfig` field of kind `enum` → option → what it changes here. */
  choices?: Record<string, Record<string, OAuth2Choice>>;
  afterConnect?: AfterConnectSpec;
}

/** Puts a credential into an API request. */
export type ApiAuth =
  | { in: 'header'; name: string; value: string }
  | { in: 'basic'; username: string; password: string }
  | { in: 'query'; name: string; value: string }
  /** Every request is signed, as the mode's part says. */
  | { in: 'signature' }
  | { in: 'none' };

export interface RetrySpec {
  /** Headers that tell when to come back: epoch seconds, epoch milliseconds or a date. */
  at?: string[];
  /** Headers that tell how many seconds to wait. */
  after?: string[];
  /** A header whose value `0` also means "limited". */
  remaining?: string;
  /** Statuses that mean "later" here, instead of the usual ones: `429`, `5xx`, `500-502`. */
  statuses?: string[];
}

export interface VerificationSpec {
  method: 'GET' | 'POST';
  /** Below the base address; may hold `segment`, `label` and `enum` holes. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

/** How an API that answers 200 to everything says no. Looked at in JSON answers with a good status only. */
export interface RefusalSpec {
  /** A dotted path that holds this value in good answers. */
  success: { path: string; equals: string | number | boolean };
  /** Dotted path of the error code. */
  code: string;
  /** Codes that speak of the credential: handled like a 401. */
  unauthorized: string[];
}

/** The fields are those that functions use. Source: wire contract F.5. */
export type PaginateSpec = {
  limit_name_in_request?: string;
  /** Dotted path of the list in an answer. Default: the answer is the list. */
  response_path?: string;
  /** True: parameters go into the body of a GET, too. */
  in_body?: boolean;
} & (
  | { type: 'cursor'; cursor_name_in_request: string; cursor_path_in_response: string }
  | { type: 'link'; link_rel_in_response_header: string }
  | { type: 'link'; link_path_in_response_body: string }
  | {
      type: 'offset';
      offset_name_in_request: string;
      offset_start_value?: number;
      offset_calculation_method?: 'by-response-size' | 'per-page';
    }
);

export interface ApiSpec {
  baseUrl: string;
  auth: ApiAuth;
  /** Static or templated headers of every call. */
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** A harmless call that proves the credential. */
  verification?: VerificationSpec;
  retry?: RetrySpec;
  /** How lists come in pages; what a function gives to `paginate` goes over it. */
  paginate?: PaginateSpec;
  /** For providers that fail with 200. */
  refusal?: RefusalSpec;
  /** Header that makes a repeated POST safe. */
  idempotencyHeader?: string;
  /**
   * Scope that is used up by one successful write (POST, PUT, PATCH, DELETE answered 2xx): the connection is then
   * `spent`.
   */
  spentAfterWriteWithScope?: string;
}

/**
 * A call that ends the grant. Success: 2xx; 401 counts as "was already gone". Beside the holes of an API call it has
 * `${clientId}` (also in the URL), `${clientSecret}` and `${refreshToken}`.
 */
export interface DisconnectCall {
  kind: 'call';
  method: 'POST' | 'DELETE';
  url: string;
  /** How the call is authorised. Default: like an API call. */
  auth?: ApiAuth;
  /** Templated parameters of the body; one with an empty hole is left out. */
  body?: { format: 'form' | 'json'; params: Record<string, string> };
  /** A dotted path that must hold this value for a 2xx to count (providers that fail with 200). */
  success?: { path: string; equals: string | number | boolean };
  /** Error codes that mean "was already gone", whatever the status. */
  goneErrors?: string[];
  /** Statuses that mean "was already gone", beside the 401 of a call that the token itself authorises. */
  goneStatuses?: number[];
  ends?: DisconnectEnds;
  /**
   * True: one call ends one token and nothing else, so the token that a customer's next connect has taken the place of
   * is let go of. Absent: it is left alone, because the call might end the new one too.
   */
  endsReplaced?: true;
}

/**
 * What the provider ends with one call. `grant` (default): this one. `account`: all that the app has of the account, so
 * that it is made for the last connection of the account only. Needs `account`.
 */
export type DisconnectEnds = 'grant' | 'account';

/** What "let go of the account" means at the provider. */
export type DisconnectSpec =
  | DisconnectCall
  /** RFC 7009 at this URL; `optional` when an empty URL means "unsupported". */
  | { kind: 'rfc7009'; url: string; optional?: boolean; ends?: DisconnectEnds }
  | { kind: 'unsupported'; customerMustDo: string }
  /** Nothing was granted (no account behind it). */
  | { kind: 'nothing' };

/** Provider-side account learned on connect. */
export interface AccountSpec {
  /** `connection_config` key that holds the account id. */
  idFrom: string;
  /** In force unless the integration says otherwise (`account_policy`). Absent: `separate`. */
  suggestedPolicy?: AccountPolicy;
  /** True: connecting again may bring another id for the same account, so that a changed id is no reason to refuse. */
  idMayChange?: true;
  readiness?: ReadinessSpec;
}

/** What becomes of a second connection to the account of an integration. */
export type AccountPolicy = 'separate' | 'share' | 'replace' | 'refuse';

/** The provider's own gate: an account that may be read, but not used for everything yet. */
export interface ReadinessSpec {
  /** A harmless GET below the base address that tells. */
  path: string;
  /** A dotted path of its answer that holds this value once the account is ready. */
  ready: { path: string; equals: string | number | boolean };
  /** Why it is not ready, in a word: stands in the state of the connection. */
  reason: string;
  /** Calls that the provider refuses until then. A path ends where the request's does. */
  refuses: { method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'; path: string }[];
}

export interface ProviderSpec {
  /** Slug: `^[a-z0-9-]+$`. File name and wire name. */
  name: string;
  displayName: string;
  categories: string[];
  authMode: AuthMode;
  docsUrl: string;
  setupGuideUrl?: string;
  /** For the customer, shown in the Connect page: what connecting lets the app do. */
  summary: string;
  oauth2?: OAuth2Spec;
  clientCredentials?: ClientCredentialsSpec;
  jwt?: JwtSpec;
  login?: LoginSpec;
  oauth1?: OAuth1Spec;
  sigv4?: SigV4Spec;
  app?: AppSpec;
  /** Customer's form: `apiKey` for API_KEY, `username` and `password` for BASIC; other modes see `modes.ts`. */
  credentials?: Fields;
  connectionConfig?: Fields;
  integrationConfig?: Fields;
  api: ApiSpec;
  disconnect: DisconnectSpec;
  account?: AccountSpec;
  /** What the provider sends by itself. Absent: nothing is known of it. */
  webhooks?: WebhooksSpec;
  /** The emulator that plays this provider: its mount path below the emulator address. */
  emulator?: string;
  /** Markdown lines for the docs page: what a developer must know. */
  gotchas: string[];
  /** Where the facts come from, with the date read. */
  sources: string[];
}
