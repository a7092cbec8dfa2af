/** Signs and reads JSON Web Tokens. Pure but for the randomness of the signatures. Source: RFC 7515, 7518, 7519. */
import {
  constants,
  createHash,
  createHmac,
  createPrivateKey,
  sign,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import type { JwtAlgorithm } from '../../../catalogue/_spec/index.ts';
import { machineErrors } from './errors.ts';

/** Keys, certificates and what else a customer pastes; larger ones are a mistake. */
const PEM_CHARS_MAX = 32_768;
/** RFC 7518 3.3 and 3.5: smaller RSA keys must not be used. */
const RSA_BITS_MIN = 2_048;

/**
 * A compact JWS. `key`: PEM for RS256, PS256 and ES256; raw bytes for HS256.
 * Errors: `key_not_usable`. Source: RFC 7515 3.1.
 */
export function signJwt(input: {
  algorithm: JwtAlgorithm;
  key: string | Buffer;
  header?: Record<string, unknown>;
  claims: Record<string, unknown>;
}): string {
  const header = { alg: input.algorithm, typ: 'JWT', ...input.header };
  const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(input.claims))}`;
  return `${text}.${signature(input.algorithm, input.key, text).toString('base64url')}`;
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

function signature(algorithm: JwtAlgorithm, key: string | Buffer, text: string): Buffer {
  if (algorithm === 'HS256') {
    if (key.length === 0) throw machineErrors.fail('key_not_usable');
    return createHmac('sha256', key).update(text).digest();
  }
  const signingKey = readPrivateKey(key.toString(), algorithm);
  const data = Buffer.from(text);
  switch (algorithm) {
    case 'RS256':
      return sign('sha256', data, signingKey);
    case 'PS256':
      // Salt as long as the hash. Source: RFC 7518 3.5.
      return sign('sha256', data, { key: signingKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'ES256':
      // Two plain numbers, not DER. Source: RFC 7518 3.4.
      return sign('sha256', data, { key: signingKey, dsaEncoding: 'ieee-p1363' });
  }
}

/** Reads a private key that fits the algorithm. Errors: `key_not_usable`, which says nothing of the key. */
export function readPrivateKey(text: string, algorithm?: Exclude<JwtAlgorithm, 'HS256'>): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(repairPem(text, 'PRIVATE KEY'));
  } catch {
    // The library's own words may quote the key.
    throw machineErrors.fail('key_not_usable');
  }
  if (algorithm === undefined) return key;
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const fits =
    algorithm === 'ES256'
      ? key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
      : key.asymmetricKeyType === 'rsa' && modulusLength >= RSA_BITS_MIN;
  if (fits) return key;
  const kind = algorithm === 'ES256' ? 'an EC key on the curve P-256' : `an RSA key of at least ${RSA_BITS_MIN} bits`;
  throw machineErrors.fail('key_not_usable', {
    message: `The private key is not usable here: ${algorithm} needs ${kind}.`,
  });
}

/** Reads a certificate. Errors: `certificate_not_usable`. */
export function readCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(repairPem(text, 'CERTIFICATE'));
  } catch {
    // As above.
    throw machineErrors.fail('certificate_not_usable');
  }
}

/** SHA-256 of the certificate, as the `x5t#S256` header has it. Source: RFC 7515 4.1.8. */
export function thumbprint(certificate: string): string {
  return createHash('sha256').update(readCertificate(certificate).raw).digest('base64url');
}

/**
 * Makes PEM of what forms and environment variables do to it: `\n` as two characters, line breaks lost, armour left off.
 */
export function repairPem(text: string, label: 'PRIVATE KEY' | 'CERTIFICATE'): string {
  if (text.length > PEM_CHARS_MAX) return '';
  const plain = text
    .replaceAll(String.raw`\r`, '')
    .replaceAll(String.raw`\n`, '\n')
    .trim();
  if (!plain.includes('-----BEGIN')) return armour(plain, label);
  return [...plain.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]+)-----END \1-----/g)]
    .map(([whole, name = '', body = '']) => (body.includes(':') ? whole : armour(body, name)))
    .join('\n');
}

function armour(body: string, label: string): string {
  const lines = body.replaceAll(/\s+/g, '').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** The `exp` of a JWT in ms of wall time, unverified; undefined when the text is none. Source: RFC 7519 4.1.4. */
export function expiryOfJwt(token: string): number | undefined {
  const [, payload = '', ...rest] = token.split('.');
  if (rest.length !== 1 || !/^[A-Za-z0-9_-]+$/.test(payload)) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : undefined;
    return typeof exp === 'number' && Number.isFinite(exp) && exp > 0 ? Math.floor(exp * 1_000) : undefined;
  } catch {
    return undefined; // three parts, but no JWT
  }
}
