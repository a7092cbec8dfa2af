/** Published examples of AWS, byte for byte: the signature test suite, the IAM example, the S3 example. */
import { describe, expect, it } from 'vitest';
import { amzDate, sha256Hex, sigV4Header, UNSIGNED_PAYLOAD, type SigV4Input } from './signature.ts';

const SUITE_KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const SUITE_HEADERS = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' };

function signature(part: Partial<SigV4Input>): string {
  const header = sigV4Header({
    method: 'GET',
    path: '/',
    query: '',
    headers: SUITE_HEADERS,
    payloadHash: sha256Hex(''),
    keys: SUITE_KEYS,
    region: 'us-east-1',
    service: 'service',
    ...part,
  });
  return /Signature=([0-9a-f]{64})$/.exec(header)?.[1] ?? header;
}

const UNRESERVED = '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const form = { ...SUITE_HEADERS, 'content-type': 'application/x-www-form-urlencoded' };

describe('the suite of AWS', () => {
  it.each<[string, Partial<SigV4Input>, string]>([
    ['get-vanilla', {}, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    [
      'get-vanilla-query-order-key-case',
      { query: 'Param2=value2&Param1=value1' },
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    ['get-unreserved', { path: UNRESERVED }, '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f'],
    ['post-vanilla', { method: 'POST' }, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'post-x-www-form-urlencoded',
      { method: 'POST', headers: form, payloadHash: sha256Hex('Param1=value1') },
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
  ])('%s', (_, part, expected) => {
    expect(signature(part)).toBe(expected);
  });

  it('the whole header of the IAM example', () => {
    const header = sigV4Header({
      method: 'GET',
      path: '/',
      query: 'Action=ListUsers&Version=2010-05-08',
      headers: {
        Host: 'iam.amazonaws.com',
        'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8',
        'x-amz-date': '20150830T123600Z',
      },
      payloadHash: sha256Hex(''),
      keys: SUITE_KEYS,
      region: 'us-east-1',
      service: 'iam',
    });
    expect(header).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, ' +
        'SignedHeaders=content-type;host;x-amz-date, ' +
        'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    );
  });

  it('the S3 example, with a range', () => {
    const payloadHash = sha256Hex('');
    const headers = {
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-content-sha256': payloadHash,
      'x-amz-date': '20130524T000000Z',
    };
    const keys = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
    expect(signature({ path: '/test.txt', headers, payloadHash, keys, service: 's3' })).toBe(
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
  });
});

describe('a signature', () => {
  it('encodes the path once more, but not for S3', () => {
    const path = '/a%20b/c';
    expect(signature({ path })).not.toBe(signature({ path, service: 's3' }));
    expect(signature({ path: '/plain' })).toBe(signature({ path: '/plain', headers: { ...SUITE_HEADERS } }));
  });

  it('is the same for a query in any order and spelling', () => {
    const one = signature({ query: 'b=2&a=%7e&a=%2F&empty' });
    expect(signature({ query: 'empty=&a=%2f&a=~&b=2' })).toBe(one);
    expect(signature({ query: 'a=~&a=%2f&b=3&empty=' })).not.toBe(one);
  });

  it('changes with the payload and with each signed header', () => {
    const all = [
      signature({}),
      signature({ payloadHash: UNSIGNED_PAYLOAD }),
      signature({ payloadHash: sha256Hex('x') }),
      signature({ headers: { ...SUITE_HEADERS, 'x-amz-security-token': 't' } }),
      signature({ region: 'eu-west-1' }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it('has a date of its own form', () => {
    expect(amzDate(Date.parse('2015-08-30T12:36:00.789Z'))).toBe('20150830T123600Z');
  });
});
