/** Keys of HMACs that are made again and again with few secrets. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { Recent } from '../base/recent.ts';

const KEYS_MAX = 1_000;
const keys = new Recent<string, KeyObject>(KEYS_MAX);

/**
 * The key object of a secret. Made once, because Node takes several times as long for it as for the HMAC of a webhook.
 * `encoding` says how the text stands for the bytes.
 */
export function hmacKey(secret: string, encoding: 'utf8' | 'base64' = 'utf8'): KeyObject {
  const name = `${encoding} ${secret}`;
  let key = keys.get(name);
  if (key === undefined) {
    key = createSecretKey(Buffer.from(secret, encoding));
    keys.set(name, key);
  }
  return key;
}
