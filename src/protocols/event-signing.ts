/** Signatures of the events we send: over the exact bytes of the body. */
import { createHash, createHmac } from 'node:crypto';
import { hmacKey } from './hmac-key.ts';

const SECRET_PREFIX = 'whsec_';

/** The text form of an endpoint's secret. Source: Standard Webhooks 1.0.0, "Symmetric". */
export function secretText(key: Buffer): string {
  return SECRET_PREFIX + key.toString('base64');
}

/**
 * Value of `webhook-signature`: one signature per secret, so that a receiver may check with either during a rotation.
 * `timestampSeconds` stands in `webhook-timestamp`. Source: Standard Webhooks 1.0.0, "Signature scheme".
 */
export function standardSignature(
  secrets: readonly string[],
  message: { id: string; timestampSeconds: number; body: Buffer },
): string {
  return secrets
    .map((secret) => {
      const key = hmacKey(secret.slice(SECRET_PREFIX.length), 'base64');
      const mac = createHmac('sha256', key).update(`${message.id}.${message.timestampSeconds}.`).update(message.body);
      return `v1,${mac.digest('base64')}`;
    })
    .join(' ');
}

/** Value of `X-Nango-Hmac-Sha256`. Source: wire contract D.3. */
export function hmacSignature(key: string, body: Buffer): string {
  return createHmac('sha256', hmacKey(key)).update(body).digest('hex');
}

/** Value of the older `X-Nango-Signature`. Source: wire contract D.3. */
export function legacySignature(key: string, body: Buffer): string {
  return createHash('sha256').update(key).update(body).digest('hex');
}
