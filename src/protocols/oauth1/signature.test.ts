/** The examples of RFC 5849, byte for byte. */
import { describe, expect, it } from 'vitest';
import { authorizationHeader, baseString, encode, type OAuth1Signing } from './signature.ts';

const CLIENT = { consumerKey: 'dpf43f3p2l4k3l03', consumerSecret: 'kd94hf93k423kf44' };

function signatureOf(header: string): string {
  return decodeURIComponent(/oauth_signature="([^"]+)"/.exec(header)?.[1] ?? '');
}

describe('RFC 5849', () => {
  it('3.5.1: the header of a request without a token', () => {
    const header = authorizationHeader(
      { method: 'POST', url: new URL('https://photos.example.net/initiate') },
      {
        ...CLIENT,
        method: 'HMAC-SHA1',
        realm: 'Photos',
        timestamp: 137_131_200,
        nonce: 'wIjqoxSZ',
        extra: { oauth_callback: 'http://printer.example.com/ready' },
      },
    );
    expect(header).toMatch(
      /^OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", .*, oauth_signature="[A-Za-z0-9%]+%3D"$/,
    );
    expect(header).toContain('oauth_callback="http%3A%2F%2Fprinter.example.com%2Fready"');
    expect(header).not.toContain('oauth_token');
  });

  // Source: RFC 5849 erratum 2550 for SHA-1; the same request under HMAC-SHA256 as other implementations have it.
  it.each([
    ['HMAC-SHA1', 'r6/TJjbCOr97/+UU0NsvSne7s5g='],
    ['HMAC-SHA256', 'ypAxjNip++Dm0fTM+gCl8wAo6ufSnseu1WHxL7py3BU='],
  ] as const)('3.1: the example by %s', (method, signature) => {
    const header = authorizationHeader(
      {
        method: 'POST',
        url: new URL('http://example.com/request'),
        query: 'b5=%3D%253D&a3=a&c%40=&a2=r%20b',
        form: 'c2&a3=2+q',
      },
      {
        method,
        consumerKey: '9djdj82h48djs9d2',
        consumerSecret: 'j49sk3j29djd',
        token: { key: 'kkk9d7dh3k39sjv7', secret: 'dh893hdasih9' },
        timestamp: 137_131_201,
        nonce: '7d8f3e4a',
      },
    );
    expect(signatureOf(header)).toBe(signature);
  });

  // Source: OAuth Core 1.0a, appendix A.5.
  it('OAuth Core A.5: the photo, with a version', () => {
    const header = authorizationHeader(
      { method: 'GET', url: new URL('http://photos.example.net/photos?file=vacation.jpg&size=original') },
      {
        ...CLIENT,
        method: 'HMAC-SHA1',
        token: { key: 'nnch734d00sl2jdk', secret: 'pfkkdhi9sl3r4s00' },
        timestamp: 1_191_242_096,
        nonce: 'kllo9940pd9333jh',
        extra: { oauth_version: '1.0' },
      },
    );
    expect(signatureOf(header)).toBe('tR3+Ty81lMeYAr/Fid0kMTYa/WM=');
  });

  it('1.2: the token', () => {
    const header = authorizationHeader(
      { method: 'POST', url: new URL('https://photos.example.net/token') },
      {
        ...CLIENT,
        method: 'HMAC-SHA1',
        token: { key: 'hh5s93j4hdidpola', secret: 'hdhd0244k9j7ao03' },
        timestamp: 137_131_201,
        nonce: 'walatlh',
        extra: { oauth_verifier: 'hfdp7dh39dks9884' },
      },
    );
    expect(signatureOf(header)).toBe('gKgrFCywp7rO0OXSjdot/IHF7IU=');
  });

  it('1.2: the photo', () => {
    const header = authorizationHeader(
      { method: 'GET', url: new URL('http://photos.example.net/photos?file=vacation.jpg&size=original') },
      {
        ...CLIENT,
        method: 'HMAC-SHA1',
        token: { key: 'nnch734d00sl2jdk', secret: 'pfkkdhi9sl3r4s00' },
        timestamp: 137_131_202,
        nonce: 'chapoH',
      },
    );
    expect(signatureOf(header)).toBe('MdpQcU8iPSUjWoN/UDMsK2sui9I=');
  });

  it('3.4.1.1: the base string of query, form and protocol parameters', () => {
    const text = baseString(
      {
        method: 'POST',
        url: new URL('http://EXAMPLE.COM:80/request'),
        query: 'b5=%3D%253D&a3=a&c%40=&a2=r%20b',
        form: 'c2&a3=2+q',
      },
      [
        ['oauth_consumer_key', '9djdj82h48djs9d2'],
        ['oauth_token', 'kkk9d7dh3k39sjv7'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131201'],
        ['oauth_nonce', '7d8f3e4a'],
      ],
    );
    expect(text).toBe(
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D' +
        '%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3D' +
        'HMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    );
  });

  it.each([
    ['http://EXAMPLE.COM:80/r%20v/X?id=123', 'http://example.com/r%20v/X'],
    ['https://www.example.net:8080/?q=1', 'https://www.example.net:8080/'],
  ])('3.4.1.2: the base address of %s', (url, base) => {
    expect(baseString({ method: 'get', url: new URL(url) }, []).split('&')[1]).toBe(encode(base));
  });

  it('3.4.4: PLAINTEXT is the two secrets', () => {
    const signing: OAuth1Signing = {
      method: 'PLAINTEXT',
      consumerKey: 'key',
      consumerSecret: 'djr9rjt0jd78jf88',
      token: { key: 'token', secret: 'jjd999tj88uiths3' },
      timestamp: 1,
      nonce: 'n',
    };
    const request = { method: 'GET', url: new URL('https://example.com/') };
    expect(signatureOf(authorizationHeader(request, signing))).toBe('djr9rjt0jd78jf88&jjd999tj88uiths3');
    const odd = { ...signing, consumerSecret: 'djr9rjt0jd78jf88', token: { key: 't', secret: 'jjd99$tj88uiths3' } };
    expect(signatureOf(authorizationHeader(request, odd))).toBe('djr9rjt0jd78jf88&jjd99%24tj88uiths3');
    expect(signatureOf(authorizationHeader(request, { ...signing, token: undefined }))).toBe('djr9rjt0jd78jf88&');
  });

  it('3.6: escapes everything but letters, digits and four signs', () => {
    expect(encode("aZ09-._~ !'()*+/é")).toBe('aZ09-._~%20%21%27%28%29%2A%2B%2F%C3%A9');
  });
});
