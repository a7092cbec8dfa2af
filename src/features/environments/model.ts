import type { Environment, Principal } from '../../base/route.ts';

export type { Environment, Principal };

/** The place a sealed value lives in; part of what its ciphertext is bound to. */
export interface SealedPlace {
  environmentId: number;
  table: string;
  /** Row id as text. */
  row: string | number;
  column: string;
}

/** A column of sealed values of one environment. */
export type SealedColumnPlace = Omit<SealedPlace, 'row'>;

/** Seals values for one place and opens them there again. */
export interface Vault {
  seal(place: SealedPlace, plaintext: string): Promise<Buffer>;
  /** Errors: `sealed`. */
  open(place: SealedPlace, sealed: Buffer): Promise<string>;
  /** Keyed hash of a token, stable for the life of the environment. */
  lookupHash(environmentId: number, secret: string): Promise<Buffer>;
  /** Many values of one column: a third of the cost of one by one. Rows are ASCII. In the order given. */
  sealMany(
    column: SealedColumnPlace,
    values: readonly { row: string; plaintext: string | Buffer }[],
  ): Promise<Buffer[]>;
  /** Resolves to the plaintexts as UTF-8 bytes. Errors: `sealed` when one of them does not open. */
  openMany(column: SealedColumnPlace, values: readonly { row: string; sealed: Buffer }[]): Promise<Buffer[]>;
  /** Keyed hashes of contents, 32 hex digits each: equal for equal texts of one environment, and they tell nothing. */
  contentHashes(environmentId: number, texts: readonly string[]): Promise<string[]>;
}

export interface ApiKey {
  environmentId: number;
  id: string;
  displayName: string;
  scopes: string[];
  createdAt: Date;
  lastUsedAt: Date | undefined;
}

/** API keys as people manage them. */
export interface ApiKeys {
  /** Oldest first. */
  list(environmentId: number): Promise<ApiKey[]>;
  /** The secret is in the answer and nowhere else. Errors: `conflict`, `unknown_scope`. */
  create(options: {
    environmentId: number;
    displayName: string;
    /** Default: everything, `environment:*`. */
    scopes?: string[];
    /** Default: a new one. */
    secret?: string;
  }): Promise<{ key: ApiKey; secret: string }>;
  /** Every node refuses the key from then on. Errors: `unknown_api_key`. */
  remove(environmentId: number, idOrName: string): Promise<ApiKey>;
}

export interface Environments {
  readonly vault: Vault;
  readonly apiKeys: ApiKeys;
  /**
   * Makes this node visible to a rotation of keys, until the returned function has resolved. A node that serves calls
   * has to: a rotation waits for those it knows.
   */
  announce(): Promise<() => Promise<void>>;
  list(): Promise<Environment[]>;
  byId(id: number): Promise<Environment | undefined>;
  byName(name: string): Promise<Environment | undefined>;
  /** By the public id; an unknown one is looked for in the database once a second at most. */
  byUuid(uuid: string): Promise<Environment | undefined>;
  /** Adds an environment with its data keys and a webhook signing key. Errors: `conflict`. */
  create(options: { name: string; isProduction: boolean }): Promise<Environment>;
  /** Adds an API key: {@link ApiKeys.create}. */
  createKey: ApiKeys['create'];
  /** The caller behind a key, from memory when known: no SQL on the hot path. */
  peekKey(secret: string): Principal | undefined;
  byKey(secret: string): Promise<Principal | undefined>;
  webhookSigningKey(environmentId: number): Promise<string>;
  /** The key that signs, and during a rotation the one before. */
  webhookSigningKeys(environmentId: number): Promise<{ current: string; previous: string | undefined }>;
  /** Makes a new key and resolves to it; the one before is good for `graceMs` more. */
  rotateWebhookSigningKey(environmentId: number, graceMs: number): Promise<string>;
}
