import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { KEY_BYTES, openBytes, sealBytes } from './cipher.ts';
import type { KeyWrapper } from './model.ts';

const HEX = /^[0-9a-f]{64}$/i;
/** 43 characters hold 32 bytes, in either alphabet. Anything else is a key that was cut or mistyped. */
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/** A new operator key as base64. */
export function generateKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

/** A key the operator holds as text: 32 bytes as base64 or hex. Undefined when the text is neither. */
export function localKey(text: string): KeyWrapper | undefined {
  const trimmed = text.trim();
  const isHex = HEX.test(trimmed);
  if (!isHex && !BASE64.test(trimmed)) return undefined;
  const key = Buffer.from(trimmed, isHex ? 'hex' : 'base64');
  const id = `kek_${createHash('sha256').update('hawser kek id').update(key).digest('hex').slice(0, 16)}`;
  // The operator's key is never used directly: a derived key keeps the fingerprint and the cipher apart.
  const wrapping = Buffer.from(hkdfSync('sha256', key, '', 'hawser data key wrapping', KEY_BYTES));
  return {
    id,
    wrap: async (dataKey, context) => sealBytes(wrapping, id, context, dataKey),
    unwrap: async (wrapped, context) => openBytes((keyId) => (keyId === id ? wrapping : undefined), context, wrapped),
  };
}
