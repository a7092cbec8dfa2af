/**
 * Envelope encryption. A key-encryption key (KEK) from the operator wraps a random data key per environment; the data
 * key encrypts values with AES-256-GCM. The additional data binds every ciphertext to its place, so a value moved to
 * another row, column or environment does not open.
 *
 * Sealed bytes: version (1) · key id length (1) · key id · nonce (12) · tag (16) · ciphertext.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { HawserError } from '../../base/errors.ts';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

export interface Keyring {
  /** Id of the key that wraps new data keys: a fingerprint, safe to print. */
  readonly activeId: string;
  has(kekId: string): boolean;
  /** Encrypts a data key. `context` names environment and purpose. */
  wrap(dataKey: Buffer, context: string): Buffer;
  /** Errors: `sealed` when the key is not here or does not fit. */
  unwrap(kekId: string, wrapped: Buffer, context: string): Buffer;
}

/**
 * Makes a keyring from the operator's key: 32 bytes as base64 or hex. Resolves to undefined when the text is neither.
 */
export function keyringFrom(text: string): Keyring | undefined {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64');
  if (key.length !== KEY_BYTES) return undefined;
  const activeId = `kek_${createHash('sha256').update('hawser kek id').update(key).digest('hex').slice(0, 16)}`;
  // The operator's key is never used directly: a derived key keeps the fingerprint and the cipher apart.
  const wrapping = Buffer.from(hkdfSync('sha256', key, '', 'hawser data key wrapping', KEY_BYTES));
  return {
    activeId,
    has: (kekId) => kekId === activeId,
    wrap: (dataKey, context) => sealBytes(wrapping, activeId, context, dataKey),
    unwrap(kekId, wrapped, context) {
      if (kekId !== activeId) throw sealedError();
      return openBytes(() => wrapping, context, wrapped);
    },
  };
}

/** A new operator key as base64. */
export function generateKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

/** Encrypts `plaintext` under `key`, bound to `context` and the key id. */
export function sealBytes(key: Buffer, keyId: string, context: string, plaintext: Buffer): Buffer {
  const id = Buffer.from(keyId, 'utf8');
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(`${context}|${keyId}`, 'utf8'));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.from([VERSION, id.length]), id, nonce, cipher.getAuthTag(), body]);
}

/** Id of the data key that sealed these bytes. */
export function keyIdOf(sealed: Buffer): string {
  if (sealed.length < 2 || sealed[0] !== VERSION) throw sealedError();
  return sealed.subarray(2, 2 + (sealed[1] as number)).toString('utf8');
}

/** Decrypts. Errors: `sealed` when the key, the place or the bytes do not fit. */
export function openBytes(keyOf: (keyId: string) => Buffer | undefined, context: string, sealed: Buffer): Buffer {
  const keyId = keyIdOf(sealed);
  const key = keyOf(keyId);
  const start = 2 + (sealed[1] as number);
  if (key === undefined || sealed.length < start + NONCE_BYTES + TAG_BYTES) throw sealedError();
  try {
    const nonce = sealed.subarray(start, start + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(`${context}|${keyId}`, 'utf8'));
    decipher.setAuthTag(sealed.subarray(start + NONCE_BYTES, start + NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(start + NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw sealedError(cause);
  }
}

/** Keyed hash of a secret, for finding a row by a token without storing it. */
export function keyedHash(key: Buffer, secret: string): Buffer {
  return createHmac('sha256', key).update(secret, 'utf8').digest();
}

function sealedError(cause?: unknown): HawserError {
  return new HawserError(
    'sealed',
    { status: 503, message: 'A stored secret cannot be opened with the present encryption key.' },
    { cause },
  );
}
