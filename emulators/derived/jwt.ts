/** Checks a JWT as a server does that does not trust its caller. Source: RFC 7515 5.2, RFC 7519 7.2, RFC 7518 3. */
import { constants, createHmac, timingSafeEqual, verify, type KeyObject } from 'node:crypto';

export interface JwtParts {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
}

/** The parts of a JWT whose signature and times are right; undefined otherwise. `key`: public, or the bytes of a secret. */
export function readJwt(
  text: string,
  rule: { algorithm: string; key: KeyObject | Buffer; nowMs: number; lifetimeSecondsMax: number },
): JwtParts | undefined {
  const [head = '', body = '', signature = '', ...more] = text.split('.');
  const header = parsed(head);
  const claims = parsed(body);
  if (more.length > 0 || header === undefined || claims === undefined || header['alg'] !== rule.algorithm)
    return undefined;
  const signed = Buffer.from(`${head}.${body}`, 'ascii');
  if (!isSigned(rule.algorithm, rule.key, signed, Buffer.from(signature, 'base64url'))) return undefined;
  const { iat, exp } = claims;
  const nowSeconds = rule.nowMs / 1_000;
  if (typeof iat !== 'number' || typeof exp !== 'number') return undefined;
  const isTimely = iat <= nowSeconds + 60 && exp > nowSeconds && exp - iat <= rule.lifetimeSecondsMax;
  return isTimely ? { header, claims } : undefined;
}

function isSigned(algorithm: string, key: KeyObject | Buffer, signed: Buffer, signature: Buffer): boolean {
  if (Buffer.isBuffer(key)) {
    const expected = createHmac('sha256', key).update(signed).digest();
    return algorithm === 'HS256' && signature.length === expected.length && timingSafeEqual(signature, expected);
  }
  switch (algorithm) {
    case 'RS256':
      return verify('sha256', signed, key, signature);
    case 'PS256':
      return verify('sha256', signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
    case 'ES256':
      return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
    default:
      return false;
  }
}

function parsed(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // no JSON: no JWT
  }
}
