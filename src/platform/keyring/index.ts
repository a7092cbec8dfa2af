/**
 * Envelope encryption. A key-encryption key (KEK) of the operator wraps a random data key per environment; the data key
 * encrypts values with AES-256-GCM. The additional data binds every ciphertext to its place, so a value moved to
 * another row, column or environment does not open. Several KEKs can be read, one is active.
 *
 * Sealed bytes: version (1) · key id length (1) · key id · nonce (12) · tag (16) · ciphertext.
 */
export type { Keyring, KeyWrapper } from './model.ts';
export { keyedHash, keyIdOf, KEY_BYTES, openBytes, sealBytes, sealedPrefix } from './cipher.ts';
export { contentHashes, openMany, sealMany, type ManyContexts } from './cipher-many.ts';
export { createKeyring, keyringFrom } from './keyring.ts';
export { keyringErrors } from './errors.ts';
export { generateKey } from './local-key.ts';
export { readKeyFile } from './key-file.ts';
