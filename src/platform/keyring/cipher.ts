import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { keyringErrors } from './errors.ts';

const VERSION = 1;
/** Random. One data key may seal 2^32 values before a repeat gets likelier than 2^-32. Source: NIST SP 800-38D 8.3. */
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const KEY_BYTES = 32;

const keyObjects = new WeakMap<Buffer, KeyObject>();

/** The key in the form that ciphers and hashes take several times as fast. Made once: nobody changes its bytes. */
export function keyObject(key: Buffer): KeyObject {
  let made = keyObjects.get(key);
  if (made === undefined) {
    made = createSecretKey(key);
    keyObjects.set(key, made);
  }
  return made;
}

/** Encrypts `plaintext` under `key`, bound to `context` and the key id. */
export function sealBytes(key: Buffer, keyId: string, context: string, plaintext: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyObject(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(`${context}|${keyId}`, 'utf8'));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([sealedPrefix(keyId), nonce, cipher.getAuthTag(), body]);
}

/** What every value sealed with this key begins with, and no other. */
export function sealedPrefix(keyId: string): Buffer {
  const id = Buffer.from(keyId, 'utf8');
  return Buffer.concat([Buffer.from([VERSION, id.length]), id]);
}

/** Id of the key that sealed these bytes. Errors: `sealed` when they are not sealed at all. */
export function keyIdOf(sealed: Buffer): string {
  const length = sealed[1];
  if (sealed[0] !== VERSION || length === undefined || sealed.length < 2 + length) throw keyringErrors.fail('sealed');
  return sealed.subarray(2, 2 + length).toString('utf8');
}

/** Decrypts. Errors: `sealed` when the key, the place or the bytes do not fit. */
export function openBytes(keyOf: (keyId: string) => Buffer | undefined, context: string, sealed: Buffer): Buffer {
  const keyId = keyIdOf(sealed);
  const key = keyOf(keyId);
  const start = 2 + (sealed[1] as number);
  if (key === undefined || sealed.length < start + NONCE_BYTES + TAG_BYTES) {
    throw keyringErrors.fail('sealed', { detail: `key ${keyId}${key === undefined ? ' is not here' : ''}` });
  }
  try {
    const nonce = sealed.subarray(start, start + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', keyObject(key), nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(`${context}|${keyId}`, 'utf8'));
    decipher.setAuthTag(sealed.subarray(start + NONCE_BYTES, start + NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(start + NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw keyringErrors.fail('sealed', { detail: `key ${keyId}`, cause });
  }
}

/** Keyed hash of a secret, for finding a row by a token without storing it. */
export function keyedHash(key: Buffer, secret: string): Buffer {
  return createHmac('sha256', keyObject(key)).update(secret, 'utf8').digest();
}
