/** The cipher for many values under one key: key, nonces and prefix are made once instead of per value. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { keyIdOf, NONCE_BYTES, sealedPrefix, TAG_BYTES } from './cipher.ts';
import { keyringErrors } from './errors.ts';

/** Encrypts `plaintexts`, each bound to the context at its place. The bytes are those of {@link sealBytes}. */
export function sealMany(
  key: KeyObject,
  keyId: string,
  contexts: readonly string[],
  plaintexts: readonly (string | Buffer)[],
): Buffer[] {
  const prefix = sealedPrefix(keyId);
  const nonces = randomBytes(NONCE_BYTES * plaintexts.length);
  return plaintexts.map((plaintext, index) => {
    const nonce = nonces.subarray(index * NONCE_BYTES, (index + 1) * NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(`${contexts[index]}|${keyId}`, 'utf8'));
    const body = typeof plaintext === 'string' ? cipher.update(plaintext, 'utf8') : cipher.update(plaintext);
    cipher.final(); // GCM has nothing left to give; this makes the tag
    return Buffer.concat([prefix, nonce, cipher.getAuthTag(), body]);
  });
}

/**
 * Decrypts values of any keys that `keyOf` has. Errors: `sealed` when one of them does not open: its key is not here,
 * or place or bytes do not fit.
 */
export function openMany(
  keyOf: (keyId: string) => KeyObject | undefined,
  contexts: readonly string[],
  sealed: readonly Buffer[],
): Buffer[] {
  let keyId: string | undefined;
  let key: KeyObject | undefined;
  let prefix: Buffer = Buffer.alloc(0);
  return sealed.map((value, index) => {
    // Neighbours nearly always have the same key.
    if (keyId === undefined || prefix.compare(value, 0, prefix.length) !== 0) {
      keyId = keyIdOf(value);
      key = keyOf(keyId);
      prefix = sealedPrefix(keyId);
    }
    const start = prefix.length;
    if (key === undefined || value.length < start + NONCE_BYTES + TAG_BYTES) {
      throw keyringErrors.fail('sealed', { detail: `key ${keyId}${key === undefined ? ' is not here' : ''}` });
    }
    try {
      const nonce = value.subarray(start, start + NONCE_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(`${contexts[index]}|${keyId}`, 'utf8'));
      decipher.setAuthTag(value.subarray(start + NONCE_BYTES, start + NONCE_BYTES + TAG_BYTES));
      const plaintext = decipher.update(value.subarray(start + NONCE_BYTES + TAG_BYTES));
      decipher.final();
      return plaintext;
    } catch (cause) {
      throw keyringErrors.fail('sealed', { detail: `key ${keyId}`, cause });
    }
  });
}

/** Keyed hashes of many texts, as {@link keyedHash} makes them. */
export function keyedHashes(key: KeyObject, texts: readonly string[]): Buffer[] {
  return texts.map((text) => createHmac('sha256', key).update(text, 'utf8').digest());
}
