import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isSignedCallback } from './callback-signature.ts';

const SPEC = { param: 'hmac', unsigned: ['signature'] };
const SECRET = 'the-client-secret';
// Worked out by hand: sorted, percent-encoded, without `hmac` and `signature`.
const SIGNED = 'code=0907a61c&host=YWRtaW4%3D&shop=acme.myshopify.com&state=s-1&timestamp=1337178173';
const HMAC = createHmac('sha256', SECRET).update(SIGNED).digest('hex');

const query = (more = '') =>
  new URLSearchParams(`shop=acme.myshopify.com&${SIGNED.replace('shop=acme.myshopify.com&', '')}${more}`);
const check = (text: URLSearchParams, secret = SECRET) => isSignedCallback(SPEC, text, secret);

describe('a signed redirect', () => {
  it('is known by its signature, in whatever order it comes', () => {
    expect(check(query(`&hmac=${HMAC}`))).toBe(true);
    expect(check(query(`&hmac=${HMAC}&signature=old`))).toBe(true);
  });

  it.each([
    ['no signature', query()],
    ['another signature', query(`&hmac=${HMAC.replace(/^./, HMAC.startsWith('0') ? '1' : '0')}`)],
    ['a signature that is cut', query(`&hmac=${HMAC.slice(0, 63)}`)],
    ['a second signature', query(`&hmac=${HMAC}&hmac=${HMAC}`)],
    ['one more parameter', query(`&hmac=${HMAC}&admin=1`)],
    ['a changed parameter', new URLSearchParams(`${query(`&hmac=${HMAC}`)}`.replace('acme', 'evil'))],
    ['a parameter given twice', query(`&hmac=${HMAC}&shop=evil.myshopify.com`)],
    // `a=1%26b` must not read like `a=1&b=`: the encoding keeps the two apart.
    [
      'pairs moved into a value',
      new URLSearchParams({
        code: '0907a61c&host=YWRtaW4=&shop=acme.myshopify.com',
        state: 's-1',
        timestamp: '1337178173',
        hmac: HMAC,
      }),
    ],
  ])('is refused with %s', (_, text) => {
    expect(check(text)).toBe(false);
  });

  it('is refused under another secret, and without one', () => {
    expect(check(query(`&hmac=${HMAC}`), 'other')).toBe(false);
    expect(check(query(`&hmac=${createHmac('sha256', '').update(SIGNED).digest('hex')}`), '')).toBe(false);
  });
});
