import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HawserError } from '../../base/errors.ts';
import { joinEndpoint, readEndpoint } from './endpoint.ts';

const BASE = new URL('https://api.example.com/v1');
const EMULATED = new URL('http://127.0.0.1:3004/example/v1');

function join(requestTarget: string, base = BASE, added = '') {
  return joinEndpoint(base, readEndpoint(requestTarget), [BASE, EMULATED], added);
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof HawserError) return `${error.status} ${error.code}`;
    throw error;
  }
  return 'passed';
}

describe('joining an endpoint', () => {
  it.each([
    ['/proxy/', '/v1/'],
    ['/proxy/things', '/v1/things'],
    ['/proxy/things/', '/v1/things/'],
    ['/proxy/a/b/c.json', '/v1/a/b/c.json'],
    ['/proxy/a//b', '/v1/a//b'],
    ['/proxy/a%2Fb', '/v1/a%2Fb'],
    ['/proxy/a%20b', '/v1/a%20b'],
    ['/proxy/100%25', '/v1/100%25'],
    ['/proxy/%E2%82%AC', '/v1/%E2%82%AC'],
    ['/proxy/caf%E9', '/v1/caf%E9'],
    ['/proxy/.well-known/x', '/v1/.well-known/x'],
    ['/proxy/...', '/v1/...'],
    ['/proxy/a..b/..c/d..', '/v1/a..b/..c/d..'],
    ['/proxy/v1/things', '/v1/v1/things'],
    ['/proxy/things:search', '/v1/things:search'],
    ['/proxy/a@b', '/v1/a@b'],
    ['/proxy/x;type=1', '/v1/x;type=1'],
    ["/proxy/o('1')/$count", "/v1/o('1')/$count"],
    ['/proxy/{id}', '/v1/%7Bid%7D'],
    ['/proxy/mailto:x', '/v1/mailto:x'],
    ['/proxy/a?', '/v1/a'],
    ['/proxy/?a=b', '/v1/?a=b'],
    ['/proxy/a?b=c?d=e', '/v1/a?b=c?d=e'],
    ["/proxy/a?q='x'&r=%zz&s=%27\"<>&t=a+b&u[]=1&u[]=2&=&&", "/v1/a?q='x'&r=%zz&s=%27\"<>&t=a+b&u[]=1&u[]=2&=&&"],
    ['/proxy/a?next=https://evil.example/../..', '/v1/a?next=https://evil.example/../..'],
    ['/proxy/a?q=%0d%0a%00', '/v1/a?q=%0d%0a%00'],
  ])('%s → %s', (target, expected) => {
    const { url, requestTarget } = join(target);
    expect(url.origin).toBe('https://api.example.com');
    expect(requestTarget).toBe(expected);
  });

  it('strips the base address, its emulated form, and the http: form that some providers link with', () => {
    const cases: [string, string][] = [
      ['https://api.example.com/v1/things', '/v1/things'],
      ['http://api.example.com/v1/things', '/v1/things'],
      ['https://API.example.com/v1/things', '/v1/things'],
      ['https://api.example.com/v1', '/v1/'],
      ['https://api.example.com/v1/', '/v1/'],
      ['http://127.0.0.1:3004/example/v1/things', '/v1/things'],
    ];
    for (const [whole, expected] of cases)
      expect(join(`/proxy/${whole}?page=2`).requestTarget).toBe(`${expected}?page=2`);
  });

  it('adds the injected query behind the own one', () => {
    expect(join('/proxy/a', BASE, 'key=1').requestTarget).toBe('/v1/a?key=1');
    expect(join('/proxy/a?', BASE, 'key=1').requestTarget).toBe('/v1/a?key=1');
    expect(join("/proxy/a?q='", BASE, 'key=1').requestTarget).toBe("/v1/a?q='&key=1");
  });

  it('joins to a base with and without a path', () => {
    expect(join('/proxy/a', new URL('https://h.example')).url.href).toBe('https://h.example/a');
    expect(join('/proxy/a', new URL('https://h.example/')).url.href).toBe('https://h.example/a');
    expect(join('/proxy/a', new URL('https://h.example/x/')).url.href).toBe('https://h.example/x/a');
  });
});

