/**
 * @module emulators/engine/state
 *
 * Everything one emulator remembers: apps, accounts, users, consents, codes, tokens. Plain records, so that the state
 * file is their JSON. Secrets are fake and generated, and are kept readable because a real provider echoes tokens.
 */
import type { Account, App, Grant, User } from './types.ts';
import type { Webhook } from './webhooks.ts';

/** A code of the redirect, before it is exchanged. */
export interface Code {
  code: string;
  clientId: string;
  accountId: string;
  userId: string;
  scope: string;
  /** Where the customer was sent; compared again by providers that ask for it in the exchange. */
  redirectUri: string;
  /** S256 challenge whose verifier the exchange must show. */
  codeChallenge?: string;
  createdAtMs: number;
  /** Null while unused. */
  usedAtMs: number | null;
}

export interface AccessToken {
  token: string;
  grantId: string;
  /** Null: no end of life. */
  expiresAtMs: number | null;
  dead: boolean;
}

/**
 * A refresh token is current (`replacedAtMs` null), replaced (a refresh gave another one), or dead. What a replaced one
 * still does depends on knob `refreshRotation`.
 */
export interface RefreshToken {
  token: string;
  grantId: string;
  replacedAtMs: number | null;
  dead: boolean;
}

/** An account that will become ready by itself. */
export interface PendingReadiness {
  accountId: string;
  atMs: number;
}

/** The JSON form of {@link State}. */
export interface StateData {
  apps: App[];
  accounts: Account[];
  users: User[];
  grants: Grant[];
  codes: Code[];
  accessTokens: AccessToken[];
  refreshTokens: RefreshToken[];
  pending: PendingReadiness[];
  /** Absent in files of before webhooks were sent. */
  webhooks?: Webhook[];
}

/** Above this many, finished codes and dead tokens are forgotten, so that a long test run stays small. */
const RECORDS_MAX = 20_000;

/** One emulator's memory, with the look-ups that every part needs. */
export class State {
  apps = new Map<string, App>();
  accounts = new Map<string, Account>();
  users = new Map<string, User>();
  grants = new Map<string, Grant>();
  codes = new Map<string, Code>();
  accessTokens = new Map<string, AccessToken>();
  refreshTokens = new Map<string, RefreshToken>();
  pending: PendingReadiness[] = [];
  /** Oldest first. */
  webhooks: Webhook[] = [];

  usersOf(accountId: string): User[] {
    return [...this.users.values()].filter((user) => user.accountId === accountId);
  }

  grantsOf(accountId: string): Grant[] {
    return [...this.grants.values()].filter((grant) => grant.accountId === accountId);
  }

  accessTokensOf(grantId: string): AccessToken[] {
    return [...this.accessTokens.values()].filter((token) => token.grantId === grantId);
  }

  refreshTokensOf(grantId: string): RefreshToken[] {
    return [...this.refreshTokens.values()].filter((token) => token.grantId === grantId);
  }

  addCode(code: Code): void {
    forgetSome(this.codes, (each) => each.usedAtMs !== null);
    this.codes.set(code.code, code);
  }

  addAccessToken(token: AccessToken): void {
    forgetSome(this.accessTokens, (each) => each.dead);
    this.accessTokens.set(token.token, token);
  }

  addRefreshToken(token: RefreshToken): void {
    forgetSome(this.refreshTokens, (each) => each.dead || each.replacedAtMs !== null);
    this.refreshTokens.set(token.token, token);
  }

  toData(): StateData {
    return {
      apps: [...this.apps.values()],
      accounts: [...this.accounts.values()],
      users: [...this.users.values()],
      grants: [...this.grants.values()],
      codes: [...this.codes.values()],
      accessTokens: [...this.accessTokens.values()],
      refreshTokens: [...this.refreshTokens.values()],
      pending: this.pending,
      webhooks: this.webhooks,
    };
  }

  load(data: StateData): void {
    this.apps = new Map(data.apps.map((each) => [each.clientId, each]));
    this.accounts = new Map(data.accounts.map((each) => [each.id, each]));
    this.users = new Map(data.users.map((each) => [each.id, each]));
    this.grants = new Map(data.grants.map((each) => [each.id, each]));
    this.codes = new Map(data.codes.map((each) => [each.code, each]));
    this.accessTokens = new Map(data.accessTokens.map((each) => [each.token, each]));
    this.refreshTokens = new Map(data.refreshTokens.map((each) => [each.token, each]));
    this.pending = data.pending;
    this.webhooks = data.webhooks ?? [];
  }
}

/** Size at which each table is looked through next; doubled when little could go, so that adding stays cheap. */
const nextLook = new WeakMap<object, number>();

function forgetSome<T>(records: Map<string, T>, finished: (record: T) => boolean): void {
  if (records.size < (nextLook.get(records) ?? RECORDS_MAX)) return;
  for (const [key, record] of records) if (finished(record)) records.delete(key);
  nextLook.set(records, Math.max(RECORDS_MAX, records.size * 2));
}
