/**
 * @module emulators/engine/definition
 *
 * What a provider's folder says about itself. The engine holds no provider name; every difference is a value here.
 */
import type { HttpReply, HttpRequest } from './http.ts';
import type { KnobSpec } from './knobs.ts';
import type { Mount } from './mount.ts';
import type { State } from './state.ts';
import type { Account, App, Grant, Json, JsonObject, RestSlice } from './types.ts';
import type { WebhookHabit } from './webhook-habit.ts';

/** Reads the value of a knob. */
export type KnobReader = (name: string) => Json | undefined;

export interface AuthorizePath {
  /** `:client_id` stands for one segment. */
  pattern: string;
  /** What a browser that is not signed in sees first. */
  page: 'sign-in' | 'sign-up';
}

export interface AuthorizeHabit {
  paths: AuthorizePath[];
  /** Query parameters whose absence is an error page (no redirect). */
  required: string[];
  /**
   * Which redirect URI is used. `registered`: always the registered one. `same-host`: an asked one of the registered
   * host. `exact`: the asked one must equal the registered one.
   */
  redirectRule: 'registered' | 'same-host' | 'exact';
  /** Name → what it lets the app do, in plain words. Absent: the provider has no scopes. */
  scopes?: Record<string, string[]>;
  /** Used when none is asked for. */
  defaultScope?: string;
  /** What the consent page says without scopes. */
  plainScope?: string[];
  /** Parameters of the success redirect, in the provider's order. */
  success: ('scope' | 'code' | 'state')[];
  /** Turns a query into standard names; a sentence refuses it with an error page. Default: as sent. */
  read?(query: URLSearchParams): URLSearchParams | string;
  /** The scope granted for what was asked (null: nothing); undefined refuses it. Default: one name of `scopes`. */
  readScope?(asked: string | null): string | undefined;
  /** True: a code that was asked for with a `code_challenge` (S256) needs its verifier. Default: both are ignored. */
  pkce?: boolean;
  /** Turns the standard parameters of a redirect into the provider's. `account`: who said yes. Default: as they are. */
  write?(params: URLSearchParams, account: Account | undefined, app: App): URLSearchParams;
}

/** What a token reply is made from. */
export interface TokenFacts {
  app: App;
  account: Account;
  grant: Grant;
  accessToken: string;
  refreshToken?: string;
  expiresInSeconds?: number;
  /** True for the answer to a refresh. */
  refreshed: boolean;
  /** Wall time in ms. */
  nowMs: number;
  knob: KnobReader;
}

/** A refusal of the token endpoint in the words of RFC 6749 5.2. */
export interface TokenRefusal {
  status: number;
  code: string;
  description: string;
}

export interface TokenHabit {
  paths: string[];
  /** `code-only`: id, secret and code. `rfc6749`: `grant_type` decides, redirect URI is compared. */
  style: 'code-only' | 'rfc6749';
  /** Further body fields an exchange must carry. */
  required: string[];
  /** True: tokens expire after knob `accessTokenTtlSec` and come with a refresh token. */
  refresh: boolean;
  reply(facts: TokenFacts): JsonObject;
  /** Default POST. */
  method?: 'POST' | 'GET';
  /** True: the client has no secret. Default false. */
  publicClient?: boolean;
  /** Turns a request into standard fields, or refuses it. Default: the body, by knob `tokenBodyFormats`. */
  read?(request: HttpRequest): { fields: Record<string, string> } | TokenRefusal;
  /** Writes a refusal. Default by knob `tokenErrorShape`. */
  refuse?(refusal: TokenRefusal): { status: number; body: JsonObject };
  /** Writes an answer. Default JSON. */
  write?(request: HttpRequest, status: number, body: JsonObject): HttpReply;
}

/** What an Authorization header says, before it is known to be true. */
export type ApiCredential =
  | { kind: 'token'; value: string }
  /** A token, or the account's secret key: the provider reads both from the same place. */
  | { kind: 'token-or-key'; value: string }
  | { kind: 'key-pair'; publishableKey: string; secretKey: string }
  /** The API asks for nothing: everybody is the first account. */
  | { kind: 'open' };

export interface ApiHabit {
  /** Reads the Authorization header; undefined when the scheme or form is not the provider's. */
  readCredential(authorization: string, knob: KnobReader): ApiCredential | undefined;
  /** Reads the credential from anywhere in a request; replaces `readCredential`. */
  readRequest?(request: HttpRequest, mount: Mount): ApiCredential | undefined;
  /** What a call lacks beside the credential, such as a version header: a 400 with this sentence. */
  demand?(request: HttpRequest): string | undefined;
  /** Message of the 401. */
  unauthorized: string;
  /** Message of a 401 for a grant that is used up. */
  spent: string;
  notFound: string;
  /** Scope that an account's own API key stands for. */
  keyScope: string;
}

/** A token endpoint that is not one of OAuth's code flow: no browser, no code. */
export interface MachineHabit {
  paths: string[];
  answer(mount: Mount, request: HttpRequest): HttpReply;
}

/** What a call that ends a grant means. */
export type DeauthorizeRead =
  | { kind: 'grants'; grants: Grant[] }
  /** Nothing to end, and the answer to it. */
  | { kind: 'answer'; status: number; body: JsonObject };

export interface DeauthorizeHabit {
  /** `:name` stands for one segment. */
  path: string;
  /** Default POST. When given, other methods at this path belong to the API. */
  method?: 'POST' | 'DELETE';
  /** Finds what is to be ended. Default: the grant of the API credential. */
  read?(request: HttpRequest, state: State): DeauthorizeRead;
  /** Body of the success. Default: the token that ended. */
  body?: JsonObject;
}

export interface SeedAccount {
  name: string;
  ready: boolean;
  users: { fullName: string; email: string }[];
}

/** Something the emulator does although no document says so. */
export interface Assumption {
  topic: 'connect' | 'token' | 'disconnect' | 'api' | 'webhooks';
  text: string;
}

export interface EmulatorDefinition {
  /** Mount path and name in the API. */
  name: string;
  displayName: string;
  /** One sentence for the index page. */
  summary: string;
  /** What the provider calls the redirect URI of an app. */
  redirectField: 'redirect_uri' | 'redirect_url';
  ids: {
    clientId(): string;
    secret(): string;
    code(): string;
    accessToken(): string;
    refreshToken(): string;
    accountId(): string;
    userId(): string;
    apiKey(): { publishableKey: string; secretKey: string };
  };
  authorize: AuthorizeHabit;
  token: TokenHabit;
  machine?: MachineHabit;
  /** Absent: the provider has no such call. */
  deauthorize?: DeauthorizeHabit;
  api: ApiHabit;
  readiness: {
    /** Adjective: `credentialed`. */
    label: string;
    /** What an account that is not ready cannot do. */
    notReady: string;
    /** True: becoming ready is announced, and knob `credentialing` decides when. */
    announced: boolean;
    /** What the button of the developer page says. Default: `Make it <label>`. */
    button?: string;
  };
  /** Absent: the provider tells nobody anything. */
  webhooks?: WebhookHabit;
  /** The provider's own knobs, and its defaults of the common ones. */
  knobs: { own: KnobSpec[]; defaults: Record<string, Json> };
  assumptions: Assumption[];
  accounts: SeedAccount[];
  /** What the owner of an account types into the provider's form. Default: the account's key pair. */
  form?(account: Account): Record<string, string>;
  rest: RestSlice;
}
