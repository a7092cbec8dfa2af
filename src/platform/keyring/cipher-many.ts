/** The cipher for many values under one key: key, nonces and prefix are made once instead of per value. */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { keyedHash, keyIdOf, keyObject, NONCE_BYTES, sealedPrefix, TAG_BYTES } from './cipher.ts';
import { keyringErrors } from './errors.ts';

/** What the values are bound to: `before`, the value's row, `after`. */
export interface ManyContexts {
  before: string;
  /** ASCII. */
  rows: readonly string[];
  after: string;
}

/** Encrypts `plaintexts`, each bound to the context at its place. The bytes are those of {@link sealBytes}. */
export function sealMany(
  key: Buffer,
  keyId: string,
  contexts: ManyContexts,
  plaintexts: readonly (string | Buffer)[],
): Buffer[] {
  const prefix = sealedPrefix(keyId);
  const additional = additionalData(contexts, keyId);
  const nonces = randomBytes(NONCE_BYTES * plaintexts.length);
  return plaintexts.map((plaintext, index) => {
    const nonce = nonces.subarray(index * NONCE_BYTES, (index + 1) * NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', keyObject(key), nonce, TAG);
    cipher.setAAD(additional(index));
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
  keyOf: (keyId: string) => Buffer | undefined,
  contexts: ManyContexts,
  sealed: readonly Buffer[],
): Buffer[] {
  let keyId: string | undefined;
  let key: Buffer | undefined;
  let prefix: Buffer = Buffer.alloc(0);
  let additional: ((index: number) => Buffer) | undefined;
  return sealed.map((value, index) => {
    // Neighbours nearly always have the same key.
    if (additional === undefined || prefix.compare(value, 0, prefix.length) !== 0) {
      keyId = keyIdOf(value);
      key = keyOf(keyId);
      prefix = sealedPrefix(keyId);
      additional = additionalData(contexts, keyId);
    }
    const nonceAt = prefix.length;
    const tagAt = nonceAt + NONCE_BYTES;
    const bodyAt = tagAt + TAG_BYTES;
    if (key === undefined || value.length < bodyAt) {
      throw keyringErrors.fail('sealed', { detail: `key ${keyId}${key === undefined ? ' is not here' : ''}` });
    }
    try {
      const decipher = createDecipheriv('aes-256-gcm', keyObject(key), value.subarray(nonceAt, tagAt), TAG);
      decipher.setAAD(additional(index));
      decipher.setAuthTag(value.subarray(tagAt, bodyAt));
      const plaintext = decipher.update(value.subarray(bodyAt));
      decipher.final();
      return plaintext;
    } catch (cause) {
      throw keyringErrors.fail('sealed', { detail: `key ${keyId}`, cause });
    }
  });
}

const TAG = { authTagLength: TAG_BYTES };

/** The additional data of each value. The bytes are used again for the next one; the cipher has taken them by then. */
function additionalData({ before, rows, after }: ManyContexts, keyId: string): (index: number) => Buffer {
  const rowAt = Buffer.byteLength(before, 'utf8');
  let length = -1;
  let bytes: Buffer = Buffer.alloc(0);
  return (index) => {
    const row = rows[index] as string;
    if (row.length === length) bytes.write(row, rowAt, 'latin1');
    else {
      bytes = Buffer.from(`${before}${row}${after}|${keyId}`, 'utf8');
      length = row.length;
    }
    return bytes;
  };
}

/** Of a content hash: no two contents ever meet by chance, and what is cut off keeps it from being extended. */
const CONTENT_HASH_HEX = 32;

/**
 * Keyed hashes of contents, for seeing whether they have changed: SHA-256 of key and text, its first 16 bytes as hex. A
 * quarter of what HMAC costs, whose protection against extending the text the cut gives as well.
 */
export function contentHashes(key: Buffer, texts: readonly string[]): string[] {
  const prefix = contentPrefix(key);
  return texts.map((text) => hash('sha256', prefix + text, 'hex').slice(0, CONTENT_HASH_HEX));
}

const contentPrefixes = new WeakMap<Buffer, string>();

/** Made once for each key: by itself it costs several times as much as the hash of a small text. */
function contentPrefix(key: Buffer): string {
  let prefix = contentPrefixes.get(key);
  if (prefix === undefined) {
    // 64 characters fill a block: key and text never share one.
    prefix = keyedHash(key, 'content hash').toString('hex');
    contentPrefixes.set(key, prefix);
  }
  return prefix;
}
