import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** 32 random bytes as lower-case hex, the size of every secret we make. */
export function randomSecret(): string {
  return randomBytes(32).toString('hex');
}

/** Random UUID v4, the shape of API keys and connection ids (wire contract A.1, C.3). */
export function randomId(): string {
  return randomUUID();
}

/** SHA-256 of a high-entropy secret: what is stored instead of it. Not for passwords. */
export function secretHash(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** True for the shape the published clients demand of a secret key (wire contract A.1). */
export function isUuidV4(text: string): boolean {
  return UUID_V4.test(text);
}