const dots = [
  '.',
  '..',
  '%2e',
  '%2E',
  '%2e%2e',
  '.%2e',
  '%2e.',
  '%252e%252e',
  '%252e.',
  '.%252E',
  '%25%32%65',
  '.%25252e',
];
const places = (trick: string) => [`/${trick}`, `/${trick}/`, `/a/${trick}`, `/a/${trick}/b`, `/a/${trick}/../b`];
const tricks = [
  ...dots.flatMap(places),
  ...['..;', '..;x=1', '.;', '%2e%2e;', '..%3b', '%20..', '..%20', '..%3Bx'].flatMap((t) => [`/a/${t}/b`, `/${t}`]),
  ...['a%2f..%2fb', 'a%2F%2e%2e', '..%2f', '..%2Fb', '%2e%2e%2f', 'a%252f..%252fb', '%252e%252e%252f', '..%252f'].map(
    (t) => `/${t}`,
  ),
  ...['..%5c', '%5c', '%5C%5cevil', 'a%5cb', '..%255c', '%255c%255cevil.example', 'a%255Cb'].map((t) => `/${t}`),
  ...['\\', '\\\\evil.example', '/\\evil.example', 'a\\..\\b', 'https:\\\\evil.example'].map((t) => `/${t}`),
  ...['/evil.example', '//evil.example', '/evil.example/x', '/%65vil.example', '/@evil.example', '/'].map(
    (t) => `/${t}`,
  ),
  ...['%2fevil.example', '%2f%2fevil.example', '%252fevil.example', '%2F%2fevil'].map((t) => `/${t}`),
  ...[
    'https://evil.example/',
    'http://evil.example',
    'HTTPS://evil.example/v1/a',
    'https://evil.example:443/v1',
    'https://api.example.com.evil.example/v1/a',
    'https://api.example.com@evil.example/v1/a',
    'https://api.example.com:pw@evil.example/v1',
    'https://api.example.com:8443/v1/a',
    'https://api.example.com./v1/a',
    'https://api.example.com/v10/a',
    'https://api.example.com/v2/a',
    'https://api.example.com/',
    'https://api.example.com',
    'https://api.example.com/v1/../x',
    'https://api.example.com/v1/%2e%2e/x',
    'https://api.example.com/v1//evil.example',
    'https://127.0.0.1:3004/example/v1/a',
    'http://127.0.0.1:3005/example/v1/a',
    'http://[::1]/v1',
    'http://localhost/v1',
    'https:evil.example',
    'https:/evil.example',
    'https:///evil.example',
    'http:evil.example',
    'ftp://evil.example/',
    'file:///etc/passwd',
    'gopher://evil.example/',
    'ws://api.example.com/v1/a',
    'wss://api.example.com/v1/a',
    'x://api.example.com/v1',
    'a.b+c-d://evil.example',
  ].map((t) => `/${t}`),
  ...[
    '%00',
    'a%00b',
    '%0d%0aHost:evil',
    'a%0Ab',
    '%09',
    '%1f',
    '%7f',
    '%250d%250a',
    '%2500',
    '%c2%85',
    '%e2%80%a8',
  ].map((t) => `/${t}`),
  ...['%c0%ae%c0%ae/x', '%c0%af', '%C1%9C', '%25c0%25ae', '%zz', '%', 'a%2', '%u002e', '%-1'].map((t) => `/${t}`),
  // Full-width dots and slashes: some servers fold them (NFKC).
  ...['%EF%BC%8E%EF%BC%8E/x', 'a/%E2%80%A5/b', '%EF%BC%8F%EF%BC%8Fevil', 'a%EF%BC%BC..', '%E2%80%A5'].map(
    (t) => `/${t}`,
  ),
  ...[' ', 'a b', 'a\tb', 'a\nb', 'é', '€', 'a#b', '#', '#/../x', '\u0000', '\u007f', '‥/x', '．．/x'].map(
    (t) => `/${t}`,
  ),
];

describe('path tricks', () => {
  it('abuse 18: are 150 or more', () => {
    expect(new Set(tricks).size).toBeGreaterThanOrEqual(150);
  });

  it.each(tricks.map((trick) => [trick]))('abuse 18: refuses %j', (trick) => {
    expect(refusal(() => join(`/proxy${trick}`))).toBe('400 invalid_endpoint');
  });

  it.each([
    '/proxy',
    '/',
    '',
    'http://127.0.0.1/proxy/a',
    '//proxy/a',
    '/%70roxy/a',
    '/PROXY/a',
    '/proxyx/a',
    '*',
    '/proxy?a',
  ])('refuses the request target %j', (target) => {
    expect(refusal(() => join(target))).toBe('400 invalid_endpoint');
  });

  it('abuse 18: keeps every accepted path below the base, whatever it is', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '/',
      '//',
      '\\',
      '%',
      '%2e',
      '%2f',
      '%5c',
      '%25',
      '25',
      '2e',
      'a',
      ';',
      ':',
      '@',
      '#',
      '?',
      'https:',
      '//evil',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const target = `/proxy/${pieces.join('')}`;
        let joined: URL;
        try {
          joined = join(target).url;
        } catch (error) {
          return error instanceof HawserError && error.code === 'invalid_endpoint';
        }
        let path = joined.pathname;
        for (let i = 0; i < 2; i++)
          path = path.replaceAll(/%[0-7][0-9a-f]/gi, (e) => String.fromCharCode(parseInt(e.slice(1), 16)));
        const resolved = new URL(path.split(/[?#]/)[0] as string, 'https://api.example.com');
        return (
          joined.origin === BASE.origin && resolved.origin === BASE.origin && /^\/v1(?:\/|$)/.test(resolved.pathname)
        );
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a plain path', () => {
  const letters = [...`abcXYZ019_~!$&'()*+,=:@-`];
  const segment = fc
    .array(fc.constantFrom(...letters, '.'), { maxLength: 6 })
    .map((rest) => rest.join(''))
    .chain((rest) => fc.constantFrom(...letters).map((first) => first + rest));
  it('is what URL makes of it', () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean(), (segments, ends) => {
        const path = `/${segments.join('/')}${ends ? '/' : ''}`;
        // A scheme in front of it is another matter.
        fc.pre(!path.includes(':'));
        const target = join(`/proxy${path}`);
        expect(target.path).toBe(new URL(`${BASE.href}${path}`).pathname);
        expect(target.url.pathname).toBe(target.path);
      }),
      { numRuns: 1_000 },
    );
  });
});
