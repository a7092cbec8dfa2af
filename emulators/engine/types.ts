/**
 * The shapes that the engine (OAuth server, pages, faults, persistence) and the REST slices share.
 *
 * The engine authenticates a call, applies faults, limits and idempotency, and hands the slice a {@link RestRequest}.
 * A slice is a pure function of request and account data: it keeps everything in `account.data`, which the engine
 * persists after a call that changed it.
 */
import type { Clock } from '../../src/base/clock.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** A partner application registered at the fake provider (providers.md 1.3, 2.1, 3.2). */
export interface App {
  clientId: string;
  /** Gives live tokens. */
  liveSecret: string;
  /** Gives test tokens (the kind of token follows from the secret used). */
  testSecret: string;
  name: string;
  description: string;
  url: string;
  /** Where the customer's browser is sent back. Checkr: `redirect_uri`; Xref: `redirect_url`. */
  redirectUri: string;
  webhookUrl: string;
  logoUrl: string;
  /** Signs webhooks where the provider has a key of its own for that. Absent in files of before webhooks were sent. */
  webhookKey?: string;
  createdAt: string;
}

/** A person who can sign in; several belong to one account. */
export interface User {
  id: string;
  accountId: string;
  email: string;
  fullName: string;
  /** Fake, generated at start, printed on the sign-in page of the emulator. */
  password: string;
}

/** A customer's account at the fake provider, with the resources of the REST slice. */
export interface Account {
  id: string;
  name: string;
  createdAt: string;
  /** Checkr: may order. Checkbook: bank verified. */
  ready: boolean;
  /** Collection name → list of resources, oldest first. Owned by the slice. */
  data: Record<string, JsonObject[]>;
  /** The account's own API key (not OAuth): `secretKey` alone or the pair, as the provider has it. Set by the engine. */
  apiKey?: { publishableKey: string; secretKey: string };
  /** True: made by a partner; its own users cannot disconnect it (providers.md 1.7). */
  managed?: boolean;
}

export type GrantState = 'active' | 'revoked' | 'spent';

/** One consent: what the tokens stand for. */
export interface Grant {
  id: string;
  clientId: string;
  accountId: string;
  userId: string;
  scope: string;
  mode: 'live' | 'test';
  state: GrantState;
  createdAt: string;
}

/** An authenticated API call, after faults and limits. */
export interface RestRequest {
  method: string;
  /** Path below the emulator's mount, without query: `/v1/account`. */
  path: string;
  query: URLSearchParams;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** Parsed JSON or form body (bracketed form keys become objects and arrays); undefined when empty. */
  body: Json | undefined;
  account: Account;
  user: User;
  grant: Grant;
  /** Absolute base of this emulator, no trailing slash: `http://127.0.0.1:3004/checkr`. */
  baseUrl: string;
  /** Everyone who belongs to the account. */
  users: User[];
}

export interface RestReply {
  status: number;
  /** JSON value; undefined for an empty body. */
  body?: Json;
  headers?: Record<string, string>;
  /** True when `account.data` or `account.ready` changed and must be kept. */
  changed?: boolean;
  /** True when this reply uses up a single-use grant. */
  spendsGrant?: boolean;
  /** What happened to resources because of this call, in order: what the provider would tell by webhook. */
  events?: ResourceEvent[];
}

/** Something that happened to a resource: `report.completed` (Checkr), `CHECK` (Checkbook). */
export interface ResourceEvent {
  type: string;
  /** The resource as the provider shows it in the event. */
  object: JsonObject;
}

/** An event without anything behind it. `object` absent: each one has a resource of its own. */
export type MadeUpEvent = Pick<ResourceEvent, 'type'> & Partial<Pick<ResourceEvent, 'object'>>;

/** Something that people at the provider do, such as finishing a report. */
export interface Play {
  /** `complete-report`. */
  name: string;
  /** The resource. */
  id: string;
  /** `Complete this report: Ann, basic_plus`. */
  label: string;
}

/** What a slice may use beside the request. */
export interface RestTools {
  clock: Clock;
  /** Lower-case hex id of `characters` length. */
  hexId(characters: number): string;
  /** Current value of a knob (providers.md 5). */
  knob(name: string): Json | undefined;
}

/** The REST surface of one fake provider. */
export interface RestSlice {
  /** Answers an authenticated call; `undefined` when no route matches (the engine then answers `notFound`). */
  handle(request: RestRequest, tools: RestTools): RestReply | undefined;
  /** Error body in the provider's own shape. */
  error(status: number, message: string, knob: (name: string) => Json | undefined): RestReply;
  /** First resources of a new account, so that the first page is not empty. Changes `account.data`. */
  seed(account: Account, users: User[], tools: RestTools): void;
  /** Moves what only time moves (scripted results, expiry) and tells what happened; `handle` does it by itself. */
  advance(account: Account, tools: RestTools): ResourceEvent[];
  /** What somebody at the provider could do next in this account: buttons of the developer page. Default: nothing. */
  plays?(account: Account): Play[];
  /** Does it. Undefined when there is nothing of that name and id any more. */
  play?(account: Account, play: Pick<Play, 'name' | 'id'>, tools: RestTools): ResourceEvent[] | undefined;
  /** Knobs that the slice reads, with their defaults; a slice takes an unset knob as its default. */
  knobs: Record<string, Json>;
  /** Rate limit dialect: what the engine asks for each call (providers.md: rate limits). */
  limit: LimitDialect;
  /** Idempotency habit of the provider. */
  idempotency: IdempotencyHabit;
}

/**
 * How the provider tells about limits. `minute-window`: fixed window aligned to the wall-clock minute, headers
 * `X-Ratelimit-*`, reset as an ISO date, 429 without Retry-After. `retry-after`: 429 with Retry-After seconds only.
 */
export interface LimitDialect {
  kind: 'minute-window' | 'retry-after';
  perMinute: number;
  /** What is counted together. */
  scope: 'account' | 'grant-and-endpoint';
  /** Body of the 429. */
  body: Json;
}

/**
 * `replay-2xx`: the key alone decides, only 2xx is kept and replayed with status, for 24 h; a twin in flight gets 409.
 * `key-and-body`: same key and body replays; same key with another body is a new call. `none`: ignored.
 */
export interface IdempotencyHabit {
  kind: 'replay-2xx' | 'key-and-body' | 'none';
  windowHours: number;
  /** Body of the 409 for a twin in flight. */
  inFlightBody?: Json;
}

/** What happened at the fake provider that a real one would announce. Listeners get it through `onEvent`. */
export type EmulatorEvent =
  | {
      type: 'token.deauthorized';
      emulator: string;
      /** ISO 8601. */
      at: string;
      app: App;
      grant: Grant;
      /** The token that stopped working; a real provider names it in its event. */
      accessToken: string;
      /** Who ended it: the partner's call, the customer (developer page, `revokeGrant`, a fault), or reuse of a token. */
      by: 'app' | 'customer' | 'provider';
    }
  | { type: 'account.credentialed'; emulator: string; at: string; app: App; account: Account }
  /** Told once per call or passage of time, whichever apps are connected to the account. */
  | { type: 'resource'; emulator: string; at: string; account: Account; resource: ResourceEvent };
