import { generateKeyPairSync, verify, constants } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { selfSigned } from '../../../test/support/evil.ts';
import { isHawserError } from '../../base/errors.ts';
import { expiryOfJwt, readPrivateKey, repairPem, signJwt, thumbprint } from './jws.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: typeof rsa.privateKey) => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function parts(jwt: string) {
  const [header = '', claims = '', signature = ''] = jwt.split('.');
  return { text: Buffer.from(`${header}.${claims}`), signature: Buffer.from(signature, 'base64url') };
}

describe('signJwt', () => {
  // Source: the example of RFC 7515 A.1; its key, header and claims as given there.
  it('signs HS256 as the RFC does', () => {
    const key = Buffer.from(
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
      'base64url',
    );
    const jwt = signJwt({ algorithm: 'HS256', key, claims: { iss: 'joe', exp: 1_300_819_380 } });
    const [header = '', claims = ''] = jwt.split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toEqual({ iss: 'joe', exp: 1_300_819_380 });
    expect(signJwt({ algorithm: 'HS256', key, claims: {} })).not.toBe(jwt);
  });

  it('signs RS256, PS256 and ES256 so that the public key agrees', () => {
    const rs = parts(signJwt({ algorithm: 'RS256', key: pem(rsa.privateKey), claims: { a: 1 } }));
    expect(verify('sha256', rs.text, rsa.publicKey, rs.signature)).toBe(true);
    const ps = parts(signJwt({ algorithm: 'PS256', key: pem(rsa.privateKey), claims: { a: 1 } }));
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    expect(verify('sha256', ps.text, { key: rsa.publicKey, padding, saltLength: 32 }, ps.signature)).toBe(true);
    const es = parts(signJwt({ algorithm: 'ES256', key: pem(ec.privateKey), claims: { a: 1 } }));
    expect(es.signature).toHaveLength(64);
    expect(verify('sha256', es.text, { key: ec.publicKey, dsaEncoding: 'ieee-p1363' }, es.signature)).toBe(true);
  });

  it.each([
    ['ES256', pem(rsa.privateKey)],
    ['RS256', pem(ec.privateKey)],
    ['RS256', 'canary-of-a-key'],
    ['RS256', pem(rsa.privateKey).slice(0, 500)],
    ['RS256', 'x'.repeat(40_000)],
  ] as const)('refuses a key that does not fit %s, without showing it', (algorithm, key) => {
    let error: unknown;
    try {
      signJwt({ algorithm, key, claims: {} });
    } catch (thrown) {
      error = thrown;
    }
    expect(isHawserError(error, 'key_not_usable')).toBe(true);
    expect(JSON.stringify([(error as Error).message, (error as Error).cause])).not.toContain('canary');
  });
});

describe('repairPem', () => {
  const good = pem(rsa.privateKey);
  const body = good.replaceAll(/-----[A-Z ]+-----|\n/g, '');
  it.each([
    ['as it is', good],
    ['without line breaks', good.replaceAll('\n', '')],
    ['with blanks for line breaks', good.replaceAll('\n', ' ')],
    ['with escaped line breaks', good.replaceAll('\n', String.raw`\n`)],
    ['with Windows line breaks', good.replaceAll('\n', '\r\n')],
    ['without armour', body],
  ])('reads a key %s', (_, text) => {
    expect(readPrivateKey(text).export({ type: 'pkcs8', format: 'pem' })).toBe(good);
  });

  it('keeps a chain of certificates', () => {
    const chain = selfSigned(['a.example']).cert + selfSigned(['b.example']).cert;
    const repaired = repairPem(chain.replaceAll('\n', ' '), 'CERTIFICATE');
    expect(repaired.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(thumbprint(repaired)).toBe(thumbprint(chain));
  });
});

describe('expiryOfJwt', () => {
  const jwt = (claims: string) => `e30.${Buffer.from(claims).toString('base64url')}.c2ln`;
  it.each([
    [jwt('{"exp":1300819380}'), 1_300_819_380_000],
    [jwt('{"exp":"soon"}'), undefined],
    [jwt('{"exp":-5}'), undefined],
    [jwt('{}'), undefined],
    [jwt('no json'), undefined],
    ['opaque-token', undefined],
    ['a.b', undefined],
    ['', undefined],
  ])('reads %s', (token, expected) => {
    expect(expiryOfJwt(token)).toBe(expected);
  });
});
