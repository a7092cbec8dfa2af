/**
 * One key-encryption key (KEK), wherever it lives: in a setting, a file, or a key service that never gives it away.
 * This is the port for a KMS; `context` is what such services call encryption context or additional data.
 */
export interface KeyWrapper {
  /** Stands in the database beside what it wrapped: stable for the life of the key, no secret, at most 200 bytes. */
  readonly id: string;
  /** Encrypts a data key, bound to `context`. */
  wrap(dataKey: Buffer, context: string): Promise<Buffer>;
  /** Errors: `sealed` when key, context or bytes do not fit; anything else means that the service cannot tell now. */
  unwrap(wrapped: Buffer, context: string): Promise<Buffer>;
}

/** The key-encryption keys of this process: all of them read, one of them writes. */
export interface Keyring {
  /** Id of the key that wraps new data keys: safe to print. */
  readonly activeId: string;
  /** Every key that can be read, the active one first. */
  readonly ids: readonly string[];
  has(kekId: string): boolean;
  /** Encrypts a data key with the active key. `context` names environment and purpose. */
  wrap(dataKey: Buffer, context: string): Promise<Buffer>;
  /** Errors: `sealed` when the key is not here or does not fit, `key_service_unavailable`. */
  unwrap(kekId: string, wrapped: Buffer, context: string): Promise<Buffer>;
}
